"""Reading messages into the index: what ``message`` rows without ``content`` lack.

Messages are read on workers, some at a time, and what was read of them is written in one
commit; a batch is short, so that an account's other commands go on between two. Whoever
needs something now (``ensure``) waits for one batch of the background at most. One large
message is in memory at a time, in the whole process.

What has vanished or cannot be read keeps no content, and answers are given without it. A
message that makes our reader raise is our bug: it is logged with its file's name, and gets
facts without anything in it, so that its mailbox stays usable.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailframe.core.facts import MessageFacts, Part
from mailframe.interfaces import IWorkers
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.place import as_name, as_stored
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.newlines import to_wire
from mailframe.message.facts import read_facts
from mailframe.message.headers import split_message
from mailframe.message.parts import parts_to_bytes
from mailframe.message.searchable import Searchable, read_searchable
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk

_BATCH = 64
_BATCH_OCTETS = 2 << 20
_LARGE = 8 << 20
_LAST = (1 << 63) - 1
# How long the background rests after a batch: others get most of the time.
_REST = 0.02


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that lacks its content."""

    uid: int
    base: str
    place: str
    octets: int
    """On disk."""
    is_verbatim: bool
    """The file is in wire format: what it has on disk is what is announced."""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    uid: int
    base: str
    facts: MessageFacts
    searchable: Searchable


class ContentReader:
    """For all accounts. Everything but what is handed to workers is on the reactor thread."""

    log = Logger()

    def __init__(self, disk: Disk, workers: IWorkers, clock: IReactorTime) -> None:
        self._disk = disk
        self._workers = workers
        self._clock = clock
        self._turns: WeakKeyDictionary[AccountIndex, DeferredLock] = WeakKeyDictionary()
        self._large = DeferredLock()
        self._background = Background()
        self._under_way: set[tuple[str, int]] = set()
        self._stopped = False

    async def ensure(
        self,
        index: AccountIndex,
        folder: int,
        maildir: Maildir,
        uids: Sequence[int] | None = None,
        *,
        between: tuple[int, int] = (0, _LAST),
    ) -> None:
        """Read what of these messages (None: of all ``between`` two uids) was not read yet.

        ``folder``: the row's id; ``maildir``: where its files are."""
        if uids is not None and not uids:
            return
        first, last = between if uids is None else (min(uids), max(uids))
        wanted = None if uids is None else frozenset(uids)
        after = first - 1
        while (after := await self._read_batch(index, folder, maildir, after, last, wanted)) >= 0:
            pass

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
        after = 0
        try:
            while after >= 0:
                after = await self._read_batch(index, folder, maildir, after, _LAST, None)
                await deferLater(self._clock, _REST)
        finally:
            self._under_way.discard((index.account, folder))

    async def _read_batch(
        self,
        index: AccountIndex,
        folder: int,
        maildir: Maildir,
        after: int,
        last: int,
        wanted: frozenset[int] | None,
    ) -> int:
        """The next messages behind uid ``after``. Returns the last uid that was looked at, or
        -1 when there are no more."""
        turn = self._turns.setdefault(index, DeferredLock())
        await turn.acquire()
        try:
            found: list[Unread] = await index.read(
                lambda connection: unread(connection, folder, after, last, wanted)
            )
            if not found:
                return -1
            is_large = found[0].octets > _LARGE
            if is_large:
                await self._large.acquire()
            try:
                read = await self._workers.run(self._read_all, maildir, found)
                await index.run(lambda connection: write(connection, folder, read))
            finally:
                if is_large:
                    self._large.release()
            return found[-1].uid
        finally:
            turn.release()

    # ---- on a worker

    def _read_all(self, maildir: Maildir, found: Iterable[Unread]) -> list[ReadMessage]:
        read = []
        for message in found:
            data = self._octets(maildir, message)
            if data is not None:
                read.append(self._read(maildir, message, data))
        return read

    def _octets(self, maildir: Maildir, message: Unread) -> bytes | None:
        """In wire format; None where it cannot be read."""
        path = os.path.join(maildir.path, _file_name(message))
        try:
            try:
                data = self._whole(path)
            except FileNotFoundError:
                # its flags were changed meanwhile, or it is gone
                found = maildir.find(message.base)
                if found is None:
                    return None
                data = self._whole(found)
        except OSError as error:
            self.log.warn("cannot read {path}: {error}", path=path, error=error)
            return None
        return data if message.is_verbatim and len(data) == message.octets else to_wire(data)

    def _whole(self, path: str) -> bytes:
        with self._disk.open(path) as file:
            return file.read()

    def _read(self, maildir: Maildir, message: Unread, data: bytes) -> ReadMessage:
        facts: MessageFacts | None = None
        try:
            facts = read_facts(data)
            searchable = read_searchable(data, facts)
        except Exception:  # noqa: BLE001 - our bug must not make a mailbox unusable
            path = os.path.join(maildir.path, _file_name(message))
            self.log.failure("cannot understand {path}, which is a bug", path=path)
            searchable = Searchable()
        return ReadMessage(message.uid, message.base, facts or bare_facts(data), searchable)


def _file_name(message: Unread) -> str:
    directory, _, info = message.place.partition("/")
    return f"{directory}/{message.base}{info}"


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


# ---- jobs


def unread(
    connection: sqlite3.Connection,
    folder: int,
    after: int,
    last: int,
    wanted: frozenset[int] | None,
) -> list[Unread]:
    """The next batch: some small messages, or one large one. ``wanted`` None: all."""
    rows = connection.execute(
        "SELECT uid, base, place, octets, size FROM message"
        " WHERE folder = ? AND uid > ? AND uid <= ? AND content IS NULL ORDER BY uid",
        (folder, after, last),
    )
    found: list[Unread] = []
    total = 0
    for uid, base, place, octets, size in rows:
        if wanted is not None and uid not in wanted:
            continue
        total += octets
        if found and (total > _BATCH_OCTETS or len(found) >= _BATCH):
            break
        found.append(Unread(uid, as_name(base), as_name(place), octets, octets == size))
    rows.close()
    return found


def write(connection: sqlite3.Connection, folder: int, read: Iterable[ReadMessage]) -> None:
    """What was read. Equal messages share one row of content."""
    for message in read:
        content = _content(connection, message)
        connection.execute(
            "UPDATE message SET content = ?"
            " WHERE folder = ? AND uid = ? AND base = ? AND content IS NULL",
            (content, folder, message.uid, as_stored(message.base)),
        )


def _content(connection: sqlite3.Connection, message: ReadMessage) -> int:
    facts, searchable = message.facts, message.searchable
    row = connection.execute(
        "SELECT id FROM content WHERE email_id = ?", (facts.email_id,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    parts = b"" if facts.parts is None else parts_to_bytes(facts.parts)
    cursor = connection.execute(
        "INSERT INTO content (email_id, thread_id, envelope, body, structure, parts, preview)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            facts.email_id,
            facts.thread_id,
            facts.envelope,
            facts.body,
            facts.structure,
            parts,
            facts.preview,
        ),
    )
    content = cursor.lastrowid
    assert content is not None
    connection.execute(
        "INSERT INTO heading (content, sent, sent_day, from_, to_, cc, bcc, subject, base_subject,"
        " from_key, to_key, cc_key, display_from, display_to, is_reply, message_id,"
        " reference_ids) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            content,
            searchable.sent,
            searchable.sent_day,
            searchable.from_,
            searchable.to,
            searchable.cc,
            searchable.bcc,
            searchable.subject,
            searchable.base_subject,
            searchable.from_key,
            searchable.to_key,
            searchable.cc_key,
            searchable.display_from,
            searchable.display_to,
            searchable.is_reply,
            searchable.message_id,
            searchable.reference_ids,
        ),
    )
    connection.execute(
        "INSERT INTO words (content, headers, body) VALUES (?, ?, ?)",
        (content, searchable.headers, searchable.body),
    )
    return content
