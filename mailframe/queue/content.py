"""Reading the content of messages in wire format, off the reactor thread.

Small messages are in memory already when their source is made; large ones are read from
their body file piece by piece. Either way the prefix (our trace fields) comes first.
"""

from __future__ import annotations

from typing import BinaryIO

from zope.interface import implementer

from mailframe.errors import MessageGone
from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.runtime.disk import Disk


@implementer(IMessageSource)
class MemorySource:
    def __init__(self, *parts: bytes) -> None:
        self._left = memoryview(b"".join(parts))
        self.size = len(self._left)

    async def read(self, octets: int) -> bytes:
        piece, self._left = self._left[:octets], self._left[octets:]
        return bytes(piece)

    def close(self) -> None:
        self._left = memoryview(b"")


@implementer(IMessageSource)
class FileSource:
    """``prefix``, then ``octets`` octets of the file; MessageGone if it is shorter or gone.
    ``head`` is how the file begins, where that is in memory: who wants no more than the header
    section of a message mostly finds it there."""

    def __init__(
        self,
        prefix: bytes,
        path: str,
        octets: int,
        *,
        disk: Disk,
        workers: IWorkers,
        head: bytes = b"",
    ) -> None:
        self.size = len(prefix) + octets
        self._first = MemorySource(prefix, head)
        self._path = path
        self._start = len(head)
        self._left = octets - len(head)
        self._disk = disk
        self._workers = workers
        self._file: BinaryIO | None = None
        self._reading = False
        self._closed = False

    async def read(self, octets: int) -> bytes:
        if before := await self._first.read(octets):
            return before
        wanted = min(octets, self._left)
        if not wanted or self._closed:
            return b""
        self._reading = True
        try:
            piece: bytes = await self._workers.run(self._read_file, wanted)
        finally:
            self._reading = False
            if self._closed:
                self._release()
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._closed = True
        if not self._reading:
            self._release()

    def _read_file(self, octets: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._disk.open(self._path)
                self._file.seek(self._start)
            piece = self._file.read(octets)
        except OSError as error:
            raise MessageGone(f"{self._path}: {error}") from error
        if not piece:
            raise MessageGone(f"{self._path} ends {self._left} octets early")
        return piece

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
