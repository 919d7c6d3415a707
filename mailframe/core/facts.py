"""What is worth remembering of a message once it was read: the parts of it, and the answers.

``message.facts`` computes it, an index keeps it, IMAP serves it. The octets are ready for the
wire of RFC 3501 and RFC 9051 alike: what is no quoted string is a literal.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

LONGEST_HEADER = 32 * 1024
"""Octets of a header section that is worth remembering; nearly all are shorter."""


class Fact(enum.Flag):
    """Which facts are asked for."""

    ENVELOPE = enum.auto()
    """``MessageFacts.envelope``"""
    BODY = enum.auto()
    """``MessageFacts.body``"""
    STRUCTURE = enum.auto()
    """``MessageFacts.structure``"""
    PREVIEW = enum.auto()
    """``MessageFacts.preview``"""
    IDS = enum.auto()
    """``MessageFacts.email_id`` and ``thread_id``"""
    PARTS = enum.auto()
    """``MessageFacts.parts``"""


@dataclass(frozen=True, slots=True)
class Part:
    """A message or a body part, by offsets into the message in wire format.

    Part numbers (RFC 9051 section 6.4.5.1): the parts of a multipart are 1, 2, ...; a message
    that is no multipart is part 1 itself; a message/rfc822 part goes on in ``message``.
    """

    header: int
    """Where its header section (a part's MIME header) begins."""
    body: int
    """Where its body begins: after the empty line; equal to ``end`` where there is none."""
    end: int
    """Where it ends: the octet after its last."""
    media: str
    """``text/plain``, in lower case."""
    encoding: str
    """Content-Transfer-Encoding in lower case; ``7bit`` where there is none."""
    charset: str
    """As written, in lower case; empty where there is none."""
    parts: tuple[Part, ...] = ()
    """Of a multipart."""
    message: Part | None = None
    """Of a message/rfc822 or message/global: the message within."""


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What was not asked for may be missing: empty, or None."""

    envelope: bytes = b""
    """ENVELOPE's value, with its parentheses."""
    body: bytes = b""
    """BODY's value: the structure without extension data."""
    structure: bytes = b""
    """BODYSTRUCTURE's value."""
    preview: str = ""
    """RFC 8970: at most 200 characters."""
    email_id: str = ""
    """RFC 8474; the same for the same octets."""
    thread_id: str = ""
    """RFC 8474; the same for messages of one conversation."""
    parts: Part | None = None
    """The message itself as the outermost part."""
