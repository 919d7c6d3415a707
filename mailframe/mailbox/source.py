"""The octets of one stored message, in wire format, read on a worker.

The beginning is read by the call that opens the file (``begin``), which is all there is of
most messages; what was read is handed out without going to a worker again.
"""

from __future__ import annotations

from typing import BinaryIO

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.errors import MessageGone
from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.mailbox.newlines import ToWire
from mailframe.runtime.aio import as_deferred

_FIRST = 1 << 16


@implementer(IMessageSource)
class FileSource:
    """``size`` is what is said of it in wire format, ``octets`` what the file has; where they are
    the same, it is in wire format. What is handed out is all of the file, whatever was said. One
    read at a time."""

    def __init__(self, file: BinaryIO, size: int, octets: int, workers: IWorkers) -> None:
        self.size = size
        self._file = file
        self._workers = workers
        self._format = None if size == octets else ToWire()
        self._ready = b""
        self._left = octets
        """Of the file, that were not read."""
        self._reading = False
        self._closed = False

    def read(self, octets: int) -> Deferred[bytes]:
        return as_deferred(self._read(octets))

    def close(self) -> None:
        self._closed = True
        if not self._reading:  # else the read closes the file when it comes back
            self._file.close()

    def begin(self) -> None:
        """Read the first octets. Blocks. Raises OSError, or MessageGone where there are none."""
        self._fill(_FIRST)

    async def _read(self, octets: int) -> bytes:
        if self._closed:
            raise MessageGone("the message was closed")
        if self._ready or self._left <= 0:
            return self._next(octets)
        self._reading = True
        try:
            await self._workers.run(self._fill, octets)
        except OSError as error:
            raise MessageGone(f"cannot read the message: {error}") from error
        finally:
            self._reading = False
            if self._closed:
                self._file.close()
        return self._next(octets)

    def _fill(self, octets: int) -> None:
        while not self._ready and self._left > 0:
            data = self._file.read(octets)
            if not data:
                raise MessageGone(f"{self._left} octets of the message are missing")
            self._left -= len(data)
            self._ready = data if self._format is None else self._format.feed(data)

    def _next(self, octets: int) -> bytes:
        chunk, self._ready = self._ready[:octets], self._ready[octets:]
        return chunk
