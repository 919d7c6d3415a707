"""A stored message in its two parts, for whoever looks at the header or hashes the body."""

from __future__ import annotations

from mailframe.interfaces import IMessageSource, IStoredMessage
from mailframe.runtime.aio import result_of

# Headers are bounded when a message comes in; what is longer is not searched.
_MAX_HEADER = 1 << 20
_PIECE = 16_384


async def read_header(message: IStoredMessage, limit: int = _MAX_HEADER) -> bytes:
    """The header section, or its first ``limit`` octets."""
    source: IMessageSource = await result_of(message.open())
    data = b""
    try:
        while len(data) < limit and b"\r\n\r\n" not in data:
            chunk = await source.read(_PIECE)
            if not chunk:
                break
            data += chunk
    finally:
        source.close()
    return data.partition(b"\r\n\r\n")[0] + b"\r\n"


async def open_body(message: IStoredMessage, header: bytes) -> IMessageSource:
    """What follows the empty line after ``header``, as ``read_header`` gave it."""
    source: IMessageSource = await result_of(message.open())
    left = len(header) + len(b"\r\n")
    try:
        while left and (chunk := await source.read(min(left, _PIECE))):
            left -= len(chunk)
    except BaseException:
        source.close()
        raise
    return source
