"""Messages on their way into a mapped folder: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import implementer

from mailframe.core.folders import AppendOutcome, FolderReason, NewMessage
from mailframe.errors import FolderRefused
from mailframe.interfaces import IAppending

if TYPE_CHECKING:
    from mailframe.mailbox.mapped.folder import MappedFolder

MAX_OCTETS = 64 << 20
"""Of all messages of one APPEND, which are in memory until its end."""


@implementer(IAppending)
class MappedAppending:
    def __init__(self, folder: MappedFolder) -> None:
        self._folder = folder
        self._messages: list[tuple[NewMessage, bytearray]] = []
        self._octets = 0

    async def begin(self, message: NewMessage, octets: int | None) -> None:
        self._require(octets or 0)
        self._messages.append((message, bytearray()))

    async def write(self, chunk: bytes) -> None:
        self._require(len(chunk))
        self._octets += len(chunk)
        self._messages[-1][1].extend(chunk)

    async def commit(self) -> AppendOutcome:
        messages, self._messages = self._messages, []
        uids = self._folder.add_all(
            (bytes(content), message.flags, message.received) for message, content in messages
        )
        return AppendOutcome(self._folder.uid_validity, uids)

    def abort(self) -> None:
        self._messages = []

    def _require(self, octets: int) -> None:
        if self._octets + octets > MAX_OCTETS:
            raise FolderRefused(FolderReason.LIMIT, "That is too much at once")
