"""Planted bugs, to see that the simulator sees: each patches one place of the server.

A mutation is a generator function that plants its bug, yields, and takes it out again; its
docstring says which promise it breaks. ``planted(name)`` is the context manager of the play.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from mailframe.accounts.resolver import DirectoryResolver
from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.report import Outcome
from mailframe.core.resolution import Expanded, Target
from mailframe.delivery.attempt import Attempt
from mailframe.mailbox import committing
from mailframe.mailbox.index import place, syncing
from mailframe.mailbox.mailbox import MaildirMailbox
from mailframe.mailbox.quota import Reservation
from mailframe.mailbox.writing import Writing
from mailframe.protocols.dots import DotStuffer
from mailframe.protocols.smtp.client_body import DataBody
from mailframe.queue import inserting, ledger, records, recovery, spool
from mailframe.queue.incoming import Incoming
from mailframe.queue.retry import RetrySchedule
from mailframe.queue.settlement import Settlement
from mailframe.runtime.database_file import DatabaseFile
from mailframe.runtime.disk import DiskFile
from mailframe.servers import smtp_session

Mutation = Callable[[], Iterator[None]]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Raises KeyError for a name that is none."""
    with contextmanager(MUTATIONS[name])():
        yield


def body_unsynced() -> Iterator[None]:
    """Promise 1: a large message's content is not on disk when its 250 leaves."""

    def sync(self: Incoming) -> None:
        assert self._file is not None
        self._file.close()
        self._spool.disk.sync_directory(self._spool.bodies)

    with patch.object(Incoming, "_sync", sync):
        yield


def body_name_unsynced() -> Iterator[None]:
    """Promise 1: a large message's file has no durable name when its 250 leaves."""

    def sync(self: Incoming) -> None:
        assert self._file is not None
        self._file.sync()
        self._file.close()

    with patch.object(Incoming, "_sync", sync):
        yield


def synchronous_off() -> Iterator[None]:
    """Promises 1 and 2: commits do not wait for the disk."""
    connect = DatabaseFile.connect

    def without(self: DatabaseFile) -> Any:
        connection = connect(self)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    with patch.object(DatabaseFile, "connect", without):
        yield


def answer_before_commit() -> Iterator[None]:
    """Promise 1: the 250 does not wait for the commit."""
    commit = Incoming.commit

    def at_once(self: Incoming, *args: Any) -> Deferred[None]:
        commit(self, *args).addErrback(lambda _: None)
        return succeed(None)

    with patch.object(Incoming, "commit", at_once):
        yield


def forgotten_recipient() -> Iterator[None]:
    """Promise 2: the last of several recipients is not written down."""

    store = spool.Spool.store

    def all_but_one(self: Any, queue_id: str, envelope: Any, *args: Any, **kw: Any) -> Any:
        if len(envelope.recipients) > 1:
            envelope = replace(envelope, recipients=envelope.recipients[:-1])
        return store(self, queue_id, envelope, *args, **kw)

    with patch.object(spool.Spool, "store", all_but_one):
        yield


def unfenced() -> Iterator[None]:
    """The queue: an attempt settles without looking at its token, also where an operator has
    removed the recipient meanwhile."""

    def write(connection: Any, changes: Any) -> bool:
        for change in changes:
            row = change.row
            if isinstance(change, ledger.Done):
                mark = (row.queue_id, row.number)
                connection.execute("DELETE FROM recipient WHERE queue_id = ? AND number = ?", mark)
            else:
                query = ledger._DEFER.replace(" AND token = :token", "")
                connection.execute(query, ledger._again_values(change))
        return True

    with patch.object(ledger, "_write", write):
        yield


def double_stuffing() -> Iterator[None]:
    """Whole messages: dots are stuffed twice on the way out."""
    feed = DataBody.feed

    def twice(self: DataBody, chunk: bytes) -> bytes:
        return DotStuffer().feed(feed(self, chunk))

    with patch.object(DataBody, "feed", twice):
        yield


def unnamed_delivery() -> Iterator[None]:
    """Promise 3: a delivery's file name says nothing of the message, so that a repeated
    delivery does not find its earlier self."""
    numbers = itertools.count()

    with patch("mailframe.mailbox.store.key_of", lambda token: f"K{next(numbers):015}"):
        yield


def done_before_report() -> Iterator[None]:
    """Promise 2: the failed recipient is gone some seconds before its report is there."""

    async def in_two_steps(self: Settlement, decisions: Any, now: float, whole: Any) -> None:
        reports, unreported = await self._reports(decisions, now)
        changes = [each.change for each in decisions]
        database = self._spool.database
        removed = await database.write(lambda connection: ledger.settle(connection, changes))
        for change in changes:
            if isinstance(change, ledger.Again):
                self._later(change.row.lane, change.next_at)
        self.record(decisions, now)
        await self.forget(removed)
        if reports:
            await deferLater(self._clock, 10.0)
            for _, _, report in reports:
                await database.write(partial(_insert_report, report))
        self._record_reports(reports, unreported)

    with patch.object(Settlement, "_commit", in_two_steps):
        yield


def _insert_report(report: Any, connection: Any) -> None:
    records.new_messages(connection, [report], "")


def no_report() -> Iterator[None]:
    """Promise 2: nobody is told of what failed."""
    with patch("mailframe.queue.settlement._is_wanted", lambda decision: False):
        yield


def forgotten_removal() -> Iterator[None]:
    """What was removed by POP3 and acknowledged is there again: the first of several stays."""
    remove = MaildirMailbox._remove_files

    def all_but_one(self: MaildirMailbox, known: Any, uids: frozenset[str]) -> Any:
        return remove(self, known, frozenset(sorted(uids)[1:]))

    with patch.object(MaildirMailbox, "_remove_files", all_but_one):
        yield


def reused_uids() -> Iterator[None]:
    """UIDs ascend: a new message gets the uid after the highest that is there now."""
    take = place.take_uids

    def lowest(connection: Any, folder: int, number: int) -> int:
        query = "SELECT coalesce(max(uid), 0) + 1 FROM message WHERE folder = ?"
        (first,) = connection.execute(query, (folder,)).fetchone()
        connection.execute("UPDATE folder SET uid_next = ? WHERE id = ?", (first, folder))
        return take(connection, folder, number)

    with patch.object(syncing, "take_uids", lowest):
        yield


def deferral_is_success() -> Iterator[None]:
    """Promise 2: a 4yz of the next server counts as a delivery."""

    def hear(self: Attempt, index: int, verdict: Reply, session: Any) -> None:
        self._settle(index, Outcome.RELAYED, verdict, session)

    with patch.object(Attempt, "_hear", hear):
        yield


def refusal_is_deferral() -> Iterator[None]:
    """Who was refused for good is tried again and again."""
    settle = Attempt._settle

    def softened(
        self: Attempt, index: int, outcome: Outcome, reply: Reply, *args: Any, **kw: Any
    ) -> None:
        if outcome is Outcome.FAILED:
            outcome = Outcome.DEFERRED
        settle(self, index, outcome, reply, *args, **kw)

    with patch.object(Attempt, "_settle", softened):
        yield


def impatience() -> Iterator[None]:
    """The schedule: what failed is tried again after a second."""

    def soon(self: RetrySchedule, now: float, attempts: int, arrived: float) -> float:
        return now + 1.0

    with patch.object(RetrySchedule, "next_at", soon):
        yield


def quota_kept() -> Iterator[None]:
    """Quota equals the sum: room that was reserved is never given back."""
    with patch.object(Reservation, "release", lambda self: None):
        yield


def name_before_content() -> Iterator[None]:
    """Nothing partial is visible: a delivery gets its name before its content is synced."""
    sync, publish = committing._sync, committing._publish
    with patch.object(committing, "_sync", publish), patch.object(committing, "_publish", sync):
        yield


def delivery_name_unsynced() -> Iterator[None]:
    """Promise 2: a message is taken from the queue before its name in the mailbox is durable."""
    with patch.object(Writing, "sync_name", lambda self: None):
        yield


def delivery_unsynced() -> Iterator[None]:
    """Promise 2: the content in the mailbox is not durable when the queue forgets it."""

    def close(self: Writing) -> None:
        assert isinstance(self._file, DiskFile)
        self._file.close()

    with patch.object(Writing, "sync", close):
        yield


def no_trace() -> Iterator[None]:
    """Promise 5: what stands before the message is lost."""
    store = spool.Spool.store

    def bare(
        self: Any, queue_id: str, envelope: Any, arrival: Any, prefix: bytes, **kw: Any
    ) -> Any:
        return store(self, queue_id, envelope, arrival, b"", **kw)

    with patch.object(spool.Spool, "store", bare):
        yield


def own_trouble_refuses() -> Iterator[None]:
    """Promise 4: an error of ours becomes a 554."""
    refusal = Reply(554, status.SYSTEM_OTHER, "Internal error")
    with (
        patch.object(smtp_session, "INTERNAL_ERROR", refusal),
        patch("mailframe.runtime.disk.INTERNAL_ERROR", refusal),
        patch("mailframe.runtime.disk.STORAGE_FULL", refusal),
        patch.object(spool, "STORAGE_FULL", refusal),
        patch.object(inserting, "STORAGE_FULL", refusal),
    ):
        yield


def percent_relay() -> Iterator[None]:
    """Promise 6: ``user%elsewhere@here`` is sent on to elsewhere, for anybody."""
    resolve = DirectoryResolver._resolve

    async def hacked(self: DirectoryResolver, address: Any) -> Any:
        user, percent, elsewhere = address.local_part.partition("%")
        if percent:
            return Expanded((Target(Address(user, elsewhere), None),))
        return await resolve(self, address)

    with patch.object(DirectoryResolver, "_resolve", hacked):
        yield


def forgotten_leases() -> Iterator[None]:
    """Promise 2: what was under way when the server died is not looked at again in time."""
    recover = recovery.recover

    def asleep(connection: Any, *args: Any) -> Any:
        rows = connection.execute(
            "SELECT queue_id, number FROM recipient WHERE lease != 0"
        ).fetchall()
        now = args[1]
        found = recover(connection, *args)
        connection.executemany(
            "UPDATE recipient SET next_at = ? WHERE queue_id = ? AND number = ?",
            [(now + 100_000_000_000, *row) for row in rows],
        )
        return replace(found, in_doubt=()) if rows else found

    with patch.object(recovery, "recover", asleep):
        yield


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__.replace("_", "-"): mutation
    for mutation in (
        body_unsynced,
        body_name_unsynced,
        synchronous_off,
        answer_before_commit,
        forgotten_recipient,
        unfenced,
        double_stuffing,
        unnamed_delivery,
        done_before_report,
        no_report,
        forgotten_removal,
        reused_uids,
        deferral_is_success,
        refusal_is_deferral,
        impatience,
        quota_kept,
        name_before_content,
        delivery_name_unsynced,
        delivery_unsynced,
        no_trace,
        own_trouble_refuses,
        percent_relay,
        forgotten_leases,
    )
}
