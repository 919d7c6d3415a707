"""Writing quoted-printable and base64 as a stream (RFC 2045 sections 6.7 and 6.8).

Any split of the input gives the same octets after decoding, and lines of at most 76
characters. Input is in wire format: CRLF is a line break, a bare CR or LF is data.
"""

from __future__ import annotations

import binascii
from typing import Protocol

_LINE_INPUT = 57  # octets that fill a base64 line of 76
# A line of text that long is broken softly here, to keep memory bounded.
_LONGEST = 8192


class Encoder(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self, *, at_end: bool) -> bytes:
        """``at_end``: no CRLF of a delimiter follows, so the last line needs one."""


class Base64:
    def __init__(self) -> None:
        self._rest = b""
        self._started = False

    def feed(self, chunk: bytes) -> bytes:
        data = self._rest + chunk
        whole = len(data) - len(data) % _LINE_INPUT
        self._rest = data[whole:]
        return self._lines(data[:whole])

    def finish(self, *, at_end: bool) -> bytes:
        return self._lines(self._rest) + (b"\r\n" if at_end and self._started else b"")

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        encoded = binascii.b2a_base64(data, newline=False)
        lines = [encoded[at : at + 76] for at in range(0, len(encoded), 76)]
        if self._started:
            lines.insert(0, b"")
        self._started = True
        return b"\r\n".join(lines)


class QuotedPrintable:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        lines = (self._rest + chunk).split(b"\r\n")
        rest = lines.pop()
        made = b"".join(_encoded(line) + b"\r\n" for line in lines)
        # all but what may be the first half of a CRLF
        if len(rest) > _LONGEST:
            made += _encoded(rest[:-1]) + b"=\r\n"
            rest = rest[-1:]
        self._rest = rest
        return made

    def finish(self, *, at_end: bool) -> bytes:
        if not self._rest:
            return b""
        # RFC 2045 section 6.7 (3): a soft line break adds no line break to the text
        return _encoded(self._rest) + (b"=\r\n" if at_end else b"")


def _encoded(line: bytes) -> bytes:
    """One line without its CRLF. Blanks at its end are encoded, CR and LF as well."""
    encoded = binascii.b2a_qp(line, quotetabs=False, istext=False, header=False)
    return encoded.replace(b"=\n", b"=\r\n")
