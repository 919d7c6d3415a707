"""The octets of one stored message, in wire format, read on a worker."""

from __future__ import annotations

from typing import BinaryIO

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.errors import MessageGone
from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.mailbox.newlines import ToWire
from mailframe.runtime.aio import as_deferred


@implementer(IMessageSource)
class FileSource:
    """``verbatim``: the file is in wire format. One read at a time."""

    def __init__(self, file: BinaryIO, size: int, workers: IWorkers, *, verbatim: bool) -> None:
        self.size = size
        self._file = file
        self._workers = workers
        self._format = None if verbatim else ToWire()
        self._ready = b""
        self._left = size
        self._reading = False
        self._closed = False

    def read(self, octets: int) -> Deferred[bytes]:
        return as_deferred(self._read(octets))

    def close(self) -> None:
        self._closed = True
        if not self._reading:  # else the read closes the file when it comes back
            self._file.close()

    async def _read(self, octets: int) -> bytes:
        if self._closed:
            raise MessageGone("the message was closed")
        self._reading = True
        try:
            chunk: bytes = await self._workers.run(self._next, octets)
        except OSError as error:
            raise MessageGone(f"cannot read the message: {error}") from error
        finally:
            self._reading = False
            if self._closed:
                self._file.close()
        return chunk

    def _next(self, octets: int) -> bytes:
        while not self._ready:
            data = self._file.read(octets)
            if not data:
                if self._left > 0:
                    raise MessageGone(f"{self._left} octets of the message are missing")
                return b""
            self._ready = data if self._format is None else self._format.feed(data)
        chunk, self._ready = self._ready[:octets], self._ready[octets:]
        self._left -= len(chunk)
        return chunk
