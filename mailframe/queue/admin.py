"""What the command line does to the queue: look, hold, release, flush, replay, bounce, remove.

Plain functions over a ``Database`` in synchronous mode, working whether or not a
server runs on the same file; afterwards poke the server (``Queue.wake``). Nothing here
touches a token: what an attempt under way brings is still written down, and a delivered
recipient is never delivered again because somebody held it meanwhile.

Lists are read in pages, so that 200,000 messages neither fill the memory nor keep the
database's log from being checkpointed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mailframe.core.envelope import Envelope
from mailframe.interfaces import Arrival
from mailframe.queue import ledger
from mailframe.queue.records import (
    MESSAGE_COLUMNS,
    ROW_COLUMNS,
    Message,
    Row,
    message_from,
    reply_from,
    row_from,
)
from mailframe.queue.schema import MICROSECONDS, Lease, State, micros
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database

T = TypeVar("T")

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients are meant; what is given must all hold. Nothing given: everything."""

    ids: Collection[str] = field(default_factory=tuple)
    to: str | None = None
    """Forward-path, without regard to case."""
    sender: str | None = None
    """Reverse-path, likewise; ``<>`` is the null one."""
    domain: str | None = None
    """Of the forward-path."""
    account: str | None = None
    """Who had logged in to send it."""
    state: str | None = None
    """A ``queue_name``: active, deferred, hold, dead, corrupt, incoming."""


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    address: str
    delay_reason: str
    """What the last attempt brought; empty if there was none."""
    state: str
    """As ``queue_name``."""
    attempts: int
    next_at: float
    """Seconds since the epoch; of one that is being tried, when that is given up; of a dead
    letter, when it became one."""
    courier: str = ""
    """The program here that is to take it; empty where it is for a mailbox or another host."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """One message; the members that ``postqueue -j`` prints have its names."""

    queue_name: str
    """The most urgent of its recipients' states."""
    queue_id: str
    arrival_time: int
    """Seconds since the epoch."""
    message_size: int
    sender: str
    """Empty for the null reverse-path, which Postfix shows as MAILER-DAEMON."""
    recipients: tuple[QueuedRecipient, ...]


@dataclass(frozen=True, slots=True)
class Details:
    """Everything about one message but its content."""

    queue_id: str
    arrived: float
    size: int
    in_file: bool
    envelope: Envelope
    arrival: Arrival
    rows: tuple[Row, ...]


_NAMES: dict[int, str] = {
    State.RETURNING: "active",
    State.FRESH: "incoming",
    State.DEFERRED: "deferred",
    State.HELD: "hold",
    State.CORRUPT: "corrupt",
    State.DEAD: "dead",
}
_ORDER = ("active", "incoming", "deferred", "hold", "dead", "corrupt")


def messages(database: Database, selection: Selection) -> Iterator[QueuedMessage]:
    """The queue, oldest first; of each message the recipients that are meant."""
    last = ""
    while page := _read(database, partial(_page, selection, last)):
        last = page[-1].queue_id
        yield from page


def details(database: Database, queue_id: str) -> Details | None:
    """One message and all its open recipients; None where it is not in the queue."""
    message = stored_message(database, queue_id)
    if message is None:
        return None
    query = f"SELECT {ROW_COLUMNS} FROM recipient WHERE queue_id = ? ORDER BY number"
    rows = _read(database, lambda c: c.execute(query, (queue_id,)).fetchall())
    return Details(
        queue_id=queue_id,
        arrived=message.arrived,
        size=message.size,
        in_file=message.in_file,
        envelope=message.envelope,
        arrival=message.arrival,
        rows=tuple(map(row_from, rows)),
    )


def stored_message(database: Database, queue_id: str) -> Message | None:
    """For ``Spool.open``, which reads the content."""
    query = f"SELECT {MESSAGE_COLUMNS} FROM message WHERE queue_id = ?"
    row = _read(database, lambda connection: connection.execute(query, (queue_id,)).fetchone())
    return None if row is None else message_from(row)


def flush(database: Database, selection: Selection, now: float) -> list[str]:
    """Make them due now, held ones, dead letters and those being tried excepted. Returns queue
    ids."""
    change = "next_at = :now"
    only = "r.state < :held AND r.lease <> :taken"
    return _update(database, selection, change, only, now)


def hold(database: Database, selection: Selection, now: float) -> list[str]:
    """Keep them from being tried again; a dead letter is one no more, and ``replay`` passes it
    by. Returns the queue ids that it changed."""
    return fired(holding(database, selection, now))


def holding(database: Database, selection: Selection, now: float) -> Deferred[list[str]]:
    """``hold`` for the server itself."""
    only = "(r.state < :held OR r.state = :dead)"
    return _updating(database, selection, "state = :held", only, now)


def release(database: Database, selection: Selection, now: float) -> list[str]:
    """Undo ``hold``; they are due at once."""
    return _update(database, selection, _DUE_AT_ONCE, "r.state = :held", now)


def replay(database: Database, selection: Selection, now: float) -> list[str]:
    """Have dead letters tried once more, at once; what fails again is dead again. Returns the
    queue ids that it changed."""
    return _update(database, selection, _DUE_AT_ONCE, "r.state = :dead", now)


_DUE_AT_ONCE = (
    "state = CASE attempts WHEN 0 THEN :fresh ELSE :deferred END,"
    " next_at = CASE lease WHEN :taken THEN next_at ELSE :now END"
)


def bounce(database: Database, selection: Selection, now: float) -> list[str]:
    """Have the server return them to the sender, at once or when it is started."""
    change = "state = :returning, next_at = CASE lease WHEN :taken THEN next_at ELSE :now END"
    return _update(database, selection, change, "r.state <> :returning", now)


def remove(database: Database, selection: Selection) -> list[tuple[str, bool]]:
    """Forget recipients without telling anybody.

    Returns (queue id, whether it has a body file) of the messages that have left for it;
    hand those with a file to ``Spool.discard`` (else the next start sweeps them).
    """
    where, values = _condition(selection)

    def job(connection: sqlite3.Connection) -> list[tuple[str, bool]]:
        meant = connection.execute(f"SELECT r.queue_id, r.number {where}", values).fetchall()
        connection.executemany("DELETE FROM recipient WHERE queue_id = ? AND number = ?", meant)
        return ledger.remove_finished(connection, dict.fromkeys(row[0] for row in meant))

    return fired(database.write(job))


def _update(
    database: Database, selection: Selection, change: str, only: str, now: float
) -> list[str]:
    return fired(_updating(database, selection, change, only, now))


def _updating(
    database: Database, selection: Selection, change: str, only: str, now: float
) -> Deferred[list[str]]:
    where, values = _condition(selection)
    values |= {
        "now": micros(now),
        "held": State.HELD,
        "dead": State.DEAD,
        "taken": Lease.TAKEN,
        "fresh": State.FRESH,
        "deferred": State.DEFERRED,
        "returning": State.RETURNING,
    }

    def job(connection: sqlite3.Connection) -> list[str]:
        query = f"SELECT r.queue_id, r.number {where} AND {only}"
        meant = connection.execute(query, values).fetchall()
        connection.executemany(
            f"UPDATE recipient SET {change} WHERE queue_id = :queue_id AND number = :number",
            ({**values, "queue_id": row[0], "number": row[1]} for row in meant),
        )
        return list(dict.fromkeys(row[0] for row in meant))

    return database.write(job)


_STATE_TERMS = {
    "active": f"(r.lease = {Lease.TAKEN:d} OR r.state = {State.RETURNING:d})",
    **{
        name: f"(r.lease <> {Lease.TAKEN:d} AND r.state = {state:d})"
        for state, name in _NAMES.items()
        if state is not State.RETURNING
    },
}


def _condition(selection: Selection) -> tuple[str, dict[str, object]]:
    """FROM and WHERE over recipients ``r`` with their messages ``m``."""
    terms = ["1 = 1"]
    values: dict[str, object] = {}
    if selection.ids:
        names = []
        for number, queue_id in enumerate(selection.ids):
            values[f"id{number}"] = queue_id
            names.append(f":id{number}")
        terms.append(f"r.queue_id IN ({', '.join(names)})")
    if selection.to is not None:
        terms.append("LOWER(r.address) = LOWER(:to)")
        values["to"] = selection.to
    if selection.domain is not None:
        terms.append("(r.lane = :domain OR r.lane LIKE :at_domain ESCAPE '!')")
        domain = selection.domain.lower()
        escaped = domain.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        values |= {"domain": domain, "at_domain": f"%@{escaped}"}
    if selection.sender == "<>":
        terms.append("m.reverse_path IS NULL")
    elif selection.sender is not None:
        terms.append("LOWER(m.reverse_path) = LOWER(:sender)")
        values["sender"] = selection.sender
    if selection.account is not None:
        terms.append("json_extract(m.arrival, '$.account') = :account")
        values["account"] = selection.account
    if selection.state is not None:
        terms.append(_STATE_TERMS.get(selection.state, "1 = 0"))
    where = " AND ".join(terms)
    return f"FROM recipient r JOIN message m ON m.queue_id = r.queue_id WHERE {where}", values


# For listing: as few columns as it takes, straight to what is shown.
_LISTED = (
    "m.queue_id, m.arrived, m.size, m.reverse_path, r.address, r.state, r.lease, r.attempts,"
    " r.next_at, r.reply_code, r.reply_status, r.reply_text, r.remote, r.courier"
)


def _page(selection: Selection, after: str, connection: sqlite3.Connection) -> list[QueuedMessage]:
    """The next messages after that id."""
    where, values = _condition(selection)
    ids = connection.execute(
        f"SELECT DISTINCT r.queue_id {where} AND r.queue_id > :after"
        f" ORDER BY r.queue_id LIMIT {_PAGE}",
        {**values, "after": after},
    ).fetchall()
    if not ids:
        return []
    connection.text_factory = lambda octets: octets.decode(errors="replace")
    rows = connection.execute(
        f"SELECT {_LISTED} {where} AND r.queue_id > :after AND r.queue_id <= :last"
        " ORDER BY r.queue_id, r.number",
        {**values, "after": after, "last": ids[-1][0]},
    )
    return [_queued(list(group)) for _, group in groupby(rows, key=itemgetter(0))]


def _queued(rows: list[tuple[Any, ...]]) -> QueuedMessage:
    queue_id, arrived, size, sender = rows[0][:4]
    recipients = tuple(_listed(*row[4:]) for row in rows)
    return QueuedMessage(
        queue_name=min((each.state for each in recipients), key=_ORDER.index),
        queue_id=queue_id,
        arrival_time=_number(arrived) // MICROSECONDS,
        message_size=_number(size),
        sender=str(sender or ""),
        recipients=recipients,
    )


def _listed(
    address: str,
    state: int,
    lease: int,
    attempts: int,
    next_at: int,
    code: int | None,
    status: str | None,
    text: str | None,
    remote: str | None,
    courier: str | None,
) -> QueuedRecipient:
    try:
        reply = reply_from(code, status, text)
    except (TypeError, ValueError):
        reply = None  # the row is damaged; the rest of it is shown
    said = "" if reply is None else str(reply)
    return QueuedRecipient(
        address=str(address),
        delay_reason=f"host {remote} said: {said}" if remote and said else said,
        state="active" if lease == Lease.TAKEN else _NAMES.get(state, "corrupt"),
        attempts=_number(attempts),
        next_at=_number(next_at) / MICROSECONDS,
        courier=str(courier or ""),
    )


def _number(value: object) -> int:
    """What a damaged row has in its place is shown as 0."""
    return value if isinstance(value, int) else 0


def _read(database: Database, job: Callable[[sqlite3.Connection], T]) -> T:
    return fired(database.read(job))
