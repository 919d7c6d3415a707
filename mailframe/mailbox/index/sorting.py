"""SORT and THREAD over an account's index (RFC 5256, RFC 5957).

Texts sort as i;unicode-casemap has it (``folding.collation_key``), by keys that were computed
when the messages were read. The sent date of a message without a usable Date is its
INTERNALDATE (RFC 5256 section 2.2). Ties go by uid. SQLite sorts, without holding the
interpreter; threads are made on a worker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mailframe.core.search import SearchKey, SortBy, SortCriterion, ThreadAlgorithm, ThreadNode
from mailframe.mailbox.index.conditions import HEADING, Condition, needs_contents, uids_within
from mailframe.mailbox.index.searching import (
    SearchedFolder,
    cancellable,
    condition_of,
    narrowed,
    read_first,
)
from mailframe.message.threading import Threaded
from mailframe.message.threading import thread as make_threads

_SENT = "coalesce(h.sent, m.received)"
_KEYS = {
    SortBy.ARRIVAL: "m.received",
    SortBy.CC: "coalesce(h.cc_key, x'')",
    SortBy.DATE: _SENT,
    SortBy.FROM: "coalesce(h.from_key, x'')",
    SortBy.SIZE: "m.size",
    SortBy.SUBJECT: "coalesce(h.base_subject, x'')",
    SortBy.TO: "coalesce(h.to_key, x'')",
    SortBy.DISPLAYFROM: "coalesce(h.display_from, x'')",
    SortBy.DISPLAYTO: "coalesce(h.display_to, x'')",
}
_UNREAD_WILL_DO = {SortBy.ARRIVAL, SortBy.SIZE}
_WHERE = " WHERE m.folder = ? AND m.uid BETWEEN ? AND ? AND "


async def sort(folder: SearchedFolder, key: SearchKey, by: Sequence[SortCriterion]) -> list[int]:
    """uids that match, in that order."""
    if needs_contents(key) or any(criterion.by not in _UNREAD_WILL_DO for criterion in by):
        await read_first(folder, key)
    among = await narrowed(folder, key)
    folder.require()
    return await cancellable(
        folder.index,
        lambda connection: in_order(connection, folder.folder, among, condition_of(among), by),
    )


async def thread(
    folder: SearchedFolder, key: SearchKey, algorithm: ThreadAlgorithm
) -> list[ThreadNode]:
    """Threads of those that match."""
    await read_first(folder, key)
    among = await narrowed(folder, key)
    folder.require()
    messages = await cancellable(
        folder.index,
        lambda connection: threaded(connection, folder.folder, among, condition_of(among)),
    )
    threads: list[ThreadNode] = await folder.around.workers.run(make_threads, messages, algorithm)
    return threads


def in_order(
    connection: sqlite3.Connection,
    folder: int,
    key: SearchKey,
    condition: Condition,
    by: Sequence[SortCriterion],
) -> list[int]:
    """The job of ``sort``."""
    condition.prepare(connection)
    # RFC 5256 section 3: REVERSE turns one criterion round, not the order of what is equal
    terms: dict[str, str] = {}  # of two for the same thing the second can decide nothing
    for criterion in by:
        terms.setdefault(_KEYS[criterion.by], " DESC" if criterion.reverse else "")
    order = ", ".join([term + direction for term, direction in terms.items()] + ["m.uid"])
    rows = connection.execute(
        f"SELECT m.uid FROM message AS m{condition.joins(HEADING)}{_WHERE}{condition.sql}"
        f" ORDER BY {order}",
        (folder, *uids_within(key), *condition.parameters),
    )
    return [uid for (uid,) in rows]


def threaded(
    connection: sqlite3.Connection, folder: int, key: SearchKey, condition: Condition
) -> list[Threaded]:
    """The job of ``thread``, as far as the database is concerned."""
    condition.prepare(connection)
    rows = connection.execute(
        f"SELECT m.uid, coalesce(h.message_id, ''), coalesce(h.reference_ids, ''), {_SENT},"
        f" m.received, coalesce(h.base_subject, x''), coalesce(h.is_reply, 0)"
        f" FROM message AS m{condition.joins(HEADING)}{_WHERE}{condition.sql} ORDER BY m.uid",
        (folder, *uids_within(key), *condition.parameters),
    )
    return [
        Threaded(
            uid,
            message_id,
            references.split(" ") if references else (),
            sent,
            received,
            subject,
            bool(is_reply),
        )
        for uid, message_id, references, sent, received, subject, is_reply in rows
    ]
