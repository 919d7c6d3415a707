"""Quota: how much an account may keep, and how much it does.

What is counted are octets on disk and messages, in all folders, as Maildir++ counts them.
The figures live in memory: one count of the file names when first asked for, then kept up
with every delivery and removal of ours. Other programs change Maildirs too, so a count is
renewed after a quarter of an hour, and before anything is refused. A crash loses nothing
but a count. Deliveries under way are reserved, so that many at once cannot overfill; those
that end while a count runs may be counted twice until the next: never too little.

Where other programs keep a ``maildirsize`` file in the Maildir, our changes are added to it
(``note_in_maildirsize``), as Maildir++ asks of every writer; it is never made or read here.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.runtime.aio import result_of
from mailframe.runtime.disk import Disk

_RENEW_SECONDS = 15 * 60  # Maildir++'s own age limit for maildirsize
_RECOUNT_SECONDS = 30  # a full mailbox is counted anew at most this often
_ACCOUNTS = 10_000  # counts kept in memory


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
    added: list[int] = field(default_factory=list)
    """Sizes that were settled while a count runs."""

    def fits(self, quota: Quota, octets: int) -> bool:
        total = self.octets + self.reserved_octets + octets
        messages = self.messages + self.reserved_messages + 1
        return (not quota.octets or total <= quota.octets) and (
            not quota.messages or messages <= quota.messages
        )


class Reservation:
    """Room held for one delivery; ``settle`` or ``release`` ends it."""

    def __init__(self, usage: _Usage | None, octets: int) -> None:
        self._usage = usage
        self._octets = octets
        if usage is not None:
            usage.reserved_octets += octets
            usage.reserved_messages += 1

    def settle(self, octets: int) -> None:
        """It is there, with so many octets on disk."""
        if (usage := self._usage) is None:
            return
        self.release()
        usage.octets += octets
        usage.messages += 1
        if usage.counting is not None:
            usage.added.append(octets)

    def release(self) -> None:
        """It is not there."""
        if (usage := self._usage) is None:
            return
        self._usage = None
        usage.reserved_octets -= self._octets
        usage.reserved_messages -= 1


class Quotas:
    """The accounts' quotas and usage. Everything happens on the reactor thread.

    ``limit(account)`` gives the Quota or None. ``count(account)`` gives octets and messages
    as they are on disk.
    """

    def __init__(
        self,
        limit: Callable[[str], Quota | Awaitable[Quota | None] | None],
        count: Callable[[str], Awaitable[tuple[int, int]]],
        clock: IReactorTime,
    ) -> None:
        self._limit = limit
        self._count = count
        self._clock = clock
        self._usages: OrderedDict[str, _Usage] = OrderedDict()

    async def has_room(self, account: str, octets: int) -> bool:
        """Whether so many more octets fit. Fails as ``count`` and ``limit`` do."""
        return await self._find_room(account, octets) is not None

    async def reserve(self, account: str, octets: int) -> Reservation | None:
        """Hold room for a delivery; None when it does not fit."""
        found = await self._find_room(account, octets)
        return None if found is None else Reservation(found[0], octets)

    def removed(self, account: str, octets: int, messages: int) -> None:
        usage = self._usages.get(account)
        # While a count runs nobody knows whether it saw them: rather too much than too little.
        if usage is not None and usage.counting is None:
            usage.octets = max(0, usage.octets - octets)
            usage.messages = max(0, usage.messages - messages)

    async def _find_room(self, account: str, octets: int) -> tuple[_Usage | None] | None:
        quota = await result_of(self._limit(account))
        if not quota:
            return (None,)  # nothing to count
        for age in (_RENEW_SECONDS, _RECOUNT_SECONDS):
            usage = await self._counted(account, age)
            # No await between this and the reservation.
            if usage.fits(quota, octets):
                return (usage,)
        return None

    async def _counted(self, account: str, age: float) -> _Usage:
        usage = self._usages.setdefault(account, _Usage())
        self._usages.move_to_end(account)
        self._forget_some()
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
            usage.octets = octets + sum(usage.added)
            usage.messages = messages + len(usage.added)
            usage.counted_at = self._clock.seconds()
        finally:
            waiters, usage.counting = usage.counting, None
            for waiter in waiters:
                waiter.callback(None)

    def _forget_some(self) -> None:
        for account in list(self._usages)[: max(0, len(self._usages) - _ACCOUNTS)]:
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
