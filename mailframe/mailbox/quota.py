"""Quota: how much an account may keep, and how much it does.

What is counted are octets on disk and messages, in all folders, as Maildir++ counts them.
The figures live in memory: one count of the file names when first asked for, then kept up
with every delivery and removal of ours. Other programs change Maildirs too, so a count is
renewed after a quarter of an hour, and before anything is refused. A crash loses nothing
but a count. Deliveries under way are reserved, so that many at once cannot overfill; those
that end while a count runs may be counted twice until the next: never too little.

Several workers each keep their own figures and tell one another what they add and remove
(``share``): together they go beyond a limit by no more than what is under way, and a note that
is lost costs nothing after the next count.

Where other programs keep a ``maildirsize`` file in the Maildir, our changes are added to it
(``note_in_maildirsize``), as Maildir++ asks of every writer; it is never made here, and what
it counted is not believed. Its first line is the limit that such a program set: it holds for
an account to which nobody gives one here (``limit_in_maildirsize``).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.core.folders import QuotaUse
from mailframe.interfaces import IPeers
from mailframe.mailbox.folder_file import replace_file
from mailframe.runtime.aio import result_of
from mailframe.runtime.disk import Disk

_RENEW_SECONDS = 15 * 60  # Maildir++'s own age limit for maildirsize
_RECOUNT_SECONDS = 30  # a full mailbox is counted anew at most this often
_ACCOUNTS = 10_000  # counts kept in memory
_TOPIC = "quota"  # of notes to the other workers: account, octets, messages
_LIMIT_OCTETS = 200  # of a line of maildirsize
_LIMIT = re.compile(r"(\d{1,18})([SC])")


@dataclass(frozen=True, slots=True)
class Quota:
    octets: int = 0
    """On disk; 0 is no limit."""
    messages: int = 0
    """0 is no limit."""

    def __bool__(self) -> bool:
        return bool(self.octets or self.messages)


@dataclass(slots=True)
class _Usage:
    octets: int = 0
    messages: int = 0
    reserved_octets: int = 0
    reserved_messages: int = 0
    counted_at: float | None = None
    counting: list[Deferred[None]] | None = None
    added: list[tuple[int, int]] = field(default_factory=list)
    """Octets and messages that were settled while a count runs."""
    found_limit: Quota | None = None
    """In the Maildir, ``found_at`` that time."""
    found_at: float | None = None

    def add(self, octets: int, messages: int) -> None:
        self.octets += octets
        self.messages += messages
        if self.counting is not None:
            self.added.append((octets, messages))

    def take(self, octets: int, messages: int) -> None:
        # While a count runs nobody knows whether it saw them: rather too much than too little.
        if self.counting is None:
            self.octets = max(0, self.octets - octets)
            self.messages = max(0, self.messages - messages)

    def fits(self, quota: Quota, octets: int, number: int = 1) -> bool:
        total = self.octets + self.reserved_octets + octets
        messages = self.messages + self.reserved_messages + number
        return (not quota.octets or total <= quota.octets) and (
            not quota.messages or messages <= quota.messages
        )


class Reservation:
    """Room held for one delivery; ``settle`` or ``release`` ends it."""

    def __init__(
        self,
        usage: _Usage | None,
        octets: int,
        messages: int = 1,
        settled: Callable[[int, int], None] | None = None,
    ) -> None:
        """``settled`` is told what is there then."""
        self._usage = usage
        self._settled = settled
        self._octets = octets
        self._messages = messages
        if usage is not None:
            usage.reserved_octets += octets
            usage.reserved_messages += messages

    def settle(self, octets: int, messages: int | None = None) -> None:
        """It is there, with so many octets on disk; ``messages``: as many as reserved."""
        if (usage := self._usage) is None:
            return
        self.release()
        number = self._messages if messages is None else messages
        usage.add(octets, number)
        if self._settled is not None:
            self._settled(octets, number)

    def release(self) -> None:
        """It is not there."""
        if (usage := self._usage) is None:
            return
        self._usage = None
        usage.reserved_octets -= self._octets
        usage.reserved_messages -= self._messages


class Quotas:
    """The accounts' quotas and usage. Everything happens on the reactor thread.

    ``limit(account)`` gives the Quota or None. ``count(account)`` gives octets and messages
    as they are on disk. ``find_limit(account)`` is asked where ``limit`` sets none.
    """

    def __init__(
        self,
        limit: Callable[[str], Quota | Awaitable[Quota | None] | None],
        count: Callable[[str], Awaitable[tuple[int, int]]],
        clock: IReactorTime,
        find_limit: Callable[[str], Awaitable[Quota | None]] | None = None,
    ) -> None:
        self._limit = limit
        self._find_limit = find_limit
        self._count = count
        self._clock = clock
        self._usages: OrderedDict[str, _Usage] = OrderedDict()
        self._peers: IPeers | None = None

    def share(self, peers: IPeers) -> None:
        """From now on with the other workers, who deliver to the same accounts."""
        self._peers = peers
        peers.hear(_TOPIC, self._heard)

    async def has_room(self, account: str, octets: int) -> bool:
        """Whether so many more octets fit. Fails as ``count`` and ``limit`` do."""
        return await self._find_room(account, octets) is not None

    async def reserve(self, account: str, octets: int, messages: int = 1) -> Reservation | None:
        """Hold room for what is to come; None when it does not fit."""
        found = await self._find_room(account, octets, messages)
        if found is None:
            return None
        settled = None if self._peers is None else partial(self._tell, account)
        return Reservation(found[0], octets, messages, settled)

    def removed(self, account: str, octets: int, messages: int) -> None:
        if (usage := self._usages.get(account)) is not None:
            usage.take(octets, messages)
        if octets or messages:
            self._tell(account, -octets, -messages)

    async def use(self, account: str) -> QuotaUse | None:
        """How much of what; None where there is no limit. Fails as ``has_room`` does."""
        quota = await self._quota(account)
        if not quota:
            return None
        usage = await self._counted(account, _RENEW_SECONDS)
        return QuotaUse(usage.octets, quota.octets, usage.messages, quota.messages)

    def _tell(self, account: str, octets: int, messages: int) -> None:
        if self._peers is not None:
            self._peers.tell(_TOPIC, [account, octets, messages])

    def _heard(self, note: Any, worker: str) -> None:
        account, octets, messages = note
        usage = self._usages.get(account)
        if usage is None:
            return  # counted when it is asked for
        if octets < 0 or messages < 0:
            usage.take(-octets, -messages)
        else:
            usage.add(octets, messages)

    async def _quota(self, account: str) -> Quota | None:
        quota = await result_of(self._limit(account))
        if quota or self._find_limit is None:
            return quota
        usage = self._usage(account)
        now = self._clock.seconds()
        if usage.found_at is None or now - usage.found_at >= _RENEW_SECONDS:
            usage.found_limit = await self._find_limit(account)
            usage.found_at = now
        return usage.found_limit

    async def _find_room(
        self, account: str, octets: int, messages: int = 1
    ) -> tuple[_Usage | None] | None:
        quota = await self._quota(account)
        if not quota:
            return (None,)  # nothing to count
        for age in (_RENEW_SECONDS, _RECOUNT_SECONDS):
            usage = await self._counted(account, age)
            # No await between this and the reservation.
            if usage.fits(quota, octets, messages):
                return (usage,)
        return None

    async def _counted(self, account: str, age: float) -> _Usage:
        usage = self._usage(account)
        while usage.counting is not None:
            waiter: Deferred[None] = Deferred()
            usage.counting.append(waiter)
            await waiter
        if usage.counted_at is None or self._clock.seconds() - usage.counted_at >= age:
            await self._recount(account, usage)
        return usage

    async def _recount(self, account: str, usage: _Usage) -> None:
        usage.counting = []
        usage.added.clear()
        try:
            octets, messages = await self._count(account)
            usage.octets = octets + sum(added for added, _ in usage.added)
            usage.messages = messages + sum(number for _, number in usage.added)
            usage.counted_at = self._clock.seconds()
        finally:
            waiters, usage.counting = usage.counting, None
            for waiter in waiters:
                waiter.callback(None)

    def _usage(self, account: str) -> _Usage:
        usage = self._usages.setdefault(account, _Usage())
        self._usages.move_to_end(account)
        self._forget_some()
        return usage

    def _forget_some(self) -> None:
        if len(self._usages) <= _ACCOUNTS:
            return
        for account in list(self._usages)[: len(self._usages) - _ACCOUNTS]:
            usage = self._usages[account]
            if usage.counting is None and not usage.reserved_messages:
                del self._usages[account]


def note_in_maildirsize(disk: Disk, maildir: str, octets: int, messages: int) -> None:
    """Add a change to the file of that name, where the Maildir has one."""
    # It is a cache that its readers renew by themselves; a change missing from it is no loss.
    with contextlib.suppress(OSError):
        file = disk.append(os.path.join(maildir, "maildirsize"))
        try:
            file.write(f"{octets} {messages}\n".encode())
        finally:
            file.close()


def limit_in_maildirsize(disk: Disk, maildir: str) -> Quota | None:
    """What the first line of that file says (``10000000S,1000C``); None where it says nothing."""
    try:
        with disk.open(os.path.join(maildir, "maildirsize")) as file:
            line = file.readline(_LIMIT_OCTETS).decode("ascii", "replace").strip()
    except OSError:
        return None  # no file of ours: whatever is the matter with it sets no limit
    parts = [_LIMIT.fullmatch(part) for part in line.split(",")]
    limits = {part[2]: int(part[1]) for part in parts if part is not None}
    return Quota(limits.get("S", 0), limits.get("C", 0)) or None


def sum_in_maildirsize(disk: Disk, maildir: str) -> tuple[int, int] | None:
    """Octets and messages that its lines add up to; None where it has none, or cannot be
    read."""
    try:
        lines = disk.read(os.path.join(maildir, "maildirsize")).split(b"\n")[1:]
        pairs = [tuple(map(int, line.split())) for line in lines if line.strip()]
        return (sum(octets for octets, _ in pairs), sum(number for _, number in pairs))
    except (OSError, ValueError):
        return None


def write_maildirsize(disk: Disk, maildir: str, octets: int, messages: int) -> None:
    """The sum anew; the limit in the first line stays. Raises OSError."""
    path = os.path.join(maildir, "maildirsize")
    limit = disk.read(path).partition(b"\n")[0]
    replace_file(disk, path, limit + b"\n%d %d\n" % (octets, messages))
