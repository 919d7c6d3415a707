"""A message that came as a literal8 (RFC 3516 section 4.4), until it can be stored.

Mailboxes hold lines: what is not text has to be encoded before it goes there, and which part
that is about only the whole message tells. So it waits, in memory while it is small, then in an
unnamed file; all of that is a worker's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from typing import BinaryIO, cast

from mailframe.core.envelope import Body
from mailframe.interfaces.work import IWorkers
from mailframe.message.downgrade import ConversionRefused, convert, surveyed
from mailframe.servers.imap_loading import CHUNK
from mailframe.servers.imap_outcome import Refused

_IN_MEMORY = 256 * 1024


class BinaryMessage:
    """Written to, copied once, closed."""

    def __init__(self, workers: IWorkers) -> None:
        self._workers = workers
        self._came = _file()
        self._made: BinaryIO | None = None

    async def write(self, chunk: bytes) -> None:
        await self._workers.run(self._came.write, chunk)

    async def copy_to(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """In wire format. Raises Refused ([UNKNOWN-CTE]) before anything is written."""
        fit = await self._workers.run(self._convert)
        while chunk := await self._workers.run(fit.read, CHUNK):
            await write(chunk)

    def close(self) -> None:
        """Harmless when closed already."""
        for file in (self._came, self._made):
            if file is not None:
                file.close()

    def _convert(self) -> BinaryIO:
        self._came.seek(0)
        survey = surveyed(self._came)
        self._came.seek(0)
        if not survey.needs_conversion(Body.EIGHT_BIT):
            return self._came
        self._made = _file()
        try:
            convert(self._came, self._made, survey, Body.EIGHT_BIT)
        except ConversionRefused:
            text = "The message holds binary octets where they cannot be encoded"
            raise Refused(text, "UNKNOWN-CTE") from None
        self._made.seek(0)
        return self._made


def _file() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY))
