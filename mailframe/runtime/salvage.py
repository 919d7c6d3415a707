"""What can still be read of a damaged SQLite file, copied row by row into a new one.

``mend`` makes ``PATH.mended`` from what the tables, their indexes and keys found elsewhere
lead to; then the damaged file, with its log, becomes ``PATH.damaged-STAMP`` and the new one
takes its place. Nothing is deleted. Whatever a crash interrupts is finished or begun anew by
the next ``mend`` or ``finish``: ``PATH.mended`` is complete whenever it is there.

Rows are copied, not judged: what nonsense a readable row may hold is its owner's business.
Octets that changed within a text without harm to the tree are not noticed; SQLite has no
checksums. Pages that the tables do not lead to are left alone: they hold what was deleted,
and mail that was delivered must not come back.

Blocks; nobody else may use the file meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailframe.runtime.disk import Disk

_BUSY_SECONDS = 10.0
_BESIDE = ("-wal", "-shm", "-journal")
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_COPY = 1 << 20

Values = tuple[object, ...]


class DamagedFile(sqlite3.DatabaseError):
    """It is no database of ours any more, though SQLite itself has no complaint."""


class NothingReadable(sqlite3.DatabaseError):
    """Not one table can be read."""


@dataclass(slots=True)
class Salvage:
    """What ``mend`` did."""

    aside: str
    """Where the damaged file is now."""
    rows: dict[str, int] = field(default_factory=dict)
    """How many of each table were read, and kept."""
    unread: list[str] = field(default_factory=list)
    """Tables of which something could not be read, or not be kept."""

    def __str__(self) -> str:
        kept = ", ".join(f"{number} of {table}" for table, number in self.rows.items())
        lost = f"; something is missing of {', '.join(self.unread)}" if self.unread else ""
        return f"rows kept: {kept}{lost}"


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is broken, rather than busy, full or gone."""
    if isinstance(error, DamagedFile):
        return True
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    if code == sqlite3.SQLITE_IOERR_SHORT_READ or (code & 0xFF) in _DAMAGE:
        return True
    # A schema that was lost reads as an empty one; ours never asks for what is not there. A
    # text that is no UTF-8 fails while it is fetched, and is one of the rows' own.
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such table")


def set_aside(disk: Disk, path: str, stamp: str) -> str:
    """Give the damaged file and its log another name, which is returned."""
    aside = _free_name(disk, f"{path}.damaged-{stamp}")
    # The log first: beside a new file it would be taken for that one's.
    _move_log(disk, path, aside)
    disk.rename(path, aside)
    disk.sync_directory(_parent(path))
    return aside


def finish(disk: Disk, path: str, stamp: str) -> None:
    """Put the new file in its place where a crash came between."""
    if disk.exists(path + ".mended"):
        _replace(disk, path, stamp)


def mend(disk: Disk, path: str, migrations: Sequence[str], stamp: str) -> Salvage:
    """Raises NothingReadable, and leaves the file as it is; sqlite3.Error and OSError where
    the disk does not obey."""
    if not disk.status(path).st_size:
        raise NothingReadable("it is empty")
    made = path + ".salvaging"
    remove(disk, made)
    try:
        salvage = _read(disk, path, made, migrations)
    except sqlite3.Error as error:
        if not (is_damage(error) or isinstance(error, NothingReadable)):
            raise
        salvage = _with_another_first_page(disk, path, made, migrations)
    disk.rename(made, path + ".mended")
    disk.sync_directory(_parent(path))
    salvage.aside = _replace(disk, path, stamp)
    return salvage


def _replace(disk: Disk, path: str, stamp: str) -> str:
    aside = _free_name(disk, f"{path}.damaged-{stamp}")
    _move_log(disk, path, aside)
    with contextlib.suppress(FileNotFoundError):
        disk.link(path, aside)
    disk.rename(path + ".mended", path)
    disk.sync_directory(_parent(path))
    return aside


def _read(disk: Disk, path: str, made: str, migrations: Sequence[str]) -> Salvage:
    """Copy into ``made``, which is complete and synced then."""
    source = disk.connect(path, timeout=_BUSY_SECONDS)
    try:
        source.text_factory = text_if_any
        version = _version(source, migrations)
        target = disk.connect(made, timeout=_BUSY_SECONDS)
        try:
            target.execute("PRAGMA synchronous=FULL")
            script = ";".join(migrations[:version])
            target.executescript(f"BEGIN;{script};PRAGMA user_version={version};COMMIT;")
            salvage = _copy(source, target)
            # In one file, that one rename puts in its place.
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
    finally:
        with contextlib.suppress(sqlite3.Error):
            source.close()
    return salvage


def _version(source: sqlite3.Connection, migrations: Sequence[str]) -> int:
    version: int = source.execute("PRAGMA user_version").fetchone()[0]
    return version if 0 < version <= len(migrations) else len(migrations)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> Salvage:
    salvage = Salvage("")
    tables = [_Table(target, name) for name in _tables(target)]
    known: dict[str, set[object]] = {}
    target.execute("BEGIN")
    for table in tables:  # what was inserted by migrations comes from the file again
        target.execute(f"DELETE FROM {table.name}")
    readable = 0
    for table in tables:
        reading = _Reading(source, table, known)
        kept = 0
        for values in reading.rows():
            try:
                target.execute(table.insert, values)
            except sqlite3.Error:
                reading.is_whole = False  # it breaks a rule that it once kept
            else:
                kept += 1
        readable += reading.is_there
        salvage.rows[table.name] = kept
        if not reading.is_whole:
            salvage.unread.append(table.name)
    target.execute("COMMIT")
    if not readable:
        raise NothingReadable("nothing can be read of it")
    return salvage


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [name for (name,) in connection.execute(query)]


class _Table:
    """As the migrations make it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        facts = connection.execute(f"PRAGMA table_info({name})").fetchall()
        self.columns = [fact[1] for fact in facts]
        self.key = [fact[1] for fact in sorted(facts, key=lambda fact: fact[5]) if fact[5]]
        self.has_rowid = _has_rowid(connection, name)
        self.indexes = {
            row[1]: str(connection.execute(f"PRAGMA index_info({row[1]})").fetchone()[2])
            for row in connection.execute(f"PRAGMA index_list({name})").fetchall()
            if not row[4] and row[3] == "c"  # whole ones that were declared as such
        }
        """With their first columns."""
        # A row's number is its identity in some tables.
        self.read = ["rowid", *self.columns] if self.has_rowid else self.columns
        marks = ",".join("?" * len(self.read))
        self.insert = f"INSERT OR IGNORE INTO {name} ({', '.join(self.read)}) VALUES ({marks})"
        self.order = "rowid" if self.has_rowid else ", ".join(self.key)

    def key_of(self, values: Values) -> Values:
        if self.has_rowid:
            return values[:1]
        return tuple(values[self.columns.index(name)] for name in self.key)


def _has_rowid(connection: sqlite3.Connection, name: str) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {name} LIMIT 0")
    except sqlite3.Error:
        return False
    return True


class _Reading:
    """One table's rows, from both ends, and by every key that leads to one between."""

    def __init__(
        self, source: sqlite3.Connection, table: _Table, known: dict[str, set[object]]
    ) -> None:
        """``known``: values of key columns that other tables had, by column name; what this
        one has is added."""
        self._source = source
        self._table = table
        self._known = known
        self._seen: set[Values] = set()
        self.is_there = False
        """Something could be read, or there was nothing to read."""
        self.is_whole = True

    def rows(self) -> Iterator[Values]:
        select = f"SELECT {', '.join(self._table.read)} FROM {self._table.name} NOT INDEXED"
        order = self._table.order
        try:
            yield from self._fetch(f"{select} ORDER BY {order}")
            return
        except sqlite3.Error:
            self.is_whole = False
        backwards = ", ".join(f"{name} DESC" for name in order.split(", "))
        with contextlib.suppress(sqlite3.Error):
            yield from self._fetch(f"{select} ORDER BY {backwards}")
        if self._table.has_rowid:
            yield from self._between(select)
        yield from self._by_key(select)

    def _fetch(self, query: str, values: Sequence[object] = ()) -> Iterator[Values]:
        """What was not seen before."""
        cursor = self._source.execute(query, values)
        self.is_there = True
        for row in cursor:
            key = self._table.key_of(row)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._note(row)
            yield row

    def _note(self, row: Values) -> None:
        names = self._table.columns
        offset = len(row) - len(names)
        self._known.setdefault(names[0], set()).add(row[offset])

    def _between(self, select: str) -> Iterator[Values]:
        """Rows between two pages that cannot be read: by ever longer steps over the gap."""
        numbers = sorted(int(str(key[0])) for key in self._seen)
        gaps = [(a, b) for a, b in zip([0, *numbers], numbers, strict=False) if b - a > 1]
        for low, high in gaps[:1000]:
            step, at = 1, low
            while at < high:
                before = len(self._seen)
                with contextlib.suppress(sqlite3.Error):
                    yield from self._fetch(
                        f"{select} WHERE rowid > ? AND rowid < ? ORDER BY rowid", (at, high)
                    )
                    break
                step = 1 if len(self._seen) > before else step * 2
                at += step

    def _by_key(self, select: str) -> Iterator[Values]:
        """By what indexes and other tables know of it."""
        table = self._table
        for names, keys in self._keys():
            where = " AND ".join(f"{name} = ?" for name in names)
            for key in keys:
                if key in self._seen:
                    continue
                with contextlib.suppress(sqlite3.Error):
                    yield from self._fetch(f"{select} WHERE {where}", key)
        if table.key and (others := self._known.get(table.key[0])):
            for value in list(others):
                with contextlib.suppress(sqlite3.Error):
                    yield from self._fetch(f"{select} WHERE {table.key[0]} = ?", (value,))

    def _keys(self) -> Iterator[tuple[list[str], set[Values]]]:
        table = self._table
        names = ["rowid"] if table.has_rowid else table.key
        for index, first in table.indexes.items():
            keys: set[Values] = set()
            for direction in ("", " DESC"):
                order = f"ORDER BY {first}{direction}"
                query = f"SELECT {', '.join(names)} FROM {table.name} INDEXED BY {index} {order}"
                with contextlib.suppress(sqlite3.Error):
                    for row in self._source.execute(query):
                        keys.add(tuple(row))
            yield names, keys


# -- a first page that is lost ------------------------------------------------------------


def _with_another_first_page(
    disk: Disk, path: str, made: str, migrations: Sequence[str]
) -> Salvage:
    """The first page says what the file is and where each table begins. Files made by the same
    migrations have their tables at the same places: that of a new one may serve."""
    copy, pattern = path + ".copy", path + ".pattern"
    for version in range(len(migrations), 0, -1):
        for scratch in (copy, pattern, made):
            remove(disk, scratch)
        first = _first_page(disk, pattern, migrations[:version], disk.status(path).st_size)
        _copy_file(disk, path, copy, first)
        if disk.exists(path + "-wal"):
            _copy_file(disk, path + "-wal", copy + "-wal", b"")
        try:
            salvage = _read(disk, copy, made, migrations)
        except sqlite3.Error as error:
            if not (is_damage(error) or isinstance(error, NothingReadable)):
                raise
            continue
        finally:
            for scratch in (copy, pattern):
                remove(disk, scratch)
        if any(salvage.rows.values()):
            return salvage
    remove(disk, made)
    raise NothingReadable("nothing can be read of it")


def _first_page(disk: Disk, path: str, migrations: Sequence[str], size: int) -> bytes:
    connection = disk.connect(path, timeout=_BUSY_SECONDS)
    try:
        script = ";".join(migrations)
        connection.executescript(f"BEGIN;{script};PRAGMA user_version={len(migrations)};COMMIT;")
        page: int = connection.execute("PRAGMA page_size").fetchone()[0]
    finally:
        connection.close()
    with disk.open(path) as file:
        first = bytearray(file.read(page))
    # "The Database Header" of SQLite's file format: size in pages at 28; no free pages are
    # known (32, 36); 24 and 92 must agree for the size to count.
    first[28:32] = (size // page).to_bytes(4, "big")
    first[32:40] = bytes(8)
    first[92:96] = first[24:28]
    return bytes(first)


def _copy_file(disk: Disk, source: str, target: str, first: bytes) -> None:
    """With ``first`` in place of as many octets at its start."""
    made = disk.create(target)
    try:
        with disk.open(source) as file:
            made.write(first)
            file.seek(len(first))
            while piece := file.read(_COPY):
                made.write(piece)
    finally:
        made.close()


def text_if_any(octets: bytes) -> object:
    """A text that is no UTF-8 any more stays what it is, for its owner to judge."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


def _move_log(disk: Disk, path: str, aside: str) -> None:
    for suffix in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            if suffix == "-shm":
                disk.unlink(path + suffix)
            else:
                disk.rename(path + suffix, aside + suffix)


def remove(disk: Disk, path: str) -> None:
    """A database that nobody needs; harmless where there is none."""
    for suffix in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path + suffix)


def _free_name(disk: Disk, name: str) -> str:
    number, candidate = 1, name
    while disk.exists(candidate):
        number += 1
        candidate = f"{name}.{number}"
    return candidate


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."
