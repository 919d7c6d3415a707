"""Canonicalization (RFC 6376 section 3.4): what survives of a message on its way.

Bodies are taken in pieces of any size. All work is done by whole-buffer operations on at most
64 KiB, so that a thread that does it never keeps the others waiting for long. Every function is
linear in its input, hostile or not.
"""

from __future__ import annotations

from collections.abc import Iterator

_PIECE = 1 << 16
_TABS = bytes.maketrans(b"\t", b" ")
_CRLF = b"\r\n"


def canonical_field(raw: bytes, *, relaxed: bool) -> bytes:
    """One field, without its final line end."""
    text = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not relaxed:
        return text
    name, _, value = text.partition(b":")
    # RFC 6376 section 3.4.2: unfold, reduce blanks, none at the end or around the colon
    unfolded = _single_spaced(value.replace(_CRLF, b""))
    return name.rstrip(b" \t").lower() + b":" + unfolded.strip(b" ")


class CanonicalBody:
    """Of one body: feed it the pieces, then finish; both yield what comes out."""

    def __init__(self, *, relaxed: bool) -> None:
        self._relaxed = relaxed
        self._held = b""  # blanks and CR that what follows decides about
        self._line_ends = 0  # at the end so far: left out where nothing follows
        self._is_empty = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield from self._feed(data[start : start + _PIECE])

    def finish(self) -> Iterator[bytes]:
        held = self._held
        if self._relaxed and not held.endswith(b"\r"):
            held = b""  # blanks at the end of a line
        yield from self._with_line_ends_before(held)
        # RFC 6376 section 3.4.3: an empty body is a CRLF; section 3.4.4: relaxed, it is nothing
        if not (self._relaxed and self._is_empty):
            yield _CRLF

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        data = self._held + piece
        text = data.removesuffix(b"\r")
        self._held = data[len(text) :]
        if self._relaxed:
            stripped = text.rstrip(b" \t")
            if len(stripped) < len(text):
                self._held = b" " + self._held
            # RFC 6376 section 3.4.4
            text = _single_spaced(stripped).replace(b" \r\n", _CRLF)
        yield from self._with_line_ends_before(text)

    def _with_line_ends_before(self, text: bytes) -> Iterator[bytes]:
        rest = text.rstrip(_CRLF)
        ends = text[len(rest) :].replace(_CRLF, b"\0")
        core = ends.rstrip(b"\0")
        rest += core.replace(b"\0", _CRLF)
        if rest:
            yield from _line_ends(self._line_ends)
            self._line_ends = 0
            self._is_empty = False
            yield rest
        self._line_ends += len(ends) - len(core)


def _single_spaced(data: bytes) -> bytes:
    data = data.translate(_TABS)
    while b"  " in data:  # a run is halved each time
        data = data.replace(b"  ", b" ")
    return data


def _line_ends(number: int) -> Iterator[bytes]:
    most = _PIECE // 2
    while number > 0:
        yield _CRLF * min(number, most)
        number -= most
