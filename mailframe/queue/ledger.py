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
from mailframe.runtime.salvage import text_if_any

RECIPIENTS_PER_BATCH = 100
"""RFC 5321 section 4.5.3.1.8 has every server take a hundred."""

_NEXT_DUE = "SELECT MIN(next_at) FROM recipient WHERE lane = ? AND state = ?"
_DUE = (
    f"SELECT {ROW_COLUMNS} FROM recipient WHERE lane = ? AND state = ? AND next_at <= ?"
    " ORDER BY next_at, queue_id, number"
)
_DUE_IN_DOUBT = _DUE.replace(" ORDER BY", f" AND lease = {Lease.UNKNOWN:d} ORDER BY")

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
    doubtful_only: bool = False
    """Take only what may have been delivered without our knowing."""


@dataclass(frozen=True, slots=True)
class Leased:
    """Recipients of one message in one lane, taken. Each row is as it stood before, but for
    its token, which is the new one."""

    message: Message
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Odd:
    """An entry that a damaged disk left behind: it is set aside as CORRUPT."""

    queue_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    ask: Ask
    leased: tuple[Leased, ...]
    next_at: float | None
    """When the lane's next recipient is due, perhaps already; None: nothing left there.
    What was just taken counts with the end of its lease."""
    damaged: tuple[Odd, ...] = ()
    """Entries that could not be read, set aside."""


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
    damaged: list[_Damaged] = []
    due = _DUE_IN_DOUBT if ask.doubtful_only else _DUE
    connection.text_factory = text_if_any  # a text that is none must not keep the others waiting
    for state in (State.FRESH,) if ask.fresh_only else RUNNABLE:
        found = connection.execute(due, (ask.lane, state, now))
        _take_runs(found, ask.batches, runs, damaged)
    leased = _with_messages(connection, runs, messages, damaged)
    connection.executemany(
        "UPDATE recipient SET next_at = ?, token = ?, lease = ? WHERE queue_id = ? AND number = ?",
        [
            (until, row.token, Lease.TAKEN, row.queue_id, row.number)
            for each in leased
            for row in each.rows
        ],
    )
    for queue_id, number, _ in damaged:
        _set_aside(connection, queue_id, number)
    odd = tuple(Odd(str(queue_id), why) for queue_id, _, why in damaged)
    return Answer(ask, tuple(leased), _next_due(connection, ask.lane), odd)


_Damaged = tuple[object, object, str]
"""A recipient's key, and what is wrong."""


def _set_aside(connection: sqlite3.Connection, queue_id: object, number: object) -> None:
    change = f"UPDATE recipient SET state = {State.CORRUPT:d} WHERE"
    key = (queue_id, number)
    connection.execute(f"{change} queue_id = ? AND number = ?", key)
    if bytes in map(type, key):
        # A text that is no UTF-8 came as octets, which are no text's equal. Reads the table.
        same_id = "CAST(queue_id AS BLOB) = CAST(? AS BLOB)"
        same_number = "CAST(number AS BLOB) = CAST(? AS BLOB)"
        connection.execute(f"{change} {same_id} AND {same_number}", key)


def _with_messages(
    connection: sqlite3.Connection,
    runs: Sequence[Sequence[Row]],
    messages: dict[str, Message],
    damaged: list[_Damaged],
) -> list[Leased]:
    leased = []
    for run in runs:
        try:
            message = _message(connection, run[0].queue_id, messages)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this message
            damaged += [(row.queue_id, row.number, f"message: {error!r}") for row in run]
        else:
            leased.append(Leased(message, tuple(run)))
    return leased


def _take_runs(
    due: Iterable[Sequence[object]],
    batches: int,
    runs: list[list[Row]],
    damaged: list[_Damaged],
) -> None:
    """Add rows to ``runs``, a run a message, until there would be too many of them."""
    fresh_run = True  # a run of another state is never continued
    for columns in due:
        try:
            row = row_from(columns)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this recipient
            damaged.append((columns[0], columns[1], f"recipient: {error!r}"))
            continue
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
    return min((value / MICROSECONDS for value in found if isinstance(value, int)), default=None)


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
    connection.text_factory = text_if_any
    rows = connection.execute(
        "SELECT lane, MIN(next_at) FROM recipient WHERE state < ? GROUP BY lane"
        " HAVING MIN(next_at) < ?",
        (State.HELD, micros(before)),
    )
    return [
        (lane, next_at / MICROSECONDS)
        for lane, next_at in rows
        # what is damaged is set aside at the next start
        if isinstance(lane, str) and isinstance(next_at, int | float)
    ]


def body_files(connection: sqlite3.Connection) -> dict[str, int]:
    """The body files that must exist, with their sizes."""
    query = "SELECT queue_id, size - LENGTH(prefix) FROM message WHERE in_file = 1"
    return dict(connection.execute(query).fetchall())


def shift(connection: sqlite3.Connection, by: int) -> None:
    """The clock was set: what waits goes on waiting as long as it would have, and is as old
    as it was."""
    connection.execute(
        "UPDATE recipient SET next_at = next_at + ? WHERE typeof(next_at) = 'integer'", (by,)
    )
    connection.execute(
        "UPDATE message SET arrived = arrived + ? WHERE typeof(arrived) = 'integer'", (by,)
    )


@dataclass(frozen=True, slots=True)
class Recovered:
    in_doubt: tuple[str, ...]
    """Lanes of accounts here with deliveries whose end nobody knows."""
    odd: tuple[Odd, ...]


def recover(
    connection: sqlite3.Connection, corrupt: Sequence[str], now: int, longest: int
) -> Recovered:
    """Release a former process's leases, and set aside what cannot be delivered: messages
    whose body is lost (``corrupt``), and entries that make no sense.

    Nothing waits longer than ``longest``, the greatest wait there is: a time beyond that was
    written while the clock was wrong."""
    connection.execute(
        "UPDATE recipient SET state = CASE attempts WHEN 0 THEN ? ELSE ? END WHERE state = ?",
        (State.FRESH, State.DEFERRED, State.CORRUPT),
    )
    connection.executemany(
        "UPDATE recipient SET state = ? WHERE queue_id = ?",
        [(State.CORRUPT, queue_id) for queue_id in corrupt],
    )
    odd = _set_odd_aside(connection, now)
    connection.execute(
        "UPDATE recipient SET lease = ?, next_at = ? WHERE lease = ?",
        (Lease.UNKNOWN, now, Lease.TAKEN),
    )
    # Not when their schedule says: a client could remove what it has got meanwhile, and would
    # get it again.
    connection.execute(
        "UPDATE recipient SET next_at = ?1 WHERE lease = ?2 AND account IS NOT NULL"
        " AND state < ?3 AND next_at > ?1",
        (now, Lease.UNKNOWN, State.HELD),
    )
    # Not all at the same instant.
    connection.execute(
        "UPDATE recipient SET next_at = ?1 + next_at % ?2 WHERE state < ?3 AND next_at > ?1 + ?2",
        (now, longest, State.HELD),
    )
    rows = connection.execute(
        "SELECT DISTINCT lane FROM recipient WHERE lease = ? AND account IS NOT NULL AND state < ?",
        (Lease.UNKNOWN, State.HELD),
    )
    return Recovered(tuple(lane for (lane,) in rows if isinstance(lane, str)), odd)


_ODD_RECIPIENT = (
    "typeof(lane) <> 'text' OR typeof(state) <> 'integer' OR state NOT BETWEEN 0 AND 4"
    " OR typeof(next_at) <> 'integer' OR typeof(token) <> 'integer'"
    " OR typeof(lease) <> 'integer' OR lease NOT BETWEEN 0 AND 2 OR address = ''"
)
_BODY_LOST = (
    "SELECT m.queue_id FROM message m LEFT JOIN body b ON b.queue_id = m.queue_id"
    " WHERE m.in_file = 0 AND"
    " (b.queue_id IS NULL OR LENGTH(b.content) <> m.size - LENGTH(m.prefix))"
)
_NO_MESSAGE = (
    "SELECT DISTINCT queue_id FROM recipient r"
    " WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.queue_id = r.queue_id)"
)
_NO_RECIPIENT = (
    "SELECT queue_id FROM message m"
    " WHERE NOT EXISTS (SELECT 1 FROM recipient r WHERE r.queue_id = m.queue_id)"
)


def _set_odd_aside(connection: sqlite3.Connection, now: int) -> tuple[Odd, ...]:
    """What no commit of ours leaves: it is kept, shown, and not tried."""
    connection.text_factory = text_if_any
    odd: list[Odd] = []

    def found(query: str, why: str) -> bool:
        keys = [row[0] for row in connection.execute(query)]
        odd.extend(Odd(str(key), why) for key in keys)
        return bool(keys)

    # So that each half is seen in the lists. The address of nobody is never tried.
    if found(_NO_RECIPIENT, "its recipients are lost"):
        connection.execute(
            "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease,"
            " attempts, warned, address)"
            f" SELECT queue_id, 0, '', ?, ?, 0, 0, 0, 0, '' FROM ({_NO_RECIPIENT})",
            (State.CORRUPT, now),
        )
    if found(_NO_MESSAGE, "the message is lost"):
        connection.execute(
            f"INSERT INTO message ({MESSAGE_COLUMNS})"
            f" SELECT queue_id, ?, 0, x'', 0, NULL, '{{}}', '{{}}' FROM ({_NO_MESSAGE})",
            (now,),
        )
    if found(_BODY_LOST, "its content is lost"):
        connection.execute(
            f"UPDATE recipient SET state = ? WHERE queue_id IN ({_BODY_LOST})", (State.CORRUPT,)
        )
    for (lane,) in connection.execute("SELECT DISTINCT lane FROM recipient").fetchall():
        if isinstance(lane, bytes):  # a text that is no UTF-8, or no text at all
            connection.execute(
                "UPDATE recipient SET lane = '', address = '' WHERE CAST(lane AS BLOB) = ?", (lane,)
            )
    found(f"SELECT queue_id FROM recipient WHERE {_ODD_RECIPIENT}", "its entry makes no sense")
    connection.execute(
        f"UPDATE recipient SET state = {State.CORRUPT:d}, lease = {Lease.FREE:d}"
        f" WHERE {_ODD_RECIPIENT}"
    )
    return tuple({each.queue_id: each for each in odd}.values())
