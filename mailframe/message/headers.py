"""Header sections, read as bytes: where fields begin and end, nothing decoded.

A section is given in wire format; a bare LF is taken for a line end too, because mail
readers do so and a check must see what they will see. Anything is a header section: a line
that is no field is skipped, never an error. Every function is linear in what it is given;
how long a section may be is for the caller to limit.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

# RFC 5322 section 2.2: printable ASCII but the colon; section 4.5 allows blanks before it.
# A line that begins with a blank continues the field above (section 2.2.3).
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:(.*(?:\n[ \t].*)*\n?)", re.MULTILINE)
_END = re.compile(rb"^\r?\n", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_MESSAGE_ID = re.compile(rb"<[!-;=?-~\x80-\xff]{1,996}>")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a header section, as it stands there."""

    name: str
    """As written, without the colon."""
    value: bytes
    """What follows the colon up to the next field, folding and last line end included."""
    raw: bytes
    """The whole field; the fields of a well-formed section, joined, are the section."""
    start: int
    """Where it begins in the section."""

    @property
    def text(self) -> str:
        """The value unfolded and stripped; octets that are no UTF-8 become U+FFFD."""
        return unfolded(self.value).decode("utf-8", "replace")


def split_message(data: bytes) -> tuple[bytes, bytes]:
    """Header section and body, without the empty line between them.

    Without an empty line all of it is header, as for a message that broke off there.
    """
    end = _END.search(data)
    return (data[: end.start()], data[end.end() :]) if end else (data, b"")


def fields(header: bytes) -> Iterator[Field]:
    """Every field from the top. What is no field (an mbox ``From`` line) is left out."""
    for match in _FIELD.finditer(header):
        yield Field(match[1].decode("ascii"), match[2], match[0], match.start())


def named(header: bytes, name: str) -> Iterator[Field]:
    """The fields of that name, from the top; case does not matter."""
    for match in _pattern(name.lower()).finditer(header):
        yield Field(match[1].decode("ascii"), match[2], match[0], match.start())


def first(header: bytes, name: str) -> Field | None:
    """The topmost field of that name."""
    return next(named(header, name), None)


def count(header: bytes, name: str) -> int:
    """How many fields have that name: hops are ``count(header, "Received")``."""
    return sum(1 for _ in _pattern(name.lower()).finditer(header))


def has_more_than(most: int, header: bytes, name: str) -> bool:
    """Whether so many fields have that name; quick where there are not as many lines."""
    return header.count(b"\n") >= most and count(header, name) > most


def unfolded(value: bytes) -> bytes:
    """The value on one line (RFC 5322 section 2.2.3), without the blanks around it."""
    return _FOLD.sub(b"", value).strip(b" \t\r\n")


def message_id(header: bytes) -> str:
    """The Message-ID with its angle brackets, for journal and trace; empty if there is none."""
    field = _pattern("message-id").search(header)
    match = _MESSAGE_ID.search(field[2]) if field else None
    return match[0].decode("utf-8", "replace") if match else ""


@functools.lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(
        rb"^(" + re.escape(name.encode("ascii")) + rb")[ \t]*:(.*(?:\n[ \t].*)*\n?)",
        re.MULTILINE | re.IGNORECASE,
    )
