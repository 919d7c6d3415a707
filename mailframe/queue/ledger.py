"""Jobs on the spool's tables: lease what is due, settle what was tried.

Each function runs inside one write transaction (``Database.write``) or on a reader. A lease
touches as many rows as it takes, whatever the length of the queue: it walks the index of
one lane from its earliest row and stops.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.queue.records import (
    MESSAGE_COLUMNS,
    ROW_COLUMNS,
    Message,
    Row,
    message_from,
    new_message,
    row_from,
)
from mailframe.queue.schema import MICROSECONDS, RUNNABLE, Lease, State, micros

RECIPIENTS_PER_BATCH = 100
"""RFC 5321 section 4.5.3.1.8 has every server take a hundred."""

_NEXT_DUE = "SELECT MIN(next_at) FROM recipient WHERE lane = ? AND state = ?"
_DUE = (
    f"SELECT {ROW_COLUMNS} FROM recipient WHERE lane = ? AND state = ? AND next_at <= ?"
    " ORDER BY next_at, queue_id, number"
)

_DELETE = "DELETE FROM recipient WHERE queue_id = ? AND number = ? AND token = ?"
# The administrator may have acted meanwhile: a held recipient stays held, one that is to be
# returned is due at once.
_DEFER = (
    "UPDATE recipient SET"
    " next_at = CASE WHEN state = :returning THEN :tried_at ELSE :next_at END,"
    " state = CASE WHEN state = :fresh THEN :deferred ELSE state END,"
    " lease = :lease, attempts = attempts + 1, warned = :warned, last_at = :tried_at,"
    " reply_code = :code, reply_status = :status, reply_text = :text, remote = :remote"
    " WHERE queue_id = :queue_id AND number = :number AND token = :token"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Take from ``lane`` up to ``batches`` runs of one message's recipients."""

    lane: str
    batches: int
    fresh_only: bool = False
    """Leave what was tried before."""


@dataclass(frozen=True, slots=True)
class Leased:
    """Recipients of one message in one lane, taken. Each row is as it stood before, but for
    its token, which is the new one."""

    message: Message
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    ask: Ask
    leased: tuple[Leased, ...]
    next_at: float | None
    """When the lane's next recipient is due, perhaps already; None: nothing left there.
    What was just taken counts with the end of its lease."""


@dataclass(frozen=True, slots=True)
class Done:
    """The recipient needs nothing any more."""

    row: Row


@dataclass(frozen=True, slots=True)
class Again:
    """The recipient stays, due at ``next_at`` (seconds since the epoch)."""

    row: Row
    next_at: float
    tried_at: float
    reply: Reply
    remote: str
    warned: bool
    unknown: bool
    """The attempt may have succeeded all the same."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A delivery report to be spooled by the same transaction as what it reports."""

    message: Message
    content: bytes
    recipients: tuple[Recipient, ...]


class Fenced(Exception):
    """Rows changed hands, or were removed, while the attempt ran. Nothing was written."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(", ".join(f"{row.queue_id}/{row.number}" for row in rows))
        self.rows = tuple(rows)


def lease(
    connection: sqlite3.Connection, asks: Sequence[Ask], now: float, until: float
) -> list[Answer]:
    """Take what is due at ``now``; it falls due again at ``until`` unless settled before."""
    messages: dict[str, Message] = {}
    return [_lease_lane(connection, ask, micros(now), micros(until), messages) for ask in asks]


def _lease_lane(
    connection: sqlite3.Connection, ask: Ask, now: int, until: int, messages: dict[str, Message]
) -> Answer:
    runs: list[list[Row]] = []
    for state in (State.FRESH,) if ask.fresh_only else RUNNABLE:
        _take_runs(connection.execute(_DUE, (ask.lane, state, now)), ask.batches, runs)
    connection.executemany(
        "UPDATE recipient SET next_at = ?, token = ?, lease = ? WHERE queue_id = ? AND number = ?",
        [(until, row.token, Lease.TAKEN, row.queue_id, row.number) for run in runs for row in run],
    )
    leased = tuple(
        Leased(_message(connection, run[0].queue_id, messages), tuple(run)) for run in runs
    )
    return Answer(ask, leased, _next_due(connection, ask.lane))


def _take_runs(due: Iterable[Sequence[object]], batches: int, runs: list[list[Row]]) -> None:
    """Add rows to ``runs``, a run a message, until there would be too many of them."""
    fresh_run = True  # a run of another state is never continued
    for columns in due:
        row = row_from(columns)
        row = _with_next_token(row)
        last = runs[-1] if runs and not fresh_run else None
        if last and last[0].queue_id == row.queue_id and len(last) < RECIPIENTS_PER_BATCH:
            last.append(row)
            continue
        if len(runs) >= batches:
            return
        runs.append([row])
        fresh_run = False


def _with_next_token(row: Row) -> Row:
    return Row(
        queue_id=row.queue_id,
        number=row.number,
        lane=row.lane,
        state=row.state,
        next_at=row.next_at,
        token=row.token + 1,
        lease=row.lease,
        attempts=row.attempts,
        warned=row.warned,
        recipient=row.recipient,
        last_at=row.last_at,
        reply=row.reply,
        remote=row.remote,
    )


def _next_due(connection: sqlite3.Connection, lane: str) -> float | None:
    found = [connection.execute(_NEXT_DUE, (lane, state)).fetchone()[0] for state in RUNNABLE]
    return min((value / MICROSECONDS for value in found if value is not None), default=None)


def _message(connection: sqlite3.Connection, queue_id: str, known: dict[str, Message]) -> Message:
    if queue_id not in known:
        query = f"SELECT {MESSAGE_COLUMNS} FROM message WHERE queue_id = ?"
        known[queue_id] = message_from(connection.execute(query, (queue_id,)).fetchone())
    return known[queue_id]


def settle(
    connection: sqlite3.Connection,
    changes: Sequence[Done | Again],
    reports: Sequence[NewMessage],
) -> list[tuple[str, bool]]:
    """Write what became of leased rows and spool the reports about them, all or nothing.

    Returns (queue id, whether it has a body file) of the messages that have left. Raises
    Fenced, with nothing written, where any of the rows is not ours any more.
    """
    lost = [change.row for change in changes if not _write(connection, change)]
    if lost:
        raise Fenced(lost)
    for report in reports:
        due = micros(report.message.arrived)
        new_message(connection, report.message, report.content, report.recipients, due)
    done = {change.row.queue_id for change in changes if isinstance(change, Done)}
    return remove_finished(connection, done)


def _write(connection: sqlite3.Connection, change: Done | Again) -> bool:
    """Whether the row was still ours to change."""
    row = change.row
    if isinstance(change, Again):
        return connection.execute(_DEFER, _again_values(change)).rowcount == 1
    mark = (row.queue_id, row.number, row.token)
    return connection.execute(_DELETE, mark).rowcount == 1


def _again_values(change: Again) -> dict[str, object]:
    status = change.reply.status
    return {
        "returning": State.RETURNING,
        "fresh": State.FRESH,
        "deferred": State.DEFERRED,
        "next_at": micros(change.next_at),
        "tried_at": micros(change.tried_at),
        "lease": Lease.UNKNOWN if change.unknown else Lease.FREE,
        "warned": int(change.warned),
        "code": change.reply.code,
        "status": None if status is None else str(status),
        "text": _storable(change.reply.text),
        "remote": _storable(change.remote),
        "queue_id": change.row.queue_id,
        "number": change.row.number,
        "token": change.row.token,
    }


def _storable(text: str) -> str:
    """A remote's octets may have been decoded to lone surrogates, which are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def remove_finished(
    connection: sqlite3.Connection, queue_ids: Iterable[str]
) -> list[tuple[str, bool]]:
    """Delete those messages that have no recipients; returns as ``settle``."""
    removed = []
    for queue_id in queue_ids:
        if connection.execute(
            "SELECT 1 FROM recipient WHERE queue_id = ? LIMIT 1", (queue_id,)
        ).fetchone():
            continue
        query = "SELECT in_file FROM message WHERE queue_id = ?"
        found = connection.execute(query, (queue_id,)).fetchone()
        connection.execute("DELETE FROM message WHERE queue_id = ?", (queue_id,))
        connection.execute("DELETE FROM body WHERE queue_id = ?", (queue_id,))
        if found is not None:
            removed.append((queue_id, bool(found[0])))
    return removed


def lanes_due(connection: sqlite3.Connection, before: float) -> list[tuple[str, float]]:
    """Lanes with a recipient due before then, and when the first one is. Reads one index."""
    rows = connection.execute(
        "SELECT lane, MIN(next_at) FROM recipient WHERE state < ? GROUP BY lane"
        " HAVING MIN(next_at) < ?",
        (State.HELD, micros(before)),
    )
    return [(lane, next_at / MICROSECONDS) for lane, next_at in rows]


def body_files(connection: sqlite3.Connection) -> dict[str, int]:
    """The body files that must exist, with their sizes."""
    query = "SELECT queue_id, size - LENGTH(prefix) FROM message WHERE in_file = 1"
    return dict(connection.execute(query).fetchall())


def recover(connection: sqlite3.Connection, corrupt: Sequence[str], now: int) -> list[str]:
    """Release a former process's leases and set messages without a body aside.

    Returns the lanes of accounts here with deliveries whose end nobody knows.
    """
    connection.execute(
        "UPDATE recipient SET state = CASE attempts WHEN 0 THEN ? ELSE ? END WHERE state = ?",
        (State.FRESH, State.DEFERRED, State.CORRUPT),
    )
    connection.executemany(
        "UPDATE recipient SET state = ? WHERE queue_id = ?",
        [(State.CORRUPT, queue_id) for queue_id in corrupt],
    )
    connection.execute(
        "UPDATE recipient SET lease = ?, next_at = ? WHERE lease = ?",
        (Lease.UNKNOWN, now, Lease.TAKEN),
    )
    rows = connection.execute(
        "SELECT DISTINCT lane FROM recipient"
        " WHERE lease = ? AND account IS NOT NULL AND state < ? AND next_at <= ?",
        (Lease.UNKNOWN, State.HELD, now),
    )
    return [lane for (lane,) in rows]
