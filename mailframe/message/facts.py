"""Everything an index keeps of a message, in one pass over its octets: ``read_facts``.

The scanner goes from delimiter to delimiter with ``bytes.find`` and looks at header sections
only; bodies are not split into lines, parts are offsets. It decides as ``structure`` does
what a delimiter and a header section is. It differs where IMAP wants parts of what is none:
a multipart without boundary or delimiter has one empty text/plain part, an encoded multipart
is read like any other, and message/global is a message as message/rfc822 is.

Never raises, whatever the message; time is linear. Nested deeper than MAX_DEPTH a part is a
leaf, the MAX_ENTITIES-th one is a leaf to the end of the message, and of header sections only
so many octets are looked at.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import NamedTuple

from mailframe.core.facts import Fact, MessageFacts, Part
from mailframe.message.bodystructure import (
    MIME_FIELDS,
    Fields,
    Media,
    read_fields,
    read_media,
)
from mailframe.message.envelope import ADDRESS_FIELDS, ENVELOPE_FIELDS, envelope
from mailframe.message.preview import preview
from mailframe.message.structure import MAX_DEPTH, MAX_ENTITIES, MAX_HEADER

MAX_HEADER_OCTETS = 2 << 20
"""Of all header sections together; real ones have some kilobytes."""
_MANY_LINES = 20_000  # that begin with dashes and delimit nothing
ALL = Fact.ENVELOPE | Fact.BODY | Fact.STRUCTURE | Fact.PREVIEW | Fact.IDS | Fact.PARTS

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:(.*(?:\n[ \t].*)*\n?)", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"<[^<>]{1,998}>")
_MIME = frozenset(MIME_FIELDS)
_OF_MESSAGE = _MIME | set(ENVELOPE_FIELDS) | {b"references"}
_MESSAGES = frozenset({"message/rfc822", "message/global"})
_MAX_TEXTS = 16  # candidates for the preview

Header = dict[bytes, bytes]


def read_facts(data: bytes, wanted: Fact = ALL) -> MessageFacts:
    """``data``: the whole message in wire format. What is not wanted may be empty."""
    shows, envelopes, previews, ids = _split(wanted)
    scanner = _Scanner(data, shows, envelopes)
    found = scanner.message(0)
    email_id = thread_id = ""
    if ids:
        email_id = "M" + _digest(data)
        thread_id = _thread_id(found.header) or "T" + email_id[1:]
    return MessageFacts(
        envelope=found.envelope,
        body=found.body,
        structure=found.structure,
        preview=preview(data, scanner.texts) if previews else "",
        email_id=email_id,
        thread_id=thread_id,
        parts=found.part,
    )


@functools.lru_cache(maxsize=64)
def _split(wanted: Fact) -> tuple[bool, bool, bool, bool]:
    """Structures, envelopes, preview, ids; operations on flags are not free."""
    shows = bool(wanted & (Fact.BODY | Fact.STRUCTURE))
    envelopes = shows or bool(wanted & Fact.ENVELOPE)
    return shows, envelopes, bool(wanted & Fact.PREVIEW), bool(wanted & Fact.IDS)


def _digest(octets: bytes) -> str:
    # RFC 8474 section 8.1: case should not be all that two ids differ in
    return hashlib.blake2b(octets, digest_size=20).hexdigest()


def _thread_id(header: Header) -> str:
    """By the oldest message that is named: its own thread has the same id."""
    for name in (b"references", b"in-reply-to", b"message-id"):
        match = _MESSAGE_ID.search(header.get(name, b""))
        if match is not None:
            return "T" + _digest(b"".join(match[0].split()))
    return ""


class _Found(NamedTuple):
    part: Part
    header: Header
    body: bytes
    structure: bytes
    envelope: bytes = b""


class _Open(NamedTuple):
    """Which multipart a delimiter is of, 0 the outermost, and whether it closes it."""

    depth: int
    closes: bool


_END = _Open(-1, True)


class _Scanner:
    def __init__(self, data: bytes, shows: bool, envelopes: bool) -> None:
        self._data = data
        self._shows = shows
        self._envelopes = envelopes
        self.texts: list[Part] = []
        """The first text parts that are no attachments."""
        self._delimiters: dict[bytes, _Open] = {}
        self._open = 0
        self._pattern: re.Pattern[bytes] | None = None
        """Of the delimiters, once there are _MANY_LINES that are none."""
        self._depth = 0
        self._parts = 0
        self._header_octets = MAX_HEADER_OCTETS
        self._dashes = -2  # where the next CRLF "--" is, as far as it is known; -1: none
        # how far line ends were counted
        self._counted = self._lines = 0
        # the delimiter that ended what was read last, and where it goes on behind it
        self._hit, self._next = _END, len(data)

    # -- entities ---------------------------------------------------------------------

    def message(self, start: int) -> _Found:
        """The message from ``start`` up to a delimiter of what it is in."""
        return self._entity(start, is_message=True, in_digest=False)

    def _entity(self, start: int, *, is_message: bool, in_digest: bool) -> _Found:
        self._parts += 1
        self._depth += 1
        body, ended = self._header_end(start)
        header = self._header(start, body, _OF_MESSAGE if is_message else _MIME)
        media = read_media(header.get(b"content-type"), in_digest=in_digest)
        fields = read_fields(header)
        may_nest = self._depth < MAX_DEPTH
        if self._parts >= MAX_ENTITIES:
            may_nest = ended = False
            self._open = 0
        if media.name.startswith("multipart/") and may_nest:
            found = self._multipart(start, body, ended, header, media, fields)
        elif media.name in _MESSAGES and may_nest and not ended:
            found = self._embedded(start, body, header, media, fields)
        else:
            found = self._leaf(start, body, ended, header, media, fields)
        self._depth -= 1
        if is_message and self._envelopes:
            return found._replace(envelope=envelope(header))
        return found

    def _leaf(
        self, start: int, body: int, ended: bool, header: Header, media: Media, fields: Fields
    ) -> _Found:
        lines_before = self._line_ends(body) if media.is_text else 0
        end = body if ended else self._to_delimiter(body)
        part = Part(start, body, end, media.name, fields.encoding, media.charset)
        if media.is_text and not fields.attached and len(self.texts) < _MAX_TEXTS:
            self.texts.append(part)
        if not self._shows:
            return _Found(part, header, b"", b"")
        shown = b"(%b %b %d" % (media.shown, fields.about, end - body)
        if media.is_text:
            shown += b" %d" % (self._line_ends(end) - lines_before)
        elif media.name in _MESSAGES:
            # RFC 9051's grammar has no message without envelope, structure and lines
            shown += _NOTHING_WITHIN
        return _Found(part, header, shown + b")", _extended(shown, fields))

    def _embedded(
        self, start: int, body: int, header: Header, media: Media, fields: Fields
    ) -> _Found:
        lines_before = self._line_ends(body)
        inner = self._entity(body, is_message=True, in_digest=False)
        end = inner.part.end
        part = Part(
            start, body, end, media.name, fields.encoding, media.charset, message=inner.part
        )
        if not self._shows:
            return _Found(part, header, b"", b"")
        lines = self._line_ends(end) - lines_before
        shown = b"(%b %b %d %b " % (media.shown, fields.about, end - body, inner.envelope)
        return _Found(
            part,
            header,
            b"%b%b %d)" % (shown, inner.body, lines),
            _extended(b"%b%b %d" % (shown, inner.structure, lines), fields),
        )

    def _multipart(
        self, start: int, body: int, ended: bool, header: Header, media: Media, fields: Fields
    ) -> _Found:
        end, children = body, list[_Found]()
        if not ended:
            end, children = self._children(body, media)
        parts = tuple([child.part for child in children])
        if not children:
            # RFC 9051's grammar wants one at least
            parts = (Part(end, end, end, "text/plain", "7bit", "us-ascii"),)
        part = Part(start, body, end, media.name, fields.encoding, media.charset, parts)
        if not self._shows:
            return _Found(part, header, b"", b"")
        bodies = b"".join([child.body for child in children]) or _EMPTY_BODY
        structures = b"".join([child.structure for child in children]) or _EMPTY_STRUCTURE
        return _Found(
            part,
            header,
            b"(%b %b)" % (bodies, media.subtype),
            b"(%b %b %b %b)" % (structures, media.subtype, media.parameters, fields.extension),
        )

    def _children(self, body: int, media: Media) -> tuple[int, list[_Found]]:
        """The end of a multipart's body, and its parts."""
        if media.boundary is None:
            return self._to_delimiter(body), []
        children: list[_Found] = []
        mine = self._open
        line = b"--" + media.boundary
        before = [self._delimiters.get(line), self._delimiters.get(line + b"--")]
        self._delimiters[line] = _Open(mine, False)
        self._delimiters[line + b"--"] = _Open(mine, True)
        self._open += 1
        self._pattern = None
        end = self._to_delimiter(body)
        in_digest = media.name == "multipart/digest"
        while self._hit.depth == mine and not self._hit.closes:
            children.append(self._entity(self._next, is_message=False, in_digest=in_digest))
            end = children[-1].part.end
        self._open = mine
        self._pattern = None
        for name, outer in zip((line, line + b"--"), before, strict=True):
            if outer is None:
                del self._delimiters[name]
            else:
                self._delimiters[name] = outer
        if self._hit.depth == mine:
            # The epilogue is of the body (RFC 2046 section 5.1.1). Where an outer delimiter
            # follows at once, the CRLF between the two stays with the inner one, as it does for
            # ``structure`` and for Dovecot.
            end = self._to_delimiter(self._next)
        return end, children

    # -- headers ----------------------------------------------------------------------

    def _header_end(self, start: int) -> tuple[int, bool]:
        """Where the body begins, and whether a delimiter has ended the header already."""
        data = self._data
        if data.startswith(b"\r\n", start):
            return start + 2, False
        if self._open and data.startswith(b"--", start) and self._is_delimiter(start):
            return start, True
        at, longest = start, start + MAX_HEADER
        while at < longest:
            dashes = self._next_dashes(max(at - 2, 0)) if self._open else -1
            limit = min(dashes + 2, longest) if dashes >= 0 else longest
            blank = data.find(b"\r\n\r\n", at, limit)
            if blank >= 0:
                return blank + 4, False
            if not 0 <= dashes < longest:
                break
            if dashes >= start and self._is_delimiter(dashes + 2):
                return dashes + 2, True
            at = dashes + 3
        if len(data) <= longest:
            self._hit, self._next = _END, len(data)
            return len(data), True
        # too long: the rest of it is read as body
        return max(data.rfind(b"\r\n", start, longest) + 2, start), False

    def _header(self, start: int, body: int, names: frozenset[bytes]) -> Header:
        """The fields of these names; the first of each, addresses of all."""
        end = min(body, start + self._header_octets)
        self._header_octets -= end - start
        found: Header = {}
        more: dict[bytes, list[bytes]] = {}
        for match in _FIELD.finditer(self._data, start, end):
            name = match[1].lower()
            if name not in names:
                continue
            if name not in found:
                found[name] = match[2]
            elif name in ADDRESS_FIELDS:
                more.setdefault(name, [found[name].rstrip()]).append(match[2])
        for name, values in more.items():
            found[name] = b",".join([value.rstrip(b" \t\r\n") for value in values])
        return found

    # -- bodies -----------------------------------------------------------------------

    def _to_delimiter(self, at: int) -> int:
        """Where the body that begins at ``at`` ends: before the CRLF of a delimiter."""
        if not self._open:
            self._hit, self._next = _END, len(self._data)
            return len(self._data)
        if self._data.startswith(b"--", at) and self._is_delimiter(at):
            return at
        for _ in range(_MANY_LINES):
            at = self._next_dashes(at)
            if at < 0:
                self._hit, self._next = _END, len(self._data)
                return len(self._data)
            if self._is_delimiter(at + 2):
                return at
            at += 2
        return self._searched(at)

    def _searched(self, at: int) -> int:
        """The same by a pattern: dear to make, cheap for each line that is no delimiter."""
        if self._pattern is None:
            lines = b"|".join(re.escape(line) for line in self._delimiters)
            self._pattern = re.compile(rb"\r\n(?:" + lines + rb")[ \t]*(?=\r\n|\Z)")
        match = self._pattern.search(self._data, at)
        if match is not None and self._is_delimiter(match.start() + 2):
            return match.start()
        self._hit, self._next = _END, len(self._data)
        return len(self._data)

    def _next_dashes(self, at: int) -> int:
        """The next CRLF with two dashes behind it, -1 for none. Found once, it is kept."""
        if self._dashes != -1 and self._dashes < at:
            self._dashes = self._data.find(b"\r\n--", at)
        return self._dashes

    def _is_delimiter(self, start: int) -> bool:
        """Whether the line at ``start`` delimits any open multipart; it is noted if so."""
        end = self._data.find(b"\r\n", start)
        end = len(self._data) if end < 0 else end
        hit = self._delimiters.get(self._data[start:end].rstrip(b" \t\r\n"))
        if hit is None:
            return False
        self._hit, self._next = hit, min(end + 2, len(self._data))
        return True

    def _line_ends(self, upto: int) -> int:
        """How many there are before ``upto``; each octet is counted once, for parts come in
        order."""
        if upto > self._counted:
            self._lines += self._data.count(b"\n", self._counted, upto)
            self._counted = upto
        return self._lines


def _extended(shown: bytes, fields: Fields) -> bytes:
    return b"%b %b %b)" % (shown, fields.md5, fields.extension)


_EMPTY_BODY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 0 0)'
_EMPTY_STRUCTURE = _EMPTY_BODY[:-1] + b" NIL NIL NIL NIL)"
_NOTHING_WITHIN = b" (" + b" ".join([b"NIL"] * 10) + b") " + _EMPTY_BODY + b" 0"
