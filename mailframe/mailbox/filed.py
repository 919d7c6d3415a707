"""A message whose content is a file already, read by the worker that writes its copy.

So a large message takes one call to a worker, however many pieces it is read in, and none of
them comes by the reactor thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mailframe.errors import MessageGone
from mailframe.interfaces import FiledContent
from mailframe.mailbox.newlines import CRLF
from mailframe.runtime.disk import Disk

# Each call of the kernel lets go of the interpreter's lock, and has to get it back from a busy
# reactor; each conversion holds it for 0.1 ms.
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Filed:
    """``prefix`` and the message, in wire format, its last line ended. To go through it blocks,
    and raises MessageGone where the file is gone or shorter than it was."""

    disk: Disk
    prefix: bytes
    content: FiledContent

    @property
    def octets(self) -> int:
        return len(self.prefix) + len(self.content.prefix) + self.content.octets

    def __iter__(self) -> Iterator[bytes]:
        before, left = self.prefix + self.content.prefix, self.content.octets
        ending = before[-2:]
        with self._open() as file:
            while left:
                piece = self._read(file, min(left, _PIECE))
                if not piece:
                    raise MessageGone(f"{self.content.path} ends {left} octets early")
                left -= len(piece)
                ending = (ending + piece[-2:])[-2:]
                yield before + piece
                before = b""
        # ``together.Copy`` says why.
        yield before if ending == CRLF else before + CRLF

    def _open(self) -> BinaryIO:
        try:
            return self.disk.open(self.content.path)
        except OSError as error:
            raise MessageGone(f"{self.content.path}: {error}") from error

    def _read(self, file: BinaryIO, octets: int) -> bytes:
        try:
            return file.read(octets)
        except OSError as error:
            raise MessageGone(f"{self.content.path}: {error}") from error
