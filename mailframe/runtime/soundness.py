"""Is an SQLite file sound? For verify, fsck and backups. Synchronous."""

from __future__ import annotations

import re
import sqlite3

from mailframe.runtime.disk import Disk

_SECONDS = 30.0
_MAGIC = b"SQLite format 3\0"
_MOST_FINDINGS = 20
_FIRST_FINDINGS = 100
_ALL_FINDINGS = 10_000_000
_NOTHING_SAID = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
_TYPES = {
    **dict.fromkeys(("INTEGER", "BIGINT", "SMALLINT"), "integer"),
    "TEXT": "text",
    "BLOB": "blob",
}
_COLUMNS = """SELECT name, type, "notnull" FROM pragma_table_info(?)"""
_NULL = re.compile(r"NULL value in ([^.]+)\.(.+)")


def is_database(disk: Disk, path: str) -> bool:
    """By its first octets. Raises OSError."""
    with disk.open(path) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def version_of(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def integrity_faults(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's ``integrity_check`` finds and is so. Reads all. Raises sqlite3.Error.

    SQLite 3.40, which is Debian's, looks at the wrong column of a table WITHOUT ROWID whose
    key is not in front, and tells of NULLs that are not there."""
    for most in (_FIRST_FINDINGS, _ALL_FINDINGS):
        told = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({most})")]
        found = [text for text in told if text != "ok" and _is_so(connection, text)]
        if found or len(told) < most:
            break
    return found[:_MOST_FINDINGS]


def _is_so(connection: sqlite3.Connection, text: str) -> bool:
    told = _NULL.fullmatch(text)
    if told is None:
        return True
    table, column = map(_quoted, told.groups())
    # IS NULL is never asked of the rows where the column is declared NOT NULL.
    query = f"""SELECT 1 FROM "{table}" WHERE typeof("{column}") = 'null' LIMIT 1"""
    return connection.execute(query).fetchone() is not None


def mistyped(connection: sqlite3.Connection) -> list[str]:
    """Columns with values of another type than they are declared with, which only damage leaves
    there: SQLite converts what is written where it can, and does not mind where it cannot.
    Reads the rows, not what hangs over on pages of its own. Raises sqlite3.Error."""
    found = []
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (table,) in connection.execute(query).fetchall():
        for column, declared, not_null in connection.execute(_COLUMNS, (table,)).fetchall():
            allowed = _TYPES.get(declared.upper())
            if allowed is None:
                continue
            rows = f"""SELECT 1 FROM "{_quoted(table)}" WHERE typeof("{_quoted(column)}")"""
            values = allowed, allowed if not_null else "null"
            if connection.execute(f"{rows} NOT IN (?, ?) LIMIT 1", values).fetchone() is not None:
                found.append(f"{table}.{column}: a value is no {allowed.upper()}")
    return found[:_MOST_FINDINGS]


def _quoted(name: str) -> str:
    """Between quotes of SQL: what a file names itself is not ours."""
    return name.replace('"', '""')


def faults_of(disk: Disk, path: str, schema: int | None = None) -> list[str]:
    """What is wrong with a file; ``schema`` is the greatest version that is known. Empty: it
    is sound. Raises sqlite3.Error where it is busy, which says nothing of it."""
    try:
        if not is_database(disk, path):
            # A file that nobody has written to yet is an empty database.
            return [] if not disk.status(path).st_size else ["it is no SQLite database"]
        connection = disk.connect(path, timeout=_SECONDS)
    except sqlite3.Error as error:
        if _says_nothing(error):
            raise
        return [str(error)]
    except OSError as error:
        return [str(error)]
    return _faults(connection, schema)


def is_newer(disk: Disk, path: str, schema: int) -> bool:
    """Whether it was written by a later version, as far as it can be read."""
    try:
        connection = disk.connect_frozen(path)
        try:
            return version_of(connection) > schema
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def faults_of_frozen(disk: Disk, path: str) -> list[str]:
    """The same of a file that nobody writes to; nothing is written beside it."""
    try:
        connection = disk.connect_frozen(path)
    except (OSError, sqlite3.Error) as error:
        return [str(error)]
    return _faults(connection, None)


def _faults(connection: sqlite3.Connection, schema: int | None) -> list[str]:
    try:
        found = integrity_faults(connection) or mistyped(connection)
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        found += [f"{row[0]}: a row refers to none in {row[2]}" for row in orphans[:1]]
        version = version_of(connection)
        if schema is not None and version > schema:
            found.append(f"it has schema {version}, this mailframe knows {schema}")
        return found
    except sqlite3.Error as error:
        if _says_nothing(error):
            raise
        return [str(error)]
    finally:
        connection.close()


def _says_nothing(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in _NOTHING_SAID
