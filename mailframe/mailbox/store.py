"""Local mail: every account a Maildir++ below ``BASE/mail`` (``IMailStore``).

A delivery is durable, with its directory entry, before its Deferred fires and before its
event is published. Its file name carries the delivery's token, so that one that is repeated
after a crash finds its earlier self instead of making a second copy. All disk work runs on
the workers: many small messages are one call (``together``), a large one is a call per 256 KB,
and only one where it lies in a file already (``filed``).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core.events import MessageArrived
from mailframe.errors import OutcomeUnknown, PermanentFailure, TransientFailure
from mailframe.interfaces import (
    Delivery,
    IFiledMessage,
    IGroupStore,
    IMailboxEvents,
    IMessageSource,
    IStoredMessage,
    IWorkers,
    MessageInfo,
)
from mailframe.mailbox import tree
from mailframe.mailbox.ahead import Budget
from mailframe.mailbox.committing import GroupCommit, Ready, commit_together
from mailframe.mailbox.failures import MAILBOX_FULL, NO_SUCH_MAILBOX, disk_trouble
from mailframe.mailbox.filed import Filed
from mailframe.mailbox.mailbox import MaildirMailbox, Surroundings
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, host_part, key_of, new_name, uid_of
from mailframe.mailbox.newlines import CRLF
from mailframe.mailbox.paths import account_directory, folder_directory
from mailframe.mailbox.quota import Quota, Quotas, limit_in_maildirsize
from mailframe.mailbox.sizes import WireSizes
from mailframe.mailbox.together import Copy, Share, find_earlier, hold_room
from mailframe.mailbox.writing import Writing
from mailframe.runtime.aio import as_deferred, is_awaitable
from mailframe.runtime.disk import Disk

_CHUNK = 1 << 16
_BUFFERED = 1 << 18  # what of a message is in memory at once
_PLACES = 10_000  # paths of mailboxes kept in memory

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IGroupStore)
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
        self._around = Surroundings(disk, workers, events, clock, self.quotas, self.sizes, Budget())
        self._place = lru_cache(_PLACES)(self._find_place)

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

    def deliver_together(
        self, deliveries: Sequence[Delivery]
    ) -> Deferred[list[MessageInfo | Exception]]:
        return as_deferred(self._deliver_together(deliveries))

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
        await self._must_exist(account)
        _, maildir = self._place(account, folder)
        key = key_of(token)
        info: MessageInfo | None = None
        if repeats:
            (found,) = await self._run(f"look for {token}", find_earlier, [(maildir, key)])
            info = None if found is None else _info(found)
        if info is None:
            info = await self._deliver_anew(account, maildir, message, prefix, key)
        self._publish(account, folder, message, info)
        return info

    async def _must_exist(self, account: str) -> None:
        answer = self._exists(account)
        if not (await answer if is_awaitable(answer) else answer):
            raise PermanentFailure(NO_SUCH_MAILBOX, f"no account {account}")

    def _publish(
        self, account: str, folder: str, message: IStoredMessage, info: MessageInfo
    ) -> None:
        event = MessageArrived(account, folder, info.uid, message.queue_id, info.size)
        self._events.publish(event)

    async def _deliver_anew(
        self,
        account: str,
        maildir: Maildir,
        message: IStoredMessage,
        prefix: bytes,
        key: str,
    ) -> MessageInfo:
        octets = len(prefix) + message.size
        reservation = await self.quotas.reserve(account, octets)
        if reservation is None:
            raise TransientFailure(MAILBOX_FULL, f"{account} has no room for {octets} octets")
        writing, received = self._begin(maildir, key)
        try:
            await self._write(account, writing, message, prefix)
        except BaseException as error:
            reservation.release()
            if writing.is_doubtful and isinstance(error, TransientFailure):
                raise OutcomeUnknown(error.reply, error.detail) from error
            raise
        reservation.settle(writing.disk_size)
        return _info_of(writing, received)

    def _begin(self, maildir: Maildir, key: str, after: int = 0) -> tuple[Writing, int]:
        """A message that is received ``after`` microseconds from now, and its second."""
        micros = int(self._clock.seconds() * 1_000_000) + after
        seconds, micros = divmod(micros, 1_000_000)
        return Writing(maildir, new_name(seconds, micros, key, self._host)), seconds

    async def _write(
        self, account: str, writing: Writing, message: IStoredMessage, prefix: bytes
    ) -> None:
        _, inbox = self._place(account, "")
        if IFiledMessage.providedBy(message):
            filed = Filed(self._disk, prefix, IFiledMessage(message).filed)
            ready = Ready(writing, filed, filed.octets, inbox)
        else:
            rest = await self._write_most(writing, message, prefix)
            ready = _in_memory(writing, rest, inbox)
        try:
            with disk_trouble("deliver"):
                await self._group.commit(ready)
        except BaseException:
            # A worker that has it makes an end of it by itself.
            if not ready.is_under_way:
                await self._abort(writing)
            raise

    async def _write_most(self, writing: Writing, message: IStoredMessage, prefix: bytes) -> bytes:
        """Returns what is still to be written."""
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
        except BaseException:
            await self._abort(writing)
            raise
        finally:
            source.close()
        if ending != CRLF:
            buffered.append(CRLF)  # as ``together.Copy`` has it
        return b"".join(buffered)

    # ---- many

    async def _deliver_together(
        self, deliveries: Sequence[Delivery]
    ) -> list[MessageInfo | Exception]:
        results: list[Copy | Exception] = [self._copy(delivery) for delivery in deliveries]
        copies = [result for result in results if isinstance(result, Copy)]
        if repeated := [copy for copy in copies if copy.delivery.repeats]:
            await self._find_earlier(repeated)
        by_account: dict[str, list[Copy]] = {}
        for copy in copies:
            if copy.result is None:
                by_account.setdefault(copy.delivery.account, []).append(copy)
        admitting = [as_deferred(self._admit(*each)) for each in by_account.items()]
        shares = [share for each in admitting for share in await each]
        await self._commit_shares(shares)
        return [self._told(each) if isinstance(each, Copy) else each for each in results]

    def _copy(self, delivery: Delivery) -> Copy | Exception:
        try:
            _, maildir = self._place(delivery.account, delivery.folder)
            _, inbox = self._place(delivery.account, "")
        except PermanentFailure as failure:
            return failure
        return Copy(delivery, maildir, inbox, key_of(delivery.token))

    async def _find_earlier(self, copies: Sequence[Copy]) -> None:
        try:
            wanted = [(copy.maildir, copy.key) for copy in copies]
            found = await self._run("look for deliveries", find_earlier, wanted)
        except TransientFailure as failure:
            for copy in copies:
                copy.fail(failure)
            return
        for copy, name in zip(copies, found, strict=True):
            if name is not None:
                copy.result = _info(name)

    async def _admit(self, account: str, copies: Sequence[Copy]) -> list[Share]:
        """Those that may come in; the others fail."""
        try:
            await self._must_exist(account)
            return await hold_room(self.quotas, account, copies)
        except Exception as error:  # noqa: BLE001 - about this account, and told of its mail
            for copy in copies:
                copy.fail(error)
            return []

    async def _commit_shares(self, shares: Sequence[Share]) -> None:
        copies = [copy for share in shares for copy in share.copies]
        if not copies:
            return
        received = []
        for number, copy in enumerate(copies):
            writing, seconds = self._begin(copy.maildir, copy.key, number)
            copy.ready = _in_memory(writing, copy.content, copy.inbox)
            received.append(seconds)
        try:
            await self._workers.run(commit_together, [copy.ready for copy in copies])
        except TransientFailure as failure:  # the workers are overloaded: nothing was begun
            for copy in copies:
                copy.fail(failure)
        else:
            for copy, seconds in zip(copies, received, strict=True):
                self._take_result(copy, seconds)
        finally:
            for share in shares:
                share.end()

    def _take_result(self, copy: Copy, received: int) -> None:
        assert copy.ready is not None
        if copy.ready.error is None:
            copy.result = _info_of(copy.ready.writing, received)
            return
        copy.fail(copy.ready.error)
        if copy.ready.writing.is_doubtful and isinstance(copy.result, TransientFailure):
            copy.result = OutcomeUnknown(copy.result.reply, copy.result.detail)

    def _told(self, copy: Copy) -> MessageInfo | Exception:
        result = copy.result
        assert result is not None
        if isinstance(result, MessageInfo):
            delivery = copy.delivery
            self._publish(delivery.account, delivery.folder, delivery.message, result)
        return result

    # ---- the disk

    async def _abort(self, writing: Writing) -> None:
        if not writing.has_begun:
            return
        try:
            await self._workers.run(writing.abort)
        except TransientFailure:  # the workers are overloaded: two short calls, here
            writing.abort()

    async def _room(self, account: str, octets: int) -> bool:
        return await self.quotas.has_room(account, octets)

    async def _count(self, account: str) -> tuple[int, int]:
        _, maildir = self._place(account, "")
        return await self._run(f"count {maildir.path}", tree.usage, maildir)

    async def _limit_in_maildir(self, account: str) -> Quota | None:
        _, maildir = self._place(account, "")
        what = f"quota of {maildir.path}"
        return await self._run(what, limit_in_maildirsize, self._disk, maildir.path)

    def _find_place(self, account: str, folder: str) -> tuple[str, Maildir]:
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


def _in_memory(writing: Writing, content: bytes, inbox: Maildir) -> Ready:
    return Ready(writing, (content,), len(content), inbox)


def _info(name: FileName) -> MessageInfo:
    assert name.wire_size is not None  # our own names have it
    assert name.received is not None
    return MessageInfo(name.uid, name.wire_size, float(name.received))


def _info_of(writing: Writing, received: int) -> MessageInfo:
    """The same, as its name will be read."""
    return MessageInfo(uid_of(writing.unique), writing.wire_size, float(received))
