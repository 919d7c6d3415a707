"""A message as the rules of ``content`` see it: read once, bounded, and not to be changed.

``read_view`` takes linear time, never raises, whatever the message, and belongs on a worker.
It looks at the beginning of long texts and at a bounded number of parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailframe.core.envelope import Envelope
from mailframe.core.facts import Fact, Part
from mailframe.core.session import Session
from mailframe.core.verdict import NOTHING_FOUND, Findings
from mailframe.message import body_parts, headers
from mailframe.message.address_texts import AddressText, address_texts
from mailframe.message.body_parts import MAX_HEADER, MAX_VALUE
from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import decode_header
from mailframe.message.facts import read_facts
from mailframe.message.html_text import html_text

MAX_TEXT = 32 * 1024
"""Octets of one text part that are decoded."""
_MAX_PARTS = 200
_MAX_TEXTS = 4
_MAX_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One leaf of the MIME tree."""

    media: str
    """``text/plain``, in lower case."""
    name: str
    """The file name it would be saved under, decoded; empty for none."""
    size: int
    """Octets, as transferred."""
    is_attachment: bool


@dataclass(frozen=True, slots=True)
class MessageView:
    header: bytes
    """As it came, in wire format, cut off after 64 KB."""
    added: bytes = b""
    """What earlier policies put on top: Authentication-Results, for one."""
    size: int = 0
    """Octets of the whole message."""
    text: str = ""
    """The beginning of the plain text."""
    html: str = ""
    """The beginning of the HTML, as markup."""
    parts: tuple[BodyPart, ...] = ()
    is_broken: bool = False
    """It says it is a multipart and has no parts."""
    now: float | None = None
    """Seconds since the epoch; None where it is not known when the message came in."""
    session: Session | None = None
    """None for a message from a file; so is the envelope."""
    envelope: Envelope | None = None
    found: Findings = NOTHING_FOUND
    _cache: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def fields(self, name: str) -> tuple[str, ...]:
        """The values of all fields of that name, decoded, from the top."""
        key = name.lower()
        if key not in self._cache:
            found = headers.named(self.header, name)
            self._cache[key] = tuple(decode_header(each.value[:MAX_VALUE]) for each in found)
        return self._cache[key]

    def first(self, name: str) -> str:
        """The topmost field of that name, decoded; empty where there is none."""
        return next(iter(self.fields(name)), "")

    @property
    def subject(self) -> str:
        return self.first("Subject")

    def addresses(self, name: str) -> tuple[AddressText, ...]:
        """The mailboxes of an address field; what cannot be read is left out."""
        raw = headers.first(self.header, name)
        if raw is None:
            return ()
        found = (each for each in address_texts(raw.value[:MAX_VALUE]) if each.domain)
        return tuple(each for each, _ in zip(found, range(_MAX_ADDRESSES), strict=False))

    @property
    def visible_text(self) -> str:
        """What a reader sees: the plain text, else the text of the HTML."""
        return self.text or html_text(self.html)


def read_view(
    data: bytes,
    *,
    added: bytes = b"",
    size: int | None = None,
    now: float | None = None,
    session: Session | None = None,
    envelope: Envelope | None = None,
    found: Findings = NOTHING_FOUND,
) -> MessageView:
    """``data``: the message in wire format, or its beginning; ``size``: of all of it."""
    root = read_facts(data, Fact.PARTS).parts
    leaves = [leaf for leaf, _ in zip(body_parts.leaves(root), range(_MAX_PARTS), strict=False)]
    parts = tuple(_body_part(data, leaf) for leaf in leaves)
    shown = [leaf for leaf, part in zip(leaves, parts, strict=True) if not part.is_attachment]
    end = min(root.body if root is not None else len(data), MAX_HEADER)
    header = data[:end]
    return MessageView(
        header=header,
        added=added,
        size=len(data) if size is None else size,
        text=_texts(data, shown, "text/plain"),
        html=_texts(data, shown, "text/html"),
        parts=parts,
        is_broken=_is_broken(header, data),
        now=now,
        session=session,
        envelope=envelope,
        found=found,
    )


def _body_part(data: bytes, part: Part) -> BodyPart:
    header = body_parts.part_header(data, part)
    return BodyPart(part.media, header.name, part.end - part.body, header.is_attachment)


def _texts(data: bytes, leaves: list[Part], media: str) -> str:
    found = [leaf for leaf in leaves if leaf.media == media][:_MAX_TEXTS]
    return "\n".join(body_parts.text(data, leaf, MAX_TEXT) for leaf in found)


def _is_broken(header: bytes, data: bytes) -> bool:
    typed = headers.first(header, "Content-Type")
    kind = parse_content_type(typed.value) if typed else None
    if kind is None or kind.type != "multipart":
        return False
    return kind.boundary is None or b"--" + kind.boundary not in data
