"""Sections of a message by part number (RFC 9051 section 6.4.5.1), from its parts' offsets.

What does not exist is None: a part number beyond the last, ``2.HEADER`` of a part that is no
message. Numbers: the parts of a multipart are 1, 2, ...; a message that is no multipart is
part 1 itself; behind the number of a message/rfc822 part go the numbers of the message in it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable

from mailframe.core.facts import Part
from mailframe.message.encoded_words import from_base64

# what is no field stays with .NOT: a line without a colon, an mbox From
_FIELD = re.compile(rb"[^\r\n:][^\n:]*(?::.*)?(?:\n[ \t].*)*\n?|.*\n?")
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


class UnknownEncoding(Exception):
    """A Content-Transfer-Encoding nobody here can undo (RFC 9051: NO [UNKNOWN-CTE])."""


def find(parts: Part, path: tuple[int, ...]) -> Part | None:
    """The part of that number; the empty path is the message itself."""
    here = parts
    children = parts.parts or (parts,)
    for number in path:
        if not 0 < number <= len(children):
            return None
        here = children[number - 1]
        if here.message is not None:
            children = here.message.parts or (here.message,)
        else:
            children = here.parts if here is not parts else ()
    return here


def slice_of(parts: Part, path: tuple[int, ...], text: str) -> tuple[int, int] | None:
    """Where the section begins and ends in the message; None: it does not exist.

    ``text`` is a value of ``SectionText``. For HEADER.FIELDS and HEADER.FIELDS.NOT it is the
    header section from which the fields are to be picked (``pick``).
    """
    part = find(parts, path)
    if part is None:
        return None
    if not text:
        return (part.body if path else part.header), part.end
    if text == "MIME":
        return (part.header, part.body) if path else None
    # RFC 9051 section 6.4.5.1: HEADER and TEXT are of messages
    message = part.message if path else part
    if message is None:
        return None
    if text == "TEXT":
        return message.body, message.end
    return message.header, message.body


def section(
    data: bytes,
    parts: Part,
    path: tuple[int, ...],
    text: str = "",
    fields: Iterable[str] = (),
) -> bytes | None:
    """The octets of a section of ``data``; None: it does not exist."""
    where = slice_of(parts, path, text)
    if where is None:
        return None
    octets = data[where[0] : where[1]]
    if text.startswith("HEADER.FIELDS"):
        return pick(octets, fields, excluded=text.endswith(".NOT"))
    return octets


def pick(header: bytes, names: Iterable[str], *, excluded: bool = False) -> bytes:
    """The fields of these names, or all others, in their order, and the empty line.

    Case does not matter. ``header`` may have its empty line or not.
    """
    wanted = {name.strip().lower().encode("utf-8") for name in names}
    kept = []
    for raw in _FIELD.findall(header):
        if raw in (b"\r\n", b"\n", b""):
            break
        name, colon, _ = raw.partition(b":")
        named = colon and name.rstrip(b" \t").lower() in wanted
        if bool(named) is not excluded:
            kept.append(raw)
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    return b"".join(kept) + b"\r\n"


def decoded(data: bytes, part: Part) -> bytes:
    """The part's body with its transfer encoding undone, for BINARY (RFC 9051 section 6.4.5).

    Raises UnknownEncoding. Broken base64 and quoted-printable are read as far as they can be.
    """
    return undo(data[part.body : part.end], "" if part.parts else part.encoding)


def undo(octets: bytes, encoding: str) -> bytes:
    """``encoding`` in lower case (RFC 2045 section 6). Raises UnknownEncoding."""
    if encoding in _IDENTITY:
        return octets
    if encoding == "base64":
        try:
            # Binascii skips line ends itself; only what is odd costs more.
            # binascii passes over line ends itself; only what is odd costs more
            return binascii.a2b_base64(octets) if _padded_at_end(octets) else from_base64(octets)
        except binascii.Error:
            return from_base64(octets)
    if encoding == "quoted-printable":
        # RFC 2045 section 6.7 (3): blanks at the end of a line are none of the text
        if any(end in octets for end in (b" \r\n", b"\t\r\n")) or octets.endswith((b" ", b"\t")):
            octets = b"\r\n".join([line.rstrip(b" \t") for line in octets.split(b"\r\n")])
        return binascii.a2b_qp(octets)
    raise UnknownEncoding(encoding)


def _padded_at_end(octets: bytes) -> bool:
    padding = octets.find(b"=")
    return padding < 0 or not octets[padding:].strip(b"= \t\r\n")
