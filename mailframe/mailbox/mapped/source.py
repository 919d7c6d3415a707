"""A message in memory, as it is read."""

from __future__ import annotations

from zope.interface import implementer

from mailframe.interfaces import IMessageSource


@implementer(IMessageSource)
class OctetSource:
    """``content``: the message in wire format, as ``open`` of a mailbox or folder answers it."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content
        self._at = 0

    async def read(self, octets: int) -> bytes:
        start, self._at = self._at, self._at + octets
        return self._content[start : self._at]

    def close(self) -> None:
        self._content = b""
