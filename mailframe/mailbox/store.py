"""Local mail: every account a Maildir++ below ``BASE/mail`` (``IMailStore``).

A delivery is durable, with its directory entry, before its Deferred fires and before its
event is published. Its file name carries the delivery's token, so that one that is repeated
after a crash finds its earlier self instead of making a second copy. All disk work runs on
the workers: a small message is a part of one call, a large one a call per 256 KB more.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core.events import MessageArrived
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IMailboxEvents,
    IMailStore,
    IMessageSource,
    IStoredMessage,
    IWorkers,
    MessageInfo,
)
from mailframe.mailbox import tree
from mailframe.mailbox.committing import Found, GroupCommit
from mailframe.mailbox.failures import MAILBOX_FULL, NO_SUCH_MAILBOX, disk_trouble
from mailframe.mailbox.mailbox import MaildirMailbox, Surroundings
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, host_part, key_of, new_name
from mailframe.mailbox.paths import account_directory, folder_directory
from mailframe.mailbox.quota import Quota, Quotas, limit_in_maildirsize
from mailframe.mailbox.sizes import WireSizes
from mailframe.mailbox.writing import Writing
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.disk import Disk

_CHUNK = 1 << 16
_BUFFERED = 1 << 18  # what of a message is in memory at once

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IMailStore)
class MaildirStore:
    """The mail of all accounts of one server."""

    def __init__(
        self,
        base: str,
        disk: Disk,
        workers: IWorkers,
        *,
        events: IMailboxEvents,
        clock: IReactorTime,
        hostname: str,
        exists: Callable[[str], bool | Awaitable[bool]] = lambda account: True,
        quota: Callable[[str], Quota | Awaitable[Quota | None] | None] = lambda account: None,
    ) -> None:
        """``base``: the directory that holds ``mail``. ``workers``: for disk work; 4 to 16
        threads pay. ``exists`` and ``quota`` answer for an account name; the defaults take
        every account and set no limit."""
        self._base = base
        self._disk = disk
        self._workers = workers
        self._events = events
        self._clock = clock
        self._host = host_part(hostname)
        self._exists = exists
        self.quotas = Quotas(quota, self._count, clock, self._limit_in_maildir)
        self._group = GroupCommit(workers)
        self.sizes = WireSizes()
        self._around = Surroundings(disk, workers, events, clock, self.quotas, self.sizes)
        # Deliveries that failed so that their file may be there nevertheless.
        self._doubtful: set[str] = set()

    def deliver(
        self,
        account: str,
        folder: str,
        message: IStoredMessage,
        prefix: bytes,
        token: str,
        repeats: bool,
    ) -> Deferred[MessageInfo]:
        return as_deferred(self._deliver(account, folder, message, prefix, token, repeats))

    def room(self, account: str, octets: int) -> Deferred[bool]:
        return as_deferred(self._room(account, octets))

    def mailbox(self, account: str, folder: str = "") -> MaildirMailbox:
        """A view for one session; nothing is touched yet. Raises PermanentFailure for a
        name that cannot be a mailbox."""
        home, maildir = self._place(account, folder)
        return MaildirMailbox(account, folder, home, maildir, self._around)

    def account_folders(self, account: str) -> Deferred[tuple[str, ...]]:
        """Folders beside the INBOX, sorted."""
        _, maildir = self._place(account, "")
        return as_deferred(self._run(f"list {maildir.path}", lambda: tuple(maildir.folders())))

    def sweep(self) -> Deferred[int]:
        """Remove what dead deliveries left in any ``tmp``; fires with the number of files.
        Once a day is enough."""
        return as_deferred(self._run("sweep tmp", self._sweep_all, self._clock.seconds()))

    async def _deliver(
        self,
        account: str,
        folder: str,
        message: IStoredMessage,
        prefix: bytes,
        token: str,
        repeats: bool,
    ) -> MessageInfo:
        if not await result_of(self._exists(account)):
            raise PermanentFailure(NO_SUCH_MAILBOX, f"no account {account}")
        _, maildir = self._place(account, folder)
        key = key_of(token)
        found: Found | None = None
        if repeats or key in self._doubtful:
            found = await self._run(f"look for {token}", self._find_delivery, maildir, key)
        if found is None:
            found = await self._deliver_anew(account, maildir, message, prefix, key)
        self._doubtful.discard(key)
        info = _info(found[1])
        self._events.publish(MessageArrived(account, folder, info.uid, message.queue_id, info.size))
        return info

    async def _deliver_anew(
        self,
        account: str,
        maildir: Maildir,
        message: IStoredMessage,
        prefix: bytes,
        key: str,
    ) -> Found:
        octets = len(prefix) + message.size
        reservation = await self.quotas.reserve(account, octets)
        if reservation is None:
            raise TransientFailure(MAILBOX_FULL, f"{account} has no room for {octets} octets")
        now = self._clock.seconds()
        unique = new_name(now, int(now % 1 * 1_000_000), key, self._host)
        writing = Writing(maildir, unique)
        try:
            found = await self._write(account, writing, message, prefix)
        except BaseException:
            reservation.release()
            if writing.is_doubtful:
                self._doubtful.add(key)
            raise
        reservation.settle(found[1].size or octets)
        return found

    async def _write(
        self, account: str, writing: Writing, message: IStoredMessage, prefix: bytes
    ) -> Found:
        _, inbox = self._place(account, "")
        source: IMessageSource = await message.open()
        buffered, size = [prefix], len(prefix)
        ending = b""
        try:
            while chunk := await source.read(_CHUNK):
                buffered.append(chunk)
                ending = (ending + chunk)[-2:]
                size += len(chunk)
                if size >= _BUFFERED:
                    await self._run("deliver", writing.write, b"".join(buffered))
                    buffered, size = [], 0
            if ending != b"\r\n":
                # BDAT may bring a message that breaks off within a line. POP3 ends that line,
                # and the size that is announced must say so.
                buffered.append(b"\r\n")
            with disk_trouble("deliver"):
                found = await self._group.commit(writing, b"".join(buffered), inbox)
        except BaseException:
            await self._abort(writing)
            raise
        finally:
            source.close()
        return found

    async def _abort(self, writing: Writing) -> None:
        if not writing.has_begun:
            return
        try:
            await self._workers.run(writing.abort)
        except TransientFailure:  # the workers are overloaded: two short calls, here
            writing.abort()

    def _find_delivery(self, maildir: Maildir, key: str) -> Found | None:
        found = maildir.find_delivery(key)
        if found is not None:
            # Whoever put it there may have died before this.
            self._disk.sync_directory(os.path.dirname(found[0]))
        return found

    async def _room(self, account: str, octets: int) -> bool:
        return await self.quotas.has_room(account, octets)

    async def _count(self, account: str) -> tuple[int, int]:
        _, maildir = self._place(account, "")
        return await self._run(f"count {maildir.path}", tree.usage, maildir)

    async def _limit_in_maildir(self, account: str) -> Quota | None:
        _, maildir = self._place(account, "")
        what = f"quota of {maildir.path}"
        return await self._run(what, limit_in_maildirsize, self._disk, maildir.path)

    def _place(self, account: str, folder: str) -> tuple[str, Maildir]:
        """The account's directory and the folder's Maildir."""
        try:
            home = account_directory(self._base, account)
            path = folder_directory(os.path.join(home, "Maildir"), folder)
        except ValueError as error:
            raise PermanentFailure(NO_SUCH_MAILBOX, str(error)) from error
        return home, Maildir(path, self._disk)

    def _sweep_all(self, now: float) -> int:
        return sum(
            maildir.sweep(now)
            for _, inbox in tree.inboxes(self._base, self._disk)
            for maildir in tree.with_folders(inbox)
        )

    async def _run(
        self, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """On a worker; trouble with the disk becomes TransientFailure."""
        with disk_trouble(what):
            result: T = await self._workers.run(partial(function, *args, **kwargs))
        return result


def _info(name: FileName) -> MessageInfo:
    assert name.wire_size is not None  # our own names have it
    assert name.received is not None
    return MessageInfo(name.uid, name.wire_size, float(name.received))
