"""A copy of the spool's rows that is to go with a copy of the mailboxes.

The rows are copied first, then the mailboxes, while both change. A message that was in the
queue at the first instant and delivered before the second is in both copies. So what the
copied mailboxes have (names carry the key of each delivery) is taken out of the copied
queue; what is left of local deliveries is marked as in doubt, so that the next server looks
whether they happened before it repeats them. What is for a program here is marked likewise, and
the program is told (``Batch.repeats``). Synchronous.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from mailframe.queue import ledger
from mailframe.queue.records import ROW_COLUMNS, Row, is_for_program, row_from
from mailframe.queue.schema import Lease, State


def delivery_token(row: Row) -> str:
    """As the local courier makes it (``delivery.local``)."""
    return f"{row.queue_id}:{row.recipient.address.key}"


def local_rows(connection: sqlite3.Connection) -> list[Row]:
    """Deliveries to mailboxes here. Raises sqlite3.Error."""
    query = f"SELECT {_columns(connection)} FROM recipient WHERE account IS NOT NULL"
    rows = [row_from(columns) for columns in connection.execute(query)]
    return [row for row in rows if not is_for_program(row.recipient)]


def _columns(connection: sqlite3.Connection) -> str:
    """ROW_COLUMNS, also of tables that the next start of the server will migrate."""
    known = {name for _, name, *_ in connection.execute("PRAGMA table_info(recipient)")}
    return ", ".join(name if name in known else "NULL" for name in ROW_COLUMNS.split(", "))


def take_out(connection: sqlite3.Connection, done: Iterable[Row]) -> list[str]:
    """Deliveries that the mailboxes have. Ids of the messages that have left with them."""
    rows = list(done)
    connection.executemany(
        "DELETE FROM recipient WHERE queue_id = ? AND number = ?",
        [(row.queue_id, row.number) for row in rows],
    )
    left = ledger.remove_finished(connection, {row.queue_id for row in rows})
    return [queue_id for queue_id, _ in left]


def mark_in_doubt(connection: sqlite3.Connection) -> None:
    """What is left may have happened after all, in a mailbox that is restored from a younger
    copy. What was being tried when the rows were copied is in doubt anyway (``recover``)."""
    connection.execute(
        "UPDATE recipient SET lease = ? WHERE account IS NOT NULL AND lease = ?",
        (Lease.UNKNOWN, Lease.FREE),
    )


def remove_messages(connection: sqlite3.Connection, queue_ids: Collection[str]) -> None:
    for queue_id in queue_ids:
        connection.execute("DELETE FROM recipient WHERE queue_id = ?", (queue_id,))
    ledger.remove_finished(connection, queue_ids)


def hold_relayed(connection: sqlite3.Connection) -> int:
    """Put on hold what goes elsewhere; how many recipients. For a queue that is older than
    the last mail that was sent from it."""
    cursor = connection.execute(
        "UPDATE recipient SET state = ? WHERE account IS NULL AND state < ?",
        (State.HELD, State.HELD),
    )
    return cursor.rowcount


def relayed(connection: sqlite3.Connection) -> int:
    """Recipients elsewhere that would be tried."""
    query = "SELECT count(*) FROM recipient WHERE account IS NULL AND state < ?"
    found: int = connection.execute(query, (State.HELD,)).fetchone()[0]
    return found
