"""A mailbox written for Twisted Mail (``IMailboxPOP3``) as one of ours (``IMailbox``).

Every method of the old interface may return a value or a Deferred. Deletions are made only
when the session asks for ``remove``, which POP3 does at QUIT. Sizes are what the mailbox
says in ``listMessages``; a message goes out with CRLF line endings whatever its file has, so
for a mailbox that counts bare LF the size told beforehand is a little small, as it always was.
Files are read on a worker thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, BinaryIO

from zope.interface import implementer

from mailframe.errors import MailboxBusy, MessageGone
from mailframe.interfaces import IMailbox, IMessageSource, IWorkers, MessageInfo
from mailframe.runtime.aio import result_of

_LONGEST_UID = 70  # RFC 1939 section 7


class Locks:
    """Accounts that a session holds: these mailboxes know no lock of their own."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def take(self, account: str) -> None:
        if account in self._held:
            raise MailboxBusy(account)
        self._held.add(account)

    def give_back(self, account: str) -> None:
        self._held.discard(account)


@implementer(IMailbox)
class TwistedMailbox:
    def __init__(self, pop3: Any, account: str, locks: Locks, workers: IWorkers) -> None:
        self._pop3 = pop3
        self._account = account
        self._locks = locks
        self._workers = workers
        self._holds = False
        self._index: dict[str, int] = {}

    async def lock(self) -> None:
        if not self._holds:
            self._locks.take(self._account)
            self._holds = True

    async def unlock(self) -> None:
        if self._holds:
            self._locks.give_back(self._account)
            self._holds = False

    async def messages(self) -> tuple[MessageInfo, ...]:
        sizes: list[int] = list(await result_of(self._pop3.listMessages()))
        self._index = {}
        found = []
        for index, size in enumerate(sizes):
            if not size:
                continue  # how the old interface says: deleted
            uid = _uid(await result_of(self._pop3.getUidl(index)))
            if uid not in self._index:
                self._index[uid] = index
                found.append(MessageInfo(uid, size, received=0.0))
        return tuple(found)

    async def open(self, uid: str) -> IMessageSource:
        index = await self._index_of(uid)
        try:
            file: BinaryIO = await result_of(self._pop3.getMessage(index))
            size: int = await result_of(self._pop3.listMessages(index))
        except (ValueError, IndexError, OSError) as error:
            raise MessageGone(uid) from error
        return TwistedMessage(file, size, self._workers)

    async def remove(self, uids: Collection[str]) -> frozenset[str]:
        left = set()
        for uid in uids:
            try:
                await result_of(self._pop3.deleteMessage(await self._index_of(uid)))
            except (MessageGone, ValueError, IndexError):
                continue  # gone already
            except OSError:
                left.add(uid)
        await result_of(self._pop3.sync())
        return frozenset(left)

    async def _index_of(self, uid: str) -> int:
        if not self._index:
            await self.messages()
        try:
            return self._index[uid]
        except KeyError:
            raise MessageGone(uid) from None


@implementer(IMessageSource)
class TwistedMessage:
    """Wire format from a file with either kind of line ending."""

    def __init__(self, file: BinaryIO, size: int, workers: IWorkers) -> None:
        self.size = size
        self._file = file
        self._workers = workers
        self._after_cr = False

    async def read(self, octets: int) -> bytes:
        try:
            chunk: bytes = await self._workers.run(self._file.read, octets)
        except (OSError, ValueError) as error:
            raise MessageGone("the message's file broke off") from error
        return self._wire(chunk)

    def close(self) -> None:
        self._file.close()

    def _wire(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        text = b"\r" + chunk if self._after_cr else chunk
        wire = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        skipped = self._after_cr
        self._after_cr = chunk.endswith(b"\r")
        return wire[1:] if skipped else wire


def _uid(uidl: bytes | str) -> str:
    """As it is where RFC 1939 allows it, else a digest: the same each time."""
    raw = uidl.encode() if isinstance(uidl, str) else uidl
    if 0 < len(raw) <= _LONGEST_UID and all(0x21 <= octet <= 0x7E for octet in raw):
        return raw.decode("ascii")
    return hashlib.sha256(raw).hexdigest()
