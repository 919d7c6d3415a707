"""A folder as the jobs of its account's index see it: directories, row, and what was seen.

A ``FolderPlace`` belongs to the jobs: they follow one another, so nothing in it is locked.
What a job did to a folder is a ``Delta``; on the reactor thread it becomes part of what the
sessions see.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailframe.core.folders import MessageState
from mailframe.mailbox import folder_file
from mailframe.mailbox.index.flags import flag_set
from mailframe.mailbox.index.keywords import Keywords
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import folder_directory
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.disk import Disk

NEVER = (0, 0)
_TICK = 20_000_000  # ns; file systems stamp with the kernel's tick, 10 ms at most
_SECONDS = 2_000_000_000  # where stamps have whole seconds only
_CHUNK = 500


@dataclass(slots=True)
class Delta:
    """What one commit did to one folder."""

    uid_next: int
    modseq: int
    arrived: list[MessageState] = field(default_factory=list)
    changed: list[MessageState] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)


class Stored(NamedTuple):
    """A message's row, as far as its file is concerned; made of many rows at once."""

    uid: int
    base: str
    place: str
    flags: str
    modseq: int
    size: int
    octets: int
    received: int
    saved: int
    content: int | None

    @property
    def directory(self) -> str:
        return self.place[:3]

    @property
    def info(self) -> str:
        return self.place[4:]

    @property
    def relative(self) -> str:
        return relative(self.base, self.place)

    def state(self) -> MessageState:
        return MessageState(
            self.uid, flag_set(self.flags), self.modseq, self.size, self.received, self.saved
        )


class FolderPlace:
    def __init__(self, account: str, folder: str, home: str, path: str, disk: Disk,
                 sizes: WireSizes) -> None:  # fmt: skip
        self.account = account
        self.folder = folder
        self.home = home
        self.disk = disk
        self.sizes = sizes
        self.id = 0
        """Of its row."""
        self.move_to(folder, path)

    def move_to(self, folder: str, path: str) -> None:
        """The folder was renamed."""
        self.folder = folder
        self.maildir = Maildir(path, self.disk)
        self.keywords = Keywords(self.disk, path)
        self._identity = NEVER
        self.stamps = NEVER
        self.has_new = True
        """Something may lie in new/."""
        self.is_doubtful = True
        """What is noted may not be all, though the directories look the same."""

    @property
    def path(self) -> str:
        return self.maildir.path

    def is_still(self, mailbox_id: str) -> bool:
        """Whether the directory is that folder, and not another one that was put there under
        its name. Raises FileNotFoundError where there is no folder at all."""
        try:
            status = self.disk.status(os.path.join(self.path, folder_file.FILE))
        except FileNotFoundError:
            self.disk.status(self.maildir.subdirectory("cur"))
            return False
        identity = status.st_mtime_ns, status.st_ino
        if identity != self._identity:
            truth = folder_file.read(self.disk, self.path)
            if truth is None or truth.mailbox_id != mailbox_id:
                return False
            self._identity = identity
        return True

    def look(self) -> tuple[int, int]:
        """When new/ and cur/ changed, ns; 0 where there is none."""
        return self._changed("new"), self._changed("cur")

    def doubt(self) -> None:
        """A job failed after it may have touched files: look again, whatever is noted."""
        self.stamps = NEVER
        self.is_doubtful = True

    def note_own_change(self, before: tuple[int, int]) -> None:
        """We changed the directories, which looked like ``before`` before."""
        if before == self.stamps:
            self.stamps = self.look()
        # What another program did in that time is told by no stamp.
        self.is_doubtful = True

    def path_of(self, folder: str) -> str:
        """Where another folder of the account is. Raises ValueError."""
        return folder_directory(os.path.join(self.home, "Maildir"), folder)

    def file(self, base: str, place: str) -> str:
        return os.path.join(self.maildir.path, relative(base, place))

    def _changed(self, name: str) -> int:
        try:
            return self.disk.status(self.maildir.subdirectory(name)).st_mtime_ns
        except FileNotFoundError:
            return 0


def is_settled(stamps: Iterable[int], now: float) -> bool:
    """Whether a later change must have another stamp, at ``now``, seconds."""
    for stamp in stamps:
        grain = _TICK if stamp % 1_000_000_000 else _SECONDS
        if now * 1e9 - stamp < grain:
            return False
    return True


def relative(base: str, place: str) -> str:
    return place[:4] + base + place[4:]


def as_stored(text: str) -> str | bytes:
    """File names need not be UTF-8; SQLite's text must be."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def as_name(value: str | bytes) -> str:
    return value if isinstance(value, str) else os.fsdecode(value)


def stored_rows(
    connection: sqlite3.Connection, folder: int, uids: Sequence[int]
) -> Iterator[Stored]:
    """Of those that are there, uids ascending when ``uids`` do."""
    columns = "uid, base, place, flags, modseq, size, octets, received, saved, content"
    query = f"SELECT {columns} FROM message WHERE folder = ? "
    for low, high, chunk in _chunks(uids):
        if len(chunk) == high - low + 1:
            rows = connection.execute(query + "AND uid BETWEEN ? AND ?", (folder, low, high))
        else:
            marks = ",".join("?" * len(chunk))
            rows = connection.execute(query + f"AND uid IN ({marks})", (folder, *chunk))
        for uid, base, place, *rest in rows.fetchall():
            yield Stored(uid, as_name(base), as_name(place), *rest)


def _chunks(uids: Sequence[int]) -> Iterator[tuple[int, int, Sequence[int]]]:
    for start in range(0, len(uids), _CHUNK):
        chunk = uids[start : start + _CHUNK]
        yield min(chunk), max(chunk), chunk


def next_modseq(connection: sqlite3.Connection, folder: int) -> int:
    """A mod-sequence for this commit; what the directories were like is not sure any more."""
    row = connection.execute(
        "UPDATE folder SET modseq = modseq + 1, new_stamp = 0, cur_stamp = 0 "
        "WHERE id = ? RETURNING modseq",
        (folder,),
    ).fetchone()
    modseq: int = row[0]
    return modseq


def take_uids(connection: sqlite3.Connection, folder: int, number: int) -> int:
    """The first of so many uids that are nobody's."""
    row = connection.execute(
        "UPDATE folder SET uid_next = uid_next + ? WHERE id = ? RETURNING uid_next",
        (number, folder),
    ).fetchone()
    return int(row[0]) - number


def uid_next(connection: sqlite3.Connection, folder: int) -> int:
    row = connection.execute("SELECT uid_next FROM folder WHERE id = ?", (folder,)).fetchone()
    return int(row[0])


INSERT = """
    INSERT INTO message
        (folder, uid, base, place, flags, modseq, size, octets, received, saved, content)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_LOG_LIMIT = 50_000  # uids a folder's vanished log holds; then the older half is forgotten


def note_vanished(
    connection: sqlite3.Connection, folder: int, modseq: int, uids: Sequence[int]
) -> None:
    """Their rows are removed here too."""
    contents: set[int] = set()
    for _, _, chunk in _chunks(uids):
        marks = ",".join("?" * len(chunk))
        contents.update(
            content
            for (content,) in connection.execute(
                f"SELECT content FROM message WHERE folder = ? AND uid IN ({marks})",
                (folder, *chunk),
            )
            if content is not None
        )
    pairs = [(folder, uid) for uid in uids]
    connection.executemany("DELETE FROM message WHERE folder = ? AND uid = ?", pairs)
    forget_contents(connection, contents)
    connection.executemany(
        "INSERT INTO vanished (folder, modseq, uid) VALUES (?, ?, ?)",
        [(folder, modseq, uid) for uid in uids],
    )
    _prune(connection, folder)


def forget_contents(connection: sqlite3.Connection, contents: Iterable[int]) -> None:
    """What was read of messages, where no message has it any more."""
    unused = [
        (content,)
        for content in contents
        if connection.execute(
            "SELECT 1 FROM message WHERE content = ? LIMIT 1", (content,)
        ).fetchone()
        is None
    ]
    for statement in (
        "DELETE FROM content WHERE id = ?",
        "DELETE FROM header WHERE content = ?",
        "DELETE FROM heading WHERE content = ?",
        "DELETE FROM words WHERE content = ?",
    ):
        connection.executemany(statement, unused)


def _prune(connection: sqlite3.Connection, folder: int) -> None:
    cut = connection.execute(
        "SELECT modseq FROM vanished WHERE folder = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (folder, _LOG_LIMIT),
    ).fetchone()
    if cut is None:
        return
    middle = connection.execute(
        "SELECT modseq FROM vanished WHERE folder = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (folder, _LOG_LIMIT // 2),
    ).fetchone()[0]
    connection.execute("DELETE FROM vanished WHERE folder = ? AND modseq <= ?", (folder, middle))
    connection.execute(
        "UPDATE folder SET vanished_from = max(vanished_from, ?) WHERE id = ?", (middle, folder)
    )
