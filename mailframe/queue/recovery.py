"""Jobs on the spool's tables beside the daily work: after a start, after the death of another
node, and after a jump of the clock.

Each runs inside one write transaction (``Database.write``). Nodes that are alive work on the
same rows meanwhile: what they hold is left alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailframe.queue.ledger import Odd
from mailframe.queue.records import MESSAGE_COLUMNS
from mailframe.queue.schema import Lease, State, micros
from mailframe.runtime.salvage import text_if_any

FOR_MAILBOX = "account IS NOT NULL AND courier IS NULL"
"""The condition that the mail store takes it: not another host, not a program here. A program
is told that a message may come a second time, and must not keep the server from starting."""


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
    """Lanes of mailboxes here with deliveries whose end nobody knows."""
    corrupt: tuple[str, ...]
    """Of those whose body is lost."""
    odd: tuple[Odd, ...]


def recover(
    connection: sqlite3.Connection,
    lost: Sequence[str],
    now: int,
    longest: int,
    alive: Collection[str] = (),
) -> Recovered:
    """Release the leases of dead processes, and set aside what cannot be delivered: messages
    whose body is lost (``lost``), and entries that make no sense.

    ``alive`` are the other nodes that may be delivering. Nothing waits longer than
    ``longest``, the greatest wait there is: a time beyond that was written while the clock was
    wrong."""
    connection.execute(
        "UPDATE recipient SET state = CASE attempts WHEN 0 THEN ? ELSE ? END WHERE state = ?",
        (State.FRESH, State.DEFERRED, State.CORRUPT),
    )
    corrupt = [queue_id for queue_id in lost if _is_set_aside(connection, queue_id)]
    odd = _set_odd_aside(connection, now)
    others = ",".join("?" * len(alive))
    connection.execute(
        "UPDATE recipient SET lease = ?, next_at = ?"
        f" WHERE lease = ? AND (node IS NULL OR node NOT IN ({others}))",
        (Lease.UNKNOWN, now, Lease.TAKEN, *alive),
    )
    # Not when their schedule says: a client could remove what it has got meanwhile, and would
    # get it again.
    connection.execute(
        f"UPDATE recipient SET next_at = ?1 WHERE lease = ?2 AND {FOR_MAILBOX}"
        " AND state < ?3 AND next_at > ?1",
        (now, Lease.UNKNOWN, State.HELD),
    )
    # Not all at the same instant. A lease of the living may last longer, and must: who has it
    # is delivering.
    connection.execute(
        "UPDATE recipient SET next_at = ?1 + next_at % ?2 WHERE state < ?3 AND next_at > ?1 + ?2"
        " AND lease <> ?4",
        (now, longest, State.HELD, Lease.TAKEN),
    )
    return Recovered(_lanes_in_doubt(connection), tuple(corrupt), odd)


def release(connection: sqlite3.Connection, node: str, now: float) -> tuple[str, ...]:
    """``node`` has died: what it was trying is due at once, and in doubt. Returns the lanes of
    mailboxes here with such deliveries. Harmless where another has done it already."""
    connection.execute(
        "UPDATE recipient SET lease = ?, next_at = ? WHERE lease = ? AND node = ?",
        (Lease.UNKNOWN, micros(now), Lease.TAKEN, node),
    )
    return _lanes_in_doubt(connection)


def _lanes_in_doubt(connection: sqlite3.Connection) -> tuple[str, ...]:
    rows = connection.execute(
        f"SELECT DISTINCT lane FROM recipient WHERE lease = ? AND {FOR_MAILBOX} AND state < ?",
        (Lease.UNKNOWN, State.HELD),
    )
    return tuple(lane for (lane,) in rows if isinstance(lane, str))


def _is_set_aside(connection: sqlite3.Connection, queue_id: str) -> bool:
    """As CORRUPT; it may have left the queue meanwhile."""
    query = f"UPDATE recipient SET state = {State.CORRUPT:d} WHERE queue_id = ?"
    return connection.execute(query, (queue_id,)).rowcount > 0


_ODD_RECIPIENT = (
    "typeof(lane) <> 'text' OR typeof(state) <> 'integer' OR state NOT BETWEEN 0 AND 5"
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
