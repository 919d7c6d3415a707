"""Octets of a message as IMAP strings: quoted where that can be, else literals.

Valid in RFC 3501 and RFC 9051 alike: nothing above 127 is quoted. NUL can be in neither kind
of string and becomes U+FFFD.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(rb"[ !#-\[\]-~]*").fullmatch
_QUOTABLE = re.compile(rb"[\t -~]*").fullmatch
_FOLD = re.compile(rb"\r?\n")
NIL = b"NIL"


def string(value: bytes) -> bytes:
    """Quoted or a literal (RFC 9051 section 4.3)."""
    if _PLAIN(value):
        return b'"' + value + b'"'
    if _QUOTABLE(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    value = value.replace(b"\0", b"\xef\xbf\xbd")
    return b"{%d}\r\n%b" % (len(value), value)


def field_string(value: bytes | None) -> bytes:
    """A field's value unfolded (RFC 5322 section 2.2.3), NIL where there is no such field."""
    return NIL if value is None else string(on_one_line(value))


def on_one_line(value: bytes) -> bytes:
    """Without line ends and the blanks around it; blanks within stay as they are."""
    value = value.strip(b" \t\r\n")
    return _FOLD.sub(b"", value) if b"\n" in value else value
