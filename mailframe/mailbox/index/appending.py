"""APPEND: one or more messages on their way into a folder.

States, as a crash may leave them: files in tmp (nothing happened; swept later); with several
messages, names noted as pending and files in cur/ (the next opening removes them); files in
cur/ without rows (a single message: complete, not reported, the next sync takes it in); rows
committed (reported). Room is reserved when a message begins, more as it grows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from zope.interface import implementer

from mailframe.core.events import MessageArrived
from mailframe.core.folders import AppendOutcome, FolderReason, MessageState, NewMessage
from mailframe.errors import INTERNAL_ERROR, FolderRefused, TransientFailure
from mailframe.interfaces import IAppending
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.index.copying import begin_all_or_none, end_all_or_none, note_sizes
from mailframe.mailbox.index.flags import flag_set, flag_text
from mailframe.mailbox.index.place import (
    INSERT,
    Delta,
    FolderPlace,
    as_stored,
    next_modseq,
    take_uids,
)
from mailframe.mailbox.names import FileName
from mailframe.mailbox.quota import Reservation
from mailframe.mailbox.writing import Writing

if TYPE_CHECKING:
    from mailframe.mailbox.index.live_folder import LiveFolder

_BUFFERED = 1 << 18  # what of a message is in memory at once


def over_quota() -> FolderRefused:
    return FolderRefused(FolderReason.OVER_QUOTA, "There is not enough room in the mailbox")


@dataclass(eq=False, slots=True)
class _Incoming:
    message: NewMessage
    received: int
    writing: Writing
    reserved: int
    reservations: list[Reservation]
    octets: int = 0
    buffered: list[bytes] = field(default_factory=list)
    waiting: int = 0


@implementer(IAppending)
class Appending:
    """Made by ``IndexedFolder.receive``. One call at a time, but for ``abort``."""

    def __init__(self, live: LiveFolder) -> None:
        self._live = live
        self._messages: list[_Incoming] = []
        self._is_busy = False
        self._is_over = False

    async def begin(self, message: NewMessage, octets: int | None) -> None:
        await self._flush()
        live = self._live
        reservation = await live.around.quotas.reserve(live.account, octets or 0)
        if reservation is None:
            raise over_quota()
        if self._is_over:
            reservation.release()
            raise self._aborted()
        now = live.around.clock.seconds()
        received = max(0, int(now if message.received is None else message.received))
        writing = Writing(live.place.maildir, live.around.new_name(received))
        self._messages.append(_Incoming(message, received, writing, octets or 0, [reservation]))

    async def write(self, chunk: bytes) -> None:
        if self._is_over:
            raise self._aborted()
        incoming = self._messages[-1]
        incoming.buffered.append(chunk)
        incoming.waiting += len(chunk)
        incoming.octets += len(chunk)
        if incoming.waiting >= _BUFFERED:
            await self._flush()

    async def commit(self) -> AppendOutcome:
        live = self._live
        try:
            await self._flush()
            await self._busy(self._write_all, tuple(self._messages))
            if not self._messages:
                return AppendOutcome(live.uid_validity, ())
            bases = [incoming.writing.base for incoming in self._messages]
            first = partial(begin_all_or_none, place=live.place, bases=bases)
            self._is_busy = True  # from here on abort comes too late
            try:
                delta: Delta = await live.run(
                    self._publish, self._settle, first if len(bases) > 1 else None
                )
            finally:
                self._is_busy = False
        except BaseException:
            self.abort()
            raise
        return AppendOutcome(live.uid_validity, [state.uid for state in delta.arrived])

    def abort(self) -> None:
        self._is_over = True
        if not self._is_busy:
            self._forget()

    def _forget(self) -> None:
        messages, self._messages = self._messages, []
        begun = [incoming for incoming in messages if incoming.writing.has_begun]
        for incoming in messages:
            for reservation in incoming.reservations:
                reservation.release()
        if begun:
            self._live.around.workers.run(_abort_all, begun).addErrback(
                # The workers are overloaded: a few short calls, here.
                lambda failure: _abort_all(begun)
            )

    async def _flush(self) -> None:
        if self._is_over:
            raise self._aborted()
        if not self._messages:
            return
        incoming = self._messages[-1]
        if not incoming.buffered:
            return
        await self._reserve_more(incoming)
        data, incoming.buffered, incoming.waiting = b"".join(incoming.buffered), [], 0
        await self._busy(incoming.writing.write, data)

    async def _reserve_more(self, incoming: _Incoming) -> None:
        more = incoming.octets - incoming.reserved
        if more <= 0:
            return
        live = self._live
        reservation = await live.around.quotas.reserve(live.account, more, 0)
        if reservation is None:
            raise over_quota()
        if self._is_over:
            reservation.release()
            raise self._aborted()
        incoming.reservations.append(reservation)
        incoming.reserved += more

    async def _busy(self, function: object, *args: object) -> None:
        """On a worker; an abort meanwhile takes effect when it is back."""
        self._is_busy = True
        try:
            with disk_trouble(f"append to {self._live.place.path}"):
                await self._live.around.workers.run(function, *args)  # type: ignore[arg-type]
        finally:
            self._is_busy = False
            if self._is_over:
                self._forget()
        if self._is_over:
            raise self._aborted()

    def _aborted(self) -> TransientFailure:
        return TransientFailure(INTERNAL_ERROR, "the append was aborted")

    def _write_all(self, messages: Sequence[_Incoming]) -> None:
        for incoming in messages:
            incoming.writing.complete(incoming.received)
        for incoming in messages:
            incoming.writing.sync()

    def _publish(self, connection: sqlite3.Connection) -> Delta:
        return publish(connection, self._live.place, self._messages,
                       self._live.around.clock.seconds())  # fmt: skip

    def _settle(self, delta: Delta) -> None:
        """Committed, whether or not anybody waits for it any more."""
        live = self._live
        messages, self._messages = self._messages, []
        for incoming in messages:
            first, *more = incoming.reservations
            first.settle(incoming.writing.disk_size)
            for reservation in more:
                reservation.release()
        live.apply(delta)
        for incoming in messages:
            uid = FileName.parse(incoming.writing.base).uid
            live.publish(
                MessageArrived(live.account, live.event_folder, uid, "", incoming.writing.wire_size)
            )


def publish(
    connection: sqlite3.Connection,
    place: FolderPlace,
    messages: Sequence[_Incoming],
    now: float,
) -> Delta:
    """Names in cur/, then rows; on a worker. Raises OSError and leaves no names."""
    before = place.look()
    place.keywords.refresh()
    published: list[_Incoming] = []
    rows, states = [], []
    try:
        for incoming in messages:
            flags = place.keywords.canonical(incoming.message.flags)
            place.keywords.claim(flags)
            info = place.keywords.info(flags, "")
            incoming.writing.publish("cur", info)
            published.append(incoming)
            rows.append((flag_text(flags), info))
        published[-1].writing.sync_name()
    except BaseException:
        for incoming in published:
            incoming.writing.withdraw()
        raise
    first = take_uids(connection, place.id, len(messages))
    modseq = next_modseq(connection, place.id)
    values = []
    for uid, (incoming, (text, info)) in enumerate(zip(messages, rows, strict=True), first):
        size, octets = incoming.writing.wire_size, incoming.writing.disk_size
        values.append((place.id, uid, as_stored(incoming.writing.base), f"cur/{info}", text,
                       modseq, size, octets, incoming.received, int(now), None))  # fmt: skip
        states.append(MessageState(uid, flag_set(text), modseq, size, incoming.received, int(now)))
    connection.executemany(INSERT, values)
    if len(messages) > 1:
        end_all_or_none(connection, place, [incoming.writing.base for incoming in messages])
    place.note_own_change(before)
    octets = sum(incoming.writing.disk_size for incoming in messages)
    note_sizes(place, octets, len(messages))
    return Delta(first + len(messages), modseq, arrived=states)


def _abort_all(messages: Sequence[_Incoming]) -> None:
    for incoming in messages:
        incoming.writing.abort()
