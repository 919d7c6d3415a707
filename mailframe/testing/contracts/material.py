"""What suites hand to the parts that they try: messages, sessions, and what no sane peer sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.session import Role, Session
from mailframe.errors import MessageGone
from mailframe.interfaces import Arrival, IContent, IMessageSource, IStoredMessage
from mailframe.message.headers import split_message

SHORT = b"From: ann@a.example\r\nSubject: first\r\nMessage-ID: <1@a.example>\r\n\r\none\r\n"
"""A message of some lines."""
LONG = (
    b"From: bob@b.example\r\nSubject: =?utf-8?b?zrTPjc6/?=\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000"
    b"\r\nMessage-ID: <2@b.example>\r\nReferences: <1@a.example>\r\n\r\n" + b"line\r\n" * 30_000
)
"""One that is read in several pieces."""
ODD = b"\xff\xfe: no field\r\n\r\n.\r\n..\r\nFrom here\r\n\x80\x00\r\n"
"""One without a header, in no charset."""
BARE = b"\r\n"
"""One without anything."""
MESSAGES = (SHORT, LONG, ODD, BARE)
"""In wire format; small, of 180 KB, neither UTF-8 nor a header, empty."""

HOSTILE_NAMES = (
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "a\0b",
    "a\nb",
    "%s%n%p",
    "*)(uid=*))(|(uid=*",
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "\\",
    '"',
    "\ud800",
    "\u202egro.example",
    "ａｎｎ",
    "x" * 10_000,
)
"""That people try: paths, patterns, statements, half characters, and length."""
WRITABLE_NAMES = tuple(name for name in HOSTILE_NAMES if "\ud800" not in name)
"""Those that can be part of an address or of a folder's name that a protocol has decoded."""


@implementer(IMessageSource)
class Source:
    """``breaks_at``: MessageGone from that octet on."""

    def __init__(self, content: bytes, breaks_at: int | None = None) -> None:
        self.size = len(content)
        self.closed = 0
        """How often."""
        self._content = content
        self._breaks_at = breaks_at
        self._at = 0

    async def read(self, octets: int) -> bytes:
        if self._breaks_at is not None and self._at >= self._breaks_at:
            raise MessageGone("the file broke off")
        end = self._at + min(octets, 8_192)
        piece, self._at = self._content[self._at : end], end
        return piece

    def close(self) -> None:
        self.closed += 1


@implementer(IStoredMessage)
@dataclass(eq=False)
class Stored:
    """A committed message. ``sources`` are those that were opened of it."""

    content: bytes = SHORT
    """All of it, in wire format."""
    queue_id: str = "7KQ2M4XD"
    envelope: Envelope = field(default_factory=lambda: Envelope(Address("bob", "b.example")))
    arrival: Arrival = field(default_factory=lambda: Arrival(peer_ip="192.0.2.7"))
    arrived: float = 1_750_000_000.0
    octets: bytes | None = None
    breaks_at: int | None = None
    """From which octet on it cannot be read; None: it is whole."""
    sources: list[Source] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.content)

    async def open(self) -> Source:
        self.sources.append(Source(self.content, self.breaks_at))
        return self.sources[-1]

    @property
    def all_closed(self) -> bool:
        """Whether every source was closed that was opened."""
        return all(source.closed for source in self.sources)


@implementer(IContent)
@dataclass(eq=False)
class Content:
    """A message that is not committed yet."""

    content: bytes = SHORT
    """All of it, in wire format."""
    queue_id: str = "7KQ2M4XD"
    added: bytes = b""
    sources: list[Source] = field(default_factory=list)
    """That were opened of it."""

    @property
    def header(self) -> bytes:
        return split_message(self.content)[0]

    @property
    def size(self) -> int:
        return len(self.content)

    async def open(self) -> Source:
        return self._source(self.content)

    async def open_body(self) -> Source:
        return self._source(split_message(self.content)[1])

    def _source(self, octets: bytes) -> Source:
        self.sources.append(Source(octets))
        return self.sources[-1]

    @property
    def all_closed(self) -> bool:
        """Whether every source was closed that was opened."""
        return all(source.closed for source in self.sources)


def session(**more: Any) -> Session:
    """That of a stranger at the MX; ``more``: fields that are to be otherwise."""
    given: dict[str, Any] = {
        "id": "S1",
        "role": Role.MX,
        "listener": "mx",
        "peer_ip": "192.0.2.7",
        "helo": "client.example",
        "esmtp": True,
    }
    return Session(**(given | more))


def envelope(*recipients: str, sender: str | None = "bob@b.example") -> Envelope:
    """For those recipients; ``sender`` None: the null reverse-path."""
    reverse_path = Address.parse(sender) if sender is not None else None
    return Envelope(reverse_path, tuple(Recipient(Address.parse(each)) for each in recipients))


def address_or_none(local_part: str, domain: str) -> Address | None:
    """What of the hostile names can be an address at all."""
    try:
        return Address.build(local_part, domain)
    except ValueError:
        return None
