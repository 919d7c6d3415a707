"""COMPRESS=DEFLATE (RFC 4978): the octets of a connection, deflated in either direction.

What comes in is inflated piece by piece: however much a client's octets swell, no more than
``_PIECE`` of it is in memory, and the rest waits compressed. What goes out is complete after
every ``deflate``, so that nothing waits for more. The window is smaller than it could be: 48
kilobytes a connection instead of 256, for two or three per cent of the size.
"""

from __future__ import annotations

import zlib

_PIECE = 64 * 1024
_LEVEL = 6
_OUT_WINDOW = 13  # log2 of the octets
_OUT_MEMORY = 5
_IN_WINDOW = 15  # a client may use all of it


class BadStream(Exception):
    """The client's octets are no deflated stream."""


class Deflated:
    def __init__(self) -> None:
        # RFC 4978 section 4: without a zlib header
        self._out = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_OUT_WINDOW, _OUT_MEMORY)
        self._in = zlib.decompressobj(-_IN_WINDOW)
        self._waiting = b""

    @property
    def waits(self) -> bool:
        """Whether ``inflate`` has more."""
        return bool(self._waiting)

    def deflate(self, data: bytes) -> bytes:
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def receive(self, data: bytes) -> None:
        self._waiting += data

    def inflate(self) -> bytes:
        """The next piece. Raises BadStream."""
        try:
            piece = self._in.decompress(self._waiting, _PIECE)
        except zlib.error:
            raise BadStream from None
        self._waiting = self._in.unconsumed_tail
        if self._in.eof:
            # The stream has ended and can have no second one.
            self._waiting = b""
            if self._in.unused_data:
                raise BadStream
        return piece
