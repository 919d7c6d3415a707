"""Messages as octets in memory, for whoever needs them whole and knows how much is too much."""

from __future__ import annotations

from mailframe.interfaces.mailbox import IMessageSource
from mailframe.runtime.aio import result_of

_PIECE = 65_536


async def read_up_to(source: IMessageSource, octets: int) -> bytes:
    """At most so much of what there is left; the source stays open."""
    pieces: list[bytes] = []
    left = octets
    while left > 0:
        piece: bytes = await result_of(source.read(min(left, _PIECE)))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


async def read_and_close(source: IMessageSource, octets: int) -> bytes:
    """The same, and the source is closed whatever happens."""
    try:
        return await read_up_to(source, octets)
    finally:
        source.close()
