"""Reading messages into the index: what rows of ``message`` and ``content`` lack.

Messages are read on workers, some at a time, and what was read of them is written in one
commit; a batch is short, so that an account's other commands go on between two. Whoever
needs something now waits for one batch of the background at most: FETCH for facts
(``ensure``), SEARCH and SORT for words too (``ensure_words``). The background reads the facts
of all messages first, since FETCH is what comes next. One large message is in memory at a
time, in the whole process.

What has vanished or cannot be read keeps no content, and answers are given without it. A
message that makes our reader raise is our bug: it is logged with its file's name, and gets
facts without anything in it, so that its mailbox stays usable.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailframe.core.facts import LONGEST_HEADER, MessageFacts, Part
from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.mailbox.index import contents
from mailframe.mailbox.index.contents import ReadFacts, ReadWords, Unread
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.newlines import to_wire
from mailframe.message.facts import read_facts
from mailframe.message.headers import split_message
from mailframe.message.parts import parts_from_bytes
from mailframe.message.searchable import Searchable, read_searchable
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk

T = TypeVar("T")
_LARGE = 8 << 20
_ALL = (0, (1 << 63) - 1)
# How long the background rests before a batch: others get most of the time. Before the first
# one longer: messages that come one after the other are read together.
_REST = 0.02
_SETTLING = 0.1


def _never(found: list[Unread]) -> bool:
    return False


def _always(found: list[Unread]) -> bool:
    return True


def _where_few(found: list[Unread]) -> bool:
    """Nobody has to wait for them: two commits would be one too many."""
    return not contents.is_full(found)


class ContentReader:
    """For all accounts. Everything but what is handed to workers is on the reactor thread."""

    log = Logger()

    def __init__(self, disk: Disk, workers: IWorkers, clock: IReactorTime) -> None:
        self._disk = disk
        self._workers = workers
        self._clock = clock
        self._turns: WeakKeyDictionary[AccountIndex, DeferredLock] = WeakKeyDictionary()
        self._waited_for: WeakKeyDictionary[AccountIndex, int] = WeakKeyDictionary()
        self._large = DeferredLock()
        self._background = Background()
        self._under_way: set[tuple[str, int]] = set()
        self._stopped = False

    async def ensure(
        self, index: AccountIndex, folder: int, maildir: Maildir, uids: Sequence[int]
    ) -> None:
        """Read the facts of what of these messages was not read yet.

        ``folder``: the row's id; ``maildir``: where its files are."""
        if not uids:
            return
        at, last, wanted = min(uids) - 1, max(uids), frozenset(uids)
        with self._urgent(index):
            while at >= 0:
                batch = self._read_facts(index, folder, maildir, at, last, wanted)
                at = await self._ended(batch, maildir)

    async def ensure_words(
        self,
        index: AccountIndex,
        folder: int,
        maildir: Maildir,
        between: tuple[int, int] = _ALL,
    ) -> None:
        """Read all that was not read yet of all messages ``between`` two uids."""
        at, last = max(between[0], 1) - 1, between[1]
        with self._urgent(index):
            while at >= 0:
                batch = self._read_facts(index, folder, maildir, at, last, words=_always)
                at = await self._ended(batch, maildir)
            at = 0
            while at >= 0:
                batch = self._read_words(index, folder, maildir, at, between)
                at = await self._ended(batch, maildir)

    def _ended(self, batch: Coroutine[Any, Any, int], maildir: Maildir) -> Deferred[int]:
        """A batch that was begun is ended though whoever wanted it is gone: what is read is
        remembered, and a worker that has a large message in memory does not let go of it."""
        return self._background.outliving(batch, f"read messages of {maildir.path}")

    @contextlib.contextmanager
    def _urgent(self, index: AccountIndex) -> Iterator[None]:
        """The background of this account waits."""
        self._waited_for[index] = self._waited_for.get(index, 0) + 1
        try:
            yield
        finally:
            self._waited_for[index] -= 1

    def read_in_background(self, index: AccountIndex, folder: int, maildir: Maildir) -> None:
        """Begin to read all of the folder, if that is not under way."""
        key = (index.account, folder)
        if key not in self._under_way and not self._stopped:
            self._under_way.add(key)
            what = f"read folder {folder} of {index.account}"
            self._background.start(self._read_slowly(index, folder, maildir), what)

    def stop(self) -> Deferred[None]:
        """Ends what is done in the background; fires when it has ended."""
        self._stopped = True
        return self._background.stop()

    async def _read_slowly(self, index: AccountIndex, folder: int, maildir: Maildir) -> None:
        uid = content = 0
        try:
            await deferLater(self._clock, _SETTLING)
            while content >= 0:
                await deferLater(self._clock, _REST)
                if self._waited_for.get(index):
                    continue
                # Each time, for what has arrived meanwhile goes first.
                at = await self._read_facts(index, folder, maildir, uid, words=_where_few)
                if at >= 0:
                    uid = at
                else:
                    content = await self._read_words(index, folder, maildir, content)
        except TransientFailure as error:
            # The disk is full, or the index was begun anew: who opens the folder or needs what
            # is missing begins again.
            self.log.warn("{path}: {error}", path=maildir.path, error=error)
        finally:
            self._under_way.discard((index.account, folder))

    async def _read_facts(
        self,
        index: AccountIndex,
        folder: int,
        maildir: Maildir,
        after: int,
        last: int = _ALL[1],
        wanted: frozenset[int] | None = None,
        *,
        words: Callable[[list[Unread]], bool] = _never,
    ) -> int:
        """Of the next messages behind uid ``after``; with their words where ``words`` says so.
        Returns the last uid that was looked at, or -1 when there are no more."""
        return await self._read_batch(
            index,
            lambda connection: contents.without_facts(connection, folder, after, last, wanted),
            lambda found: self._facts_of(maildir, found, words(found)),
            lambda connection, read: contents.write_facts(connection, folder, read),
        )

    async def _read_words(
        self,
        index: AccountIndex,
        folder: int,
        maildir: Maildir,
        after: int,
        between: tuple[int, int] = _ALL,
    ) -> int:
        """Of the next messages behind row ``after`` of ``content``, which have their facts.
        Returns the last row that was looked at, or -1 when there are no more."""
        return await self._read_batch(
            index,
            lambda connection: contents.without_words(connection, folder, after, between),
            lambda found: self._words_of(maildir, found),
            contents.write_words,
        )

    async def _read_batch(
        self,
        index: AccountIndex,
        find: Callable[[sqlite3.Connection], list[Unread]],
        read: Callable[[list[Unread]], list[T]],
        write: Callable[[sqlite3.Connection, list[T]], None],
    ) -> int:
        turn = self._turns.setdefault(index, DeferredLock())
        await turn.acquire()
        try:
            found = await index.read(find)
            if not found:
                return -1
            is_large = found[0].octets > _LARGE
            if is_large:
                await self._large.acquire()
            try:
                done = await self._workers.run(read, found)
                await index.remember(lambda connection: write(connection, done))
            finally:
                if is_large:
                    self._large.release()
            return found[-1].at
        finally:
            turn.release()

    # ---- on a worker

    def _facts_of(
        self, maildir: Maildir, found: Iterable[Unread], with_words: bool
    ) -> list[ReadFacts]:
        return [
            self._read(maildir, message, data, with_words)
            for message in found
            if (data := self._octets(maildir, message)) is not None
        ]

    def _read(self, maildir: Maildir, message: Unread, data: bytes, with_words: bool) -> ReadFacts:
        facts: MessageFacts | None = None
        searchable: Searchable | None = None
        try:
            facts = read_facts(data)
            searchable = read_searchable(data, facts) if with_words else None
        except Exception:  # noqa: BLE001 - our bug must not make a mailbox unusable
            self._tell_bug(maildir, message)
            searchable = Searchable()
        facts = facts or bare_facts(data)
        end = facts.parts.body if facts.parts is not None else len(data)
        header = data[:end] if end <= LONGEST_HEADER else None
        return ReadFacts(message.uid, message.base, facts, header, searchable)

    def _words_of(self, maildir: Maildir, found: Iterable[Unread]) -> list[ReadWords]:
        return [
            ReadWords(message.content, message.email_id, self._searchable(maildir, message, data))
            for message in found
            if (data := self._octets(maildir, message)) is not None
        ]

    def _searchable(self, maildir: Maildir, message: Unread, data: bytes) -> Searchable:
        try:
            return read_searchable(data, MessageFacts(parts=parts_from_bytes(message.parts)))
        except Exception:  # noqa: BLE001 - our bug must not make a mailbox unusable
            self._tell_bug(maildir, message)
            return Searchable()

    def _tell_bug(self, maildir: Maildir, message: Unread) -> None:
        path = os.path.join(maildir.path, message.file_name)
        self.log.failure("cannot understand {path}, which is a bug", path=path)

    def _octets(self, maildir: Maildir, message: Unread) -> bytes | None:
        """In wire format; None where it cannot be read."""
        path = os.path.join(maildir.path, message.file_name)
        try:
            try:
                data = self._disk.read(path)
            except FileNotFoundError:
                # its flags were changed meanwhile, or it is gone
                found = maildir.find(message.base)
                if found is None:
                    return None
                data = self._disk.read(found)
        except OSError as error:
            self.log.warn("cannot read {path}: {error}", path=path, error=error)
            return None
        return data if message.is_verbatim and len(data) == message.octets else to_wire(data)


def bare_facts(data: bytes) -> MessageFacts:
    """Of a message that nobody could read: one text part, nothing in its envelope."""
    header, _ = split_message(data)
    start = min(len(header) + 2, len(data))
    octets, lines = len(data) - start, data.count(b"\n", start)
    structure = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" %d %d' % (octets, lines)
    digest = hashlib.sha256(data).hexdigest()[:40]
    return MessageFacts(
        envelope=b"(" + b" ".join([b"NIL"] * 10) + b")",
        body=structure + b")",
        structure=structure + b" NIL NIL NIL NIL)",
        email_id="X" + digest,
        thread_id="X" + digest,
        parts=Part(0, start, len(data), "text/plain", "7bit", ""),
    )
