"""One FETCH response for a message that is too large to hold: its sections as they are read.

A section whose octets go out as they stand in the message is copied a chunk at a time. What has
to be decoded (BINARY), or picked out of a header, is in memory as a whole, once, and worked on
off the reactor thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.facts import Part
from mailframe.errors import MessageGone
from mailframe.protocols.imap.commands import Section, SectionKind
from mailframe.protocols.imap.responses import (
    binary_size_item,
    literal_begins,
    section_name,
)
from mailframe.servers import imap_sections
from mailframe.servers.channel import PeerGone
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_loading import CHUNK, OpenMessage
from mailframe.servers.imap_sections import Reach

_NOWHERE = Part(0, 0, 0, "text/plain", "7bit", "")


async def send_sections(
    talk: Conversation,
    head: bytes,
    sections: Sequence[Section],
    parts: Part | None,
    source: OpenMessage,
) -> None:
    """``head``: the response as far as it needs no octets of the message. Raises MessageGone
    while nothing was sent; later that cuts the connection. Raises UnknownEncoding."""
    out = _LongLine(talk, head)
    try:
        for section in sections:
            place = imap_sections.reach(section, source.size, parts or _NOWHERE)
            await _send_section(talk, out, section, place, source)
    except MessageGone:
        if not out.begun:
            raise
        talk.record("refuse", "message broke off", rule="fetch", uid=source.uid)
        talk.abort("message broke off")
        raise PeerGone from None
    await out.end()


async def _send_section(
    talk: Conversation,
    out: _LongLine,
    section: Section,
    place: Reach | None,
    source: OpenMessage,
) -> None:
    if place is None or place.part is not None or place.is_header:
        value = None if place is None else await _worked_on(talk, section, place, source)
        await out.add(imap_sections.with_value(section, value))
        return
    if section.kind is SectionKind.BINARY_SIZE:  # of the whole message
        await out.add(binary_size_item(section, place.end - place.start))
        return
    first, count = section.partial or (0, source.size)
    start = min(place.start + first, place.end)
    end = min(start + count, place.end)
    # Before the size is told, so that an unreadable file is a message less, and not a broken
    # connection.
    await source.reach(start)
    chunk = await source.read(min(CHUNK, end - start))
    is_binary = section.kind is SectionKind.BINARY
    await out.add(section_name(section) + b" " + literal_begins(end - start, is_binary))
    while chunk:
        start += len(chunk)
        await out.write(imap_sections.sayable(section, chunk))
        chunk = await source.read(min(CHUNK, end - start))
    if start < end:
        raise MessageGone("the message is shorter than it was")


async def _worked_on(
    talk: Conversation, section: Section, place: Reach, source: OpenMessage
) -> bytes:
    data = await source.take(place.start, place.end)
    value: bytes = await talk.factory.workers.run(imap_sections.worked_on, section, place, data)
    return value


class _LongLine:
    """A response line that goes out in pieces."""

    def __init__(self, talk: Conversation, head: bytes) -> None:
        self._talk = talk
        self._held = head
        self._is_empty = head.endswith(b"(")
        self.begun = False
        """Part of it has gone to the client."""

    async def add(self, item: bytes) -> None:
        """An item, or its beginning."""
        self._held += item if self._is_empty else b" " + item
        self._is_empty = False
        if len(self._held) > CHUNK:
            await self.write(b"")

    async def write(self, chunk: bytes) -> None:
        self._talk.send(self._held + chunk)
        self._held = b""
        self.begun = True
        await self._talk.room()

    async def end(self) -> None:
        await self.write(b")\r\n")
