"""The log of trainings: jobs on one connection to ``spam.db``, each one transaction.

What was taught stands in the log for as long as there is room; nothing is overwritten. To learn
the other way, or to forget, ends the training before and adds one behind it, so that a rollback
finds everything as it was. Ids of trainings rise and are never given again.

``epoch`` of a scope changes with whatever is not an addition at the end. Who made a model of an
epoch may go on with it for as long as that is the same; a reader that finds another one in the
middle of its work gets LogChanged and begins again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mailframe.errors import MailframeError
from mailframe.spam.lessons import Lesson

_KEPT_SNAPSHOTS = 2


class LogChanged(MailframeError):
    """The log was changed elsewhere than at its end meanwhile; begin again."""


class TooFarBack(MailframeError):
    """The log does not reach back so far."""

    def __init__(self, scope: str, horizon: float) -> None:
        super().__init__(f"the log of {scope} does not reach back so far")
        self.horizon = horizon


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What a model is held against to see whether it is current."""

    id: int
    epoch: int
    last: int
    rows: int
    snapshot: int
    """The latest training that the latest snapshot has; 0: there is none."""

    @property
    def version(self) -> tuple[int, int]:
        return self.id, self.epoch


@dataclass(frozen=True, slots=True)
class Training:
    """One line of the log, for people."""

    id: int
    at: float
    scope: str
    is_spam: bool | None
    """None: it was forgotten."""
    source: str
    taught_by: str
    digest: bytes
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class Counts:
    scope: str
    hams: int
    spams: int
    """In force, those that the log no longer has included."""
    rows: int
    octets: int
    """Of the trainings' features."""
    first: float
    """When the oldest training was that the log has; 0: none."""
    latest: float
    horizon: float
    """Rollbacks go back to after this; below 0: to the beginning."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Trainings in force, in their order, and how far the log was read with them."""

    lessons: list[tuple[bytes, bool]]
    """Packed features, and whether it is spam."""
    last: int
    is_end: bool


# ---- writing


def teach(
    connection: sqlite3.Connection,
    scopes: Sequence[str],
    lessons: Iterable[Lesson],
    *,
    source: str,
    taught_by: str,
    now: float,
) -> list[bool]:
    """For each lesson whether it was news to one of the scopes."""
    ids = [_scope(connection, name) for name in scopes]
    news = []
    for lesson in lessons:
        packed = lesson.features.pack()
        row = (lesson.digest, lesson.is_spam, source, taught_by, packed)
        added = [_add(connection, scope, now, row) for scope in ids]
        news.append(any(added))
    return news


def forget(
    connection: sqlite3.Connection,
    scopes: Sequence[str],
    digest: bytes,
    *,
    source: str,
    taught_by: str,
    now: float,
    only_own: bool,
) -> bool:
    """Whether there was something. ``only_own``: of shared scopes, what ``taught_by`` taught."""
    had = False
    for name in scopes:
        scope = _known_scope(connection, name)
        if scope is None:
            continue
        query = f"SELECT taught_by FROM trainings WHERE {_IN_FORCE}"
        teacher = connection.execute(query, (scope, digest)).fetchone()
        if teacher is None or (only_own and name != taught_by and teacher[0] != taught_by):
            continue
        had |= _add(connection, scope, now, (digest, None, source, taught_by, None))
    return had


def _add(
    connection: sqlite3.Connection,
    scope: int,
    now: float,
    row: tuple[bytes, bool | None, str, str, bytes | None],
) -> bool:
    query = f"SELECT id, is_spam FROM trainings WHERE {_IN_FORCE}"
    known = connection.execute(query, (scope, row[0])).fetchone()
    if known is not None:
        if row[1] is not None and bool(known[1]) == row[1]:
            return False
        # out of the way of the unique index; it gets the id of what ends it below
        connection.execute("UPDATE trainings SET ended = 0 WHERE id = ?", (known[0],))
    new = connection.execute(
        "INSERT INTO trainings"
        " (scope, at, digest, is_spam, source, taught_by, features)"
        " SELECT id, max(latest, ?), ?, ?, ?, ?, ? FROM scopes WHERE id = ?",
        (now, *row, scope),
    ).lastrowid
    connection.execute(
        "UPDATE scopes SET last = ?, latest = max(latest, ?), rows = rows + 1 WHERE id = ?",
        (new, now, scope),
    )
    if known is not None:
        connection.execute("UPDATE trainings SET ended = ? WHERE id = ?", (new, known[0]))
        _changed_from(connection, scope, known[0])
    return True


def roll_back(connection: sqlite3.Connection, name: str, since: float) -> int:
    """Everything as it was before ``since``; returns how many trainings are undone. Raises
    TooFarBack."""
    scope = _known_scope(connection, name)
    if scope is None:
        return 0
    (horizon,) = connection.execute("SELECT horizon FROM scopes WHERE id = ?", (scope,)).fetchone()
    if since <= horizon:
        raise TooFarBack(name, horizon)
    first, count = connection.execute(
        "SELECT min(id), count(*) FROM trainings WHERE scope = ? AND at >= ?", (scope, since)
    ).fetchone()
    if not count:
        return 0
    connection.execute("DELETE FROM trainings WHERE scope = ? AND id >= ?", (scope, first))
    ended = (scope, first)
    (oldest,) = connection.execute(
        "SELECT min(id) FROM trainings WHERE scope = ? AND ended >= ?", ended
    ).fetchone()
    connection.execute("UPDATE trainings SET ended = NULL WHERE scope = ? AND ended >= ?", ended)
    # Of the time nothing is taken back: what is taught next is later than what is undone.
    connection.execute(
        "UPDATE scopes SET rows = rows - ?1, last = coalesce("
        "(SELECT max(id) FROM trainings WHERE scope = ?2),"
        " (SELECT upto FROM snapshots WHERE scope = ?2 AND is_base), 0) WHERE id = ?2",
        (count, scope),
    )
    _changed_from(connection, scope, min(first, oldest or first))
    return int(count)


def drop(connection: sqlite3.Connection, name: str) -> bool:
    """All that the scope learnt, without a trace: for an account that is no more."""
    scope = _known_scope(connection, name)
    if scope is None:
        return False
    for table, column in (("snapshots", "scope"), ("trainings", "scope"), ("scopes", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (scope,))
    return True


def _changed_from(connection: sqlite3.Connection, scope: int, id: int) -> None:
    """The training ``id``, which is no longer what it was, is in no model any more."""
    connection.execute(
        "DELETE FROM snapshots WHERE scope = ? AND upto >= ? AND NOT is_base", (scope, id)
    )
    connection.execute("UPDATE scopes SET epoch = epoch + 1 WHERE id = ?", (scope,))


# ---- keeping it short


def fold_point(connection: sqlite3.Connection, name: str, keep: int) -> tuple[int, ScopeState]:
    """The training up to which the log is to go, so that ``keep`` are left; 0: none is."""
    state = states(connection, [name])[name]
    query = "SELECT id FROM trainings WHERE scope = ? ORDER BY id LIMIT 1 OFFSET ?"
    excess = state.rows - keep
    row = connection.execute(query, (state.id, excess - 1)).fetchone() if excess > 0 else None
    return (row[0] if row else 0), state


def fold(
    connection: sqlite3.Connection,
    state: ScopeState,
    upto: int,
    model: bytes,
    counts: Sequence[int],
) -> None:
    """``model`` has learnt what is in force up to ``upto``, ``counts`` hams and spams: it takes
    the place of the log so far. Raises LogChanged."""
    _must_be(connection, state.version)
    scope = state.id
    # A rollback to before something was ended would have to bring it back.
    (horizon,) = connection.execute(
        "SELECT max(at) FROM trainings WHERE scope = ?1 AND (id <= ?2 OR id IN"
        " (SELECT ended FROM trainings WHERE scope = ?1 AND id <= ?2 AND ended IS NOT NULL))",
        (scope, upto),
    ).fetchone()
    connection.execute("DELETE FROM snapshots WHERE scope = ? AND upto <= ?", (scope, upto))
    connection.execute("INSERT INTO snapshots VALUES (?, ?, 1, ?)", (scope, upto, model))
    gone = connection.execute(
        "DELETE FROM trainings WHERE scope = ? AND id <= ?", (scope, upto)
    ).rowcount
    connection.execute(
        "UPDATE scopes SET rows = rows - ?, horizon = max(horizon, ?), epoch = epoch + 1,"
        " base_hams = ?, base_spams = ? WHERE id = ?",
        (gone, horizon, *counts, scope),
    )


def keep_snapshot(
    connection: sqlite3.Connection, version: tuple[int, int], upto: int, model: bytes
) -> None:
    """Raises LogChanged where it is out of date."""
    _must_be(connection, version)
    row = (version[0], upto, model)
    connection.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, 0, ?)", row)
    connection.execute(
        "DELETE FROM snapshots WHERE scope = ?1 AND NOT is_base AND upto NOT IN (SELECT upto"
        " FROM snapshots WHERE scope = ?1 AND NOT is_base ORDER BY upto DESC LIMIT ?2)",
        (version[0], _KEPT_SNAPSHOTS),
    )


# ---- reading


def states(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, ScopeState]:
    """Of those that learnt anything."""
    query = (
        "SELECT name, id, epoch, last, rows, coalesce((SELECT max(upto) FROM snapshots"
        f" WHERE scope = scopes.id), 0) FROM scopes WHERE name IN ({','.join('?' * len(names))})"
    )
    return {row[0]: ScopeState(*row[1:]) for row in connection.execute(query, tuple(names))}


def piece_after(
    connection: sqlite3.Connection, version: tuple[int, int], after: int, upto: int, most: int
) -> Piece:
    """The next trainings. Raises LogChanged."""
    with _reading(connection):
        _must_be(connection, version)
        rows = connection.execute(
            "SELECT id, features, is_spam FROM trainings WHERE scope = ? AND id > ? AND id <= ?"
            " AND ended IS NULL AND is_spam IS NOT NULL ORDER BY id LIMIT ?",
            (version[0], after, upto, most),
        ).fetchall()
    is_end = len(rows) < most
    lessons = [(features, bool(is_spam)) for _, features, is_spam in rows]
    return Piece(lessons, upto if is_end else rows[-1][0], is_end)


def snapshots(
    connection: sqlite3.Connection, version: tuple[int, int], upto: int
) -> list[tuple[int, bytes, bool]]:
    """The latest first: how far it goes, the model, whether it is the base. Raises LogChanged."""
    with _reading(connection):
        _must_be(connection, version)
        return connection.execute(
            "SELECT upto, model, is_base FROM snapshots WHERE scope = ? AND upto <= ?"
            " ORDER BY upto DESC, is_base",
            (version[0], upto),
        ).fetchall()


def count_between(connection: sqlite3.Connection, scope: int, after: int, upto: int) -> int:
    query = "SELECT count(*) FROM trainings WHERE scope = ? AND id > ? AND id <= ?"
    count: int = connection.execute(query, (scope, after, upto)).fetchone()[0]
    return count


def label_of(connection: sqlite3.Connection, name: str, digest: bytes) -> bool | None:
    """What the scope learnt the message as: True is spam; None: it did not."""
    query = (
        "SELECT is_spam FROM trainings JOIN scopes ON scopes.id = scope WHERE name = ?"
        " AND digest = ? AND ended IS NULL AND is_spam IS NOT NULL"
    )
    row = connection.execute(query, (name, digest)).fetchone()
    return bool(row[0]) if row else None


def counts(connection: sqlite3.Connection, name: str = "") -> list[Counts]:
    """Of all scopes, or one, by name."""
    rows = connection.execute(
        "SELECT name, base_hams + coalesce(sum(ended IS NULL AND is_spam = 0), 0),"
        " base_spams + coalesce(sum(ended IS NULL AND is_spam = 1), 0), count(trainings.id),"
        " coalesce(sum(length(features)), 0), coalesce(min(at), 0), latest, horizon"
        " FROM scopes LEFT JOIN trainings ON scope = scopes.id"
        " WHERE ?1 = '' OR name = ?1 GROUP BY scopes.id ORDER BY name",
        (name,),
    )
    return [Counts(*row) for row in rows]


def trainings(connection: sqlite3.Connection, name: str, limit: int) -> list[Training]:
    """The latest first; of all scopes where ``name`` is empty."""
    rows = connection.execute(
        "SELECT trainings.id, at, name, is_spam, source, taught_by, digest,"
        " ended IS NULL AND is_spam IS NOT NULL"
        " FROM trainings JOIN scopes ON scopes.id = scope"
        " WHERE ?1 = '' OR name = ?1 ORDER BY trainings.id DESC LIMIT ?2",
        (name, limit),
    )
    return [
        Training(id, at, scope, None if spam is None else bool(spam), source, by, digest, bool(on))
        for id, at, scope, spam, source, by, digest, on in rows
    ]


@contextmanager
def _reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Several questions about one state of the file."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _must_be(connection: sqlite3.Connection, version: tuple[int, int]) -> None:
    query = "SELECT 1 FROM scopes WHERE id = ? AND epoch = ?"
    if connection.execute(query, version).fetchone() is None:
        raise LogChanged("the log was changed meanwhile")


def _scope(connection: sqlite3.Connection, name: str) -> int:
    connection.execute("INSERT OR IGNORE INTO scopes (name) VALUES (?)", (name,))
    scope = _known_scope(connection, name)
    assert scope is not None
    return scope


def _known_scope(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT id FROM scopes WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


_IN_FORCE = "scope = ? AND digest = ? AND ended IS NULL AND is_spam IS NOT NULL"
