"""Jobs on the spool's tables: lease what is due, settle what was tried.

Each function runs inside one write transaction (``Database.write``) or on a reader. A lease
touches as many rows as it takes, whatever the length of the queue: it walks the index of
one lane from its earliest row and stops.

Other processes may work on the same tables: a row is as this process left it only where its
token says so. ``node`` is who asks; a lease bears the name of who holds it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mailframe.core.reply import Reply
from mailframe.queue.records import (
    MESSAGE_COLUMNS,
    ROW_COLUMNS,
    Message,
    NewMessage,
    Row,
    message_from,
    new_messages,
    row_from,
)
from mailframe.queue.schema import MICROSECONDS, RUNNABLE, Lease, State, micros
from mailframe.queue.statements import delete_rows, is_listed, list_of
from mailframe.runtime.salvage import text_if_any

RECIPIENTS_PER_BATCH = 100
"""RFC 5321 section 4.5.3.1.8 has every server take a hundred."""

_NEXT_DUE = "SELECT MIN(next_at) FROM recipient WHERE lane = ? AND state = ?"
_DUE = (
    f"SELECT {ROW_COLUMNS} FROM recipient WHERE lane = ? AND state = ? AND next_at <= ?"
    " ORDER BY next_at, queue_id, number"
)
_DUE_IN_DOUBT = _DUE.replace(" ORDER BY", f" AND lease = {Lease.UNKNOWN:d} ORDER BY")

_ID = (("queue_id", "TEXT"),)
_ROW = (*_ID, ("number", "INTEGER"))
_LEASED_ROW = (*_ROW, ("token", "INTEGER"))

_MESSAGES = f"SELECT {MESSAGE_COLUMNS} FROM message WHERE {is_listed(_ID)}"
_CONTENTS = f"SELECT queue_id, content FROM body WHERE {is_listed(_ID)}"
_TAKE = (
    f"UPDATE recipient SET lease = {Lease.TAKEN:d}, next_at = ?, node = ?, token = token + 1"
    f" WHERE {is_listed(_ROW)}"
)
# The administrator may have acted meanwhile: a held recipient stays held, one that is to be
# returned is due at once. ``stays``: DEFERRED or DEAD.
_DEFER = (
    "UPDATE recipient SET"
    " next_at = CASE WHEN state = :returning THEN :tried_at ELSE :next_at END,"
    " state = CASE WHEN state IN (:fresh, :deferred) THEN :stays ELSE state END,"
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
    with_content: bool = False
    """Bring the content of messages that have no body file."""


@dataclass(frozen=True, slots=True)
class Leased:
    """Recipients of one message in one lane, taken. Each row is as it stood before, but for
    its token, which is the new one."""

    message: Message
    rows: tuple[Row, ...]
    content: bytes | None = None
    """Where it was asked for, without the message's prefix."""


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
    is_dead: bool = False
    """It was the last attempt: kept as a dead letter, and not due any more."""


class Fenced(Exception):
    """Rows changed hands, or were removed, while the attempt ran. Nothing was written."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(", ".join(f"{row.queue_id}/{row.number}" for row in rows))
        self.rows = tuple(rows)


def lease(
    connection: sqlite3.Connection,
    asks: Sequence[Ask],
    now: float,
    until: float,
    node: str,
    octets: int = 0,
) -> list[Answer]:
    """Take what is due at ``now``; it falls due again at ``until`` unless settled before.
    At most so many ``octets`` of content are brought, for all asks together."""
    messages: dict[str, Message] = {}
    hold = (micros(until), node)
    answers = []
    for ask in asks:
        answer = _lease_lane(connection, ask, micros(now), hold, messages, octets)
        octets -= sum(len(each.content) for each in answer.leased if each.content is not None)
        answers.append(answer)
    return answers


def _lease_lane(
    connection: sqlite3.Connection,
    ask: Ask,
    now: int,
    hold: tuple[int, str],
    messages: dict[str, Message],
    octets: int,
) -> Answer:
    runs: list[list[Row]] = []
    damaged: list[_Damaged] = []
    due = _DUE_IN_DOUBT if ask.doubtful_only else _DUE
    connection.text_factory = text_if_any  # a text that is none must not keep the others waiting
    for state in (State.FRESH,) if ask.fresh_only else RUNNABLE:
        found = connection.execute(due, (ask.lane, state, now))
        _take_runs(found, ask.batches, runs, damaged)
    leased = _with_messages(connection, runs, messages, damaged)
    if leased:
        keys = [(row.queue_id, row.number) for each in leased for row in each.rows]
        connection.execute(_TAKE, (*hold, list_of(keys)))
    if ask.with_content:
        leased = _with_content(connection, leased, octets)
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
    unknown = [(run[0].queue_id,) for run in runs if run[0].queue_id not in messages]
    found = {}
    if unknown:
        found = {row[0]: row for row in connection.execute(_MESSAGES, (list_of(unknown),))}
    leased = []
    for run in runs:
        queue_id = run[0].queue_id
        try:
            message = messages.get(queue_id) or message_from(found[queue_id])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this message
            damaged += [(row.queue_id, row.number, f"message: {error!r}") for row in run]
        else:
            messages[queue_id] = message
            leased.append(Leased(message, tuple(run)))
    return leased


def _with_content(
    connection: sqlite3.Connection, leased: Sequence[Leased], room: int
) -> list[Leased]:
    wanted = []
    for each in leased:
        message = each.message
        if not message.in_file and message.size <= room:
            wanted.append((message.queue_id,))
            room -= message.size
    found: dict[str, object] = {}
    if wanted:
        found = dict(connection.execute(_CONTENTS, (list_of(wanted),)).fetchall())
    return [_with(each, found.get(each.message.queue_id)) for each in leased]


def _with(leased: Leased, content: object) -> Leased:
    if not isinstance(content, bytes):
        return leased
    return Leased(leased.message, leased.rows, content)


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
    # As dataclasses.replace, which takes several times as long.
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


def settle(
    connection: sqlite3.Connection,
    changes: Sequence[Done | Again],
    reports: Sequence[NewMessage] = (),
    whole: Collection[Message] = (),
) -> list[tuple[str, bool]]:
    """Write what became of leased rows and spool the reports about them, all or nothing.

    ``whole``: messages all of whose recipients, those done before included, are among what is
    done now. Returns (queue id, whether it has a body file) of the messages that have left.
    Raises Fenced, with nothing written, where any of the rows is not ours any more.
    """
    connection.execute("SAVEPOINT settling")
    if not _write(connection, changes):
        connection.execute("ROLLBACK TO settling")
        connection.execute("RELEASE settling")
        raise Fenced(_lost(connection, [change.row for change in changes]))
    connection.execute("RELEASE settling")
    new_messages(connection, reports, "")
    _delete_messages(connection, whole)
    removed = [(message.queue_id, message.in_file) for message in whole]
    done = {change.row.queue_id for change in changes if isinstance(change, Done)}
    rest = done.difference(message.queue_id for message in whole)
    return removed + remove_finished(connection, rest)


def _write(connection: sqlite3.Connection, changes: Sequence[Done | Again]) -> bool:
    """Whether all rows were still ours to change."""
    done = [change.row for change in changes if isinstance(change, Done)]
    marks = [(row.queue_id, row.number, row.token) for row in done]
    again = [_again_values(change) for change in changes if isinstance(change, Again)]
    changed = delete_rows(connection, "recipient", _LEASED_ROW, marks)
    if again:
        changed += connection.executemany(_DEFER, again).rowcount
    return changed == len(changes)


def _lost(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """Those that somebody else has taken, or removed."""
    query = "SELECT 1 FROM recipient WHERE queue_id = ? AND number = ? AND token = ?"
    return [
        row
        for row in rows
        if not connection.execute(query, (row.queue_id, row.number, row.token)).fetchone()
    ]


def _delete_messages(connection: sqlite3.Connection, messages: Collection[Message]) -> None:
    delete_rows(connection, "message", _ID, [(each.queue_id,) for each in messages])
    inline = [(each.queue_id,) for each in messages if not each.in_file]
    delete_rows(connection, "body", _ID, inline)


def _again_values(change: Again) -> dict[str, object]:
    status = change.reply.status
    return {
        "returning": State.RETURNING,
        "fresh": State.FRESH,
        "deferred": State.DEFERRED,
        "stays": State.DEAD if change.is_dead else State.DEFERRED,
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
