"""A message rewritten for who cannot take it as it is, held in a file without a name.

Up to a megabyte it stays in memory; beyond that it lies in ``scratch``, unlinked from the
start, so that neither a crash nor a forgotten ``close`` leaves it behind.
"""

from __future__ import annotations

import tempfile
from typing import IO, Any, cast

from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Body, Envelope
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure
from mailframe.interfaces import Arrival, IMessageSource, IStoredMessage, IWorkers
from mailframe.message.downgrade import ConversionRefused, convert, surveyed
from mailframe.runtime.aio import result_of

_CHUNK = 65_536
_IN_MEMORY = 1 << 20


@implementer(IStoredMessage)
class ConvertedMessage:
    """Stands in for ``original``; ``close`` it when done. One reader at a time."""

    def __init__(
        self, original: IStoredMessage, body: Body, file: IO[bytes], size: int, workers: IWorkers
    ) -> None:
        self.queue_id: str = original.queue_id
        self.envelope: Envelope = original.envelope
        self.arrival: Arrival = original.arrival
        self.arrived: float = original.arrived
        self.size = size
        self.octets: bytes | None = None
        self.body = body
        self._file = file
        self._workers = workers
        self._header = b""
        self._start = 0

    async def open(self) -> IMessageSource:
        await self._workers.run(self._file.seek, self._start)
        return _FileSource(self._header, self._file, self.size, self._workers)

    def replace_header(self, old: int, header: bytes) -> None:
        """``header`` instead of the first ``old`` octets of the file."""
        self._header, self._start = header, old
        self.size += len(header) - old

    def close(self) -> None:
        self._file.close()


@implementer(IMessageSource)
class _FileSource:
    def __init__(self, header: bytes, file: IO[bytes], size: int, workers: IWorkers) -> None:
        self.size = size
        self._header = header
        self._file = file
        self._workers = workers

    async def read(self, octets: int) -> bytes:
        if self._header:
            piece, self._header = self._header[:octets], self._header[octets:]
            return piece
        return cast(bytes, await self._workers.run(self._file.read, octets))

    def close(self) -> None:
        """The file belongs to the message, which may be read again."""


async def converted(
    message: IStoredMessage, allowed: Body, workers: IWorkers, scratch: str | None
) -> ConvertedMessage | None:
    """The message as ``allowed`` can carry it; None where it can go as it is.

    ``scratch`` is a directory, None the system's. Raises PermanentFailure (554 5.6.3) where
    converting would break it, and TransientFailure from the workers.
    """
    original = await _copy(message, workers, scratch)
    try:
        made = await workers.run(_convert, original, allowed, message.envelope.body, scratch)
    except ConversionRefused as refusal:
        text = f"The message needs conversion for the next host, but {refusal}"
        raise PermanentFailure(Reply(554, status.CONVERSION_REQUIRED, text)) from None
    finally:
        original.close()
    if made is None:
        return None
    file, size = made
    return ConvertedMessage(message, allowed, file, size, workers)


async def _copy(message: IStoredMessage, workers: IWorkers, scratch: str | None) -> IO[bytes]:
    file: IO[bytes] = _new_file(scratch)
    source: IMessageSource = await result_of(message.open())
    try:
        while chunk := await source.read(_CHUNK):
            await workers.run(file.write, chunk)
    except BaseException:
        file.close()
        raise
    finally:
        source.close()
    return file


def _convert(
    original: Any, allowed: Body, declared: Body, scratch: str | None
) -> tuple[IO[bytes], int] | None:
    """Blocks: runs on a worker."""
    original.seek(0)
    survey = surveyed(original)
    if not survey.needs_conversion(allowed, declared=declared):
        return None
    original.seek(0)
    sink: Any = _new_file(scratch)
    try:
        convert(original, sink, survey, allowed)
    except BaseException:
        sink.close()
        raise
    return sink, sink.tell()


def _new_file(scratch: str | None) -> Any:
    return tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=scratch)
