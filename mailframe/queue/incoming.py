"""One message on its way into the spool.

Up to ``inline_limit`` octets stay in memory and become a blob beside the row. What is longer
goes to a body file on worker threads as it arrives, in batches: every way to a thread and back
costs more than to write some pages. While one batch is written the next one gathers, and when
that is full too the writer of chunks is asked to wait, so a message of any size takes a bounded
part of memory: two batches and two chunks. What has gathered of all messages together is bounded
as well (``Spool.gathered``); beyond that batches are as small as what comes.

The last batch, the sync of the file and that of its directory entry are one call, before the
row commits. A sync that failed is never repeated: the message is refused and the sender tries
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from mailframe.core.envelope import Envelope
from mailframe.errors import LocalProtocolError, TransientFailure
from mailframe.interfaces import Arrival, IIncoming, IMessageSource
from mailframe.queue.content import FileSource, MemorySource
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.disk import DiskFile, disk_failure

if TYPE_CHECKING:
    from mailframe.queue.spool import Spool

_BATCH = 256 * 1024
_HEAD = 16_384  # what ``delivery.header`` reads at once
_GATHERED = 64 * 1024 * 1024
"""Octets of all messages that may wait for their batches to be full."""


@implementer(IIncoming)
class Incoming:
    """Made by ``Spool.begin``."""

    def __init__(self, spool: Spool, queue_id: str) -> None:
        self.queue_id = queue_id
        self.size = 0
        self._spool = spool
        self._path = spool.body_path(queue_id)
        self._waiting: list[bytes] = []  # not handed to a worker yet
        self._octets_waiting = 0
        self._in_file = False
        self._head = b""
        self._file: DiskFile | None = None
        self._writing = False
        self._drained: list[Deferred[None]] = []
        self._failure: BaseException | None = None
        self._closed = False  # committed, committing or aborted

    def write(self, chunk: bytes) -> Deferred[None] | None:
        if self._closed:
            raise LocalProtocolError("write after commit or abort")
        if self._failure is not None:
            return fail(self._failure)
        try:
            self._spool.take(len(chunk))
        except TransientFailure as error:
            self._failure = error
            return fail(error)
        self.size += len(chunk)
        self._gather(chunk)
        if not self._in_file:
            if self.size <= self._spool.inline_limit:
                return None
            self._in_file = True
            self._head = self._waiting[0][:_HEAD]
        if not self._is_batch():
            return None
        if not self._writing:
            self._begin_to_write(self._is_batch)
        if self._failure is not None:
            return fail(self._failure)
        return self._drain() if self._is_batch() else None

    async def open(self) -> IMessageSource:
        if not self._in_file:
            return MemorySource(*self._waiting)
        await self._all_written()
        return FileSource(
            b"", self._path, self.size, disk=self._spool.disk, workers=self._spool.workers
        )

    def commit(self, envelope: Envelope, arrival: Arrival, prefix: bytes) -> Deferred[None]:
        if self._closed:
            return fail(LocalProtocolError("commit after commit or abort"))
        self._closed = True
        if self._failure is not None or self._in_file:
            # Whoever stops waiting must not stop the work: half done it would lose the body of
            # a message whose row commits.
            outcome: Deferred[None] = Deferred()
            as_deferred(self._commit(envelope, arrival, prefix)).addBoth(outcome.callback)
            return outcome
        return self._store(envelope, arrival, prefix, b"".join(self._take()))

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._take()
            self._spool.background.start(self._discard(), f"removing {self._path}")

    async def _commit(self, envelope: Envelope, arrival: Arrival, prefix: bytes) -> None:
        try:
            await self._idle()
            await self._spool.workers.run(self._finish, self._take())
            await self._store(envelope, arrival, prefix, None)
        except BaseException as error:
            await self._discard()
            if isinstance(error, OSError):
                raise disk_failure(error) from error
            raise
        finally:
            self._take()

    def _store(
        self, envelope: Envelope, arrival: Arrival, prefix: bytes, content: bytes | None
    ) -> Deferred[None]:
        return self._spool.store(
            self.queue_id,
            envelope,
            arrival,
            prefix,
            content=content,
            size=self.size,
            head=self._head,
        )

    # ---- what waits in memory

    def _gather(self, chunk: bytes) -> None:
        self._waiting.append(chunk)
        self._octets_waiting += len(chunk)
        self._spool.gathered += len(chunk)

    def _take(self) -> list[bytes]:
        """All of it; it does not wait any more."""
        chunks, self._waiting = self._waiting, []
        self._spool.gathered -= self._octets_waiting
        self._octets_waiting = 0
        return chunks

    def _is_batch(self) -> bool:
        """Whether what waits is worth a call."""
        return self._octets_waiting >= _BATCH or (
            self._octets_waiting > 0 and self._spool.gathered > _GATHERED
        )

    # ---- the file

    def _begin_to_write(self, is_enough: Callable[[], bool]) -> None:
        self._spool.background.start(self._write_out(is_enough), f"writing {self._path}")

    async def _write_out(self, is_enough: Callable[[], bool]) -> None:
        """Hand what has gathered to a worker, again and again while it is enough."""
        self._writing = True
        try:
            while is_enough() and self._failure is None:
                writing = self._spool.workers.run(self._append, self._take())
                self._wake()
                await writing
        except BaseException as error:  # noqa: BLE001 - whoever writes or commits hears of it
            self._failure = disk_failure(error) if isinstance(error, OSError) else error
        finally:
            self._writing = False
            self._wake()

    def _append(self, chunks: list[bytes]) -> None:
        if self._file is None:
            self._file = self._spool.disk.create(self._path)
        self._file.write_all(chunks)

    def _finish(self, chunks: list[bytes]) -> None:
        """The last of it."""
        self._append(chunks)
        self._sync()

    def _sync(self) -> None:
        """Make all of it durable, with its name."""
        assert self._file is not None
        self._file.sync()
        self._file.close()
        self._spool.disk.sync_directory(self._spool.bodies)

    async def _all_written(self) -> None:
        while self._failure is None and (self._waiting or self._writing):
            if self._writing:
                await self._drain()
            else:
                self._begin_to_write(lambda: bool(self._waiting))
        if self._failure is not None:
            raise self._failure

    async def _idle(self) -> None:
        """Nothing is being written any more. Raises what went wrong."""
        while self._writing:
            await self._drain()
        if self._failure is not None:
            raise self._failure

    def _drain(self) -> Deferred[None]:
        """Fires when what waits now was taken by a worker, or nothing is being written."""
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def _wake(self) -> None:
        drained, self._drained = self._drained, []
        for waiter in drained:
            if waiter.called:  # cancelled meanwhile
                continue
            if self._failure is None:
                waiter.callback(None)
            else:
                waiter.errback(self._failure)

    async def _discard(self) -> None:
        """Leave no file behind; one that cannot be removed is swept at the next start."""
        while self._writing:
            waiter = self._drain()
            waiter.addErrback(lambda _: None)  # why writing ended does not matter any more
            await waiter
        if self._file is not None:
            self._file.close()
            self._file = None
            await self._spool.discard([self.queue_id])
