"""The few header fields that archives are read by: times and flags.

Not a parser of messages: it finds fields by name in the header section, unfolds them, and
never fails, whatever the octets.
"""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz

_BLANK = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LATEST = float(1 << 33)


def header_section(content: bytes) -> bytes:
    """Up to the empty line; all of it where there is none."""
    if content.startswith((b"\n", b"\r\n")):
        return b""
    end = _BLANK.search(content)
    return content[: end.end()] if end else content


def field(header: bytes, name: bytes) -> str:
    """The value of the first field of that name, unfolded; empty where there is none."""
    # RFC 5322 section 2.2.3; a field name may be followed by blanks (section 4.5)
    found = re.search(
        rb"^" + re.escape(name) + rb"[ \t]*:((?:[^\r\n]|\r(?!\n)|\r?\n[ \t])*)",
        header,
        re.IGNORECASE | re.MULTILINE,
    )
    return _FOLD.sub(b"", found[1]).strip().decode("utf-8", "replace") if found else ""


def received_time(header: bytes) -> float | None:
    """When the message came in: by its newest Received field, else by its Date."""
    _, _, date = field(header, b"Received").rpartition(";")
    return parse_time(date) or parse_time(field(header, b"Date"))


def parse_time(text: str) -> float | None:
    """Seconds since the epoch of an RFC 5322 or asctime date; None for anything else, and
    for what lies before 1970 or far ahead. Without a zone it is UTC."""
    try:
        parts = parsedate_tz(text)
        seconds = float(mktime_tz(parts)) if parts else 0.0
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return seconds if 0 < seconds < _LATEST else None
