"""Where lines end: command lines, the text of DATA, and what CR, LF and NUL may do.

The one file that decides this. A line ends with CRLF and with nothing else: a lone CR, a
lone LF or a NUL never ends anything. In a command it spoils the line; in a message it
spoils the message, which is still read to its true end so that not one octet of it can be
taken for a command ("SMTP smuggling", CVE-2023-51764 and its kin).

``LineSplitter`` yields command lines, ``DataDecoder`` the text of DATA up to ``CRLF.CRLF``,
``LineEndings`` judges text that comes counted (BDAT). All three give the same for any split
of the input, and none makes a Python call per line of a message.

Long lines in messages pass. RFC 5321 section 4.5.3.1.6 lets a server refuse text lines of
more than 1000 octets, but large systems deliver them, wrapping breaks signatures, and the
size of the message bounds them anyway.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

_ALL_BUT_CR_LF_NUL = bytes(octet for octet in range(256) if octet not in b"\r\n\0")
_DOT_LINE = re.compile(rb"\r\n\.")
_END_OF_DATA = b"\r\n.\r\n"
# Longest first: what may yet turn out to be the end of the data, or a stuffed dot.
_BEGINNINGS_OF_END = tuple(_END_OF_DATA[:length] for length in (4, 3, 2, 1))


class Fault(enum.Enum):
    """What is wrong with a command line; the values are fit to show to the peer."""

    TOO_LONG = "Line too long"
    BARE_CR = "Bare CR is not allowed, lines end with CRLF"
    BARE_LF = "Bare LF is not allowed, lines end with CRLF"
    NUL = "NUL is not allowed"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not to be looked at. The rest of it, to its CRLF, is discarded."""

    fault: Fault


class LineSplitter:
    """Buffers what was received and hands it out by command line or raw."""

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        self._discarding = False
        self.held = 0
        """Octets that have not been handed out."""

    def feed(self, data: bytes) -> None:
        self.held += len(data)
        self._data = self._data[self._start :] + data if self._start < len(self._data) else data
        self._start = 0
        if self._discarding:
            self._discard()

    def starts_with(self, prefix: bytes) -> bool:
        """Whether the next octets are ``prefix``, in any case of letters."""
        return self._data[self._start : self._start + len(prefix)].upper() == prefix

    def peek(self, octets: int) -> bytes:
        """The next octets, so many or as many as there are."""
        return self._data[self._start : self._start + octets]

    def next_line(self, limit: int) -> bytes | BadLine | None:
        """The next line without its CRLF; None until there is more input.

        ``limit`` is in octets and counts the CRLF. A fault is told as soon as it is seen: a
        peer that ends its lines with LF alone hears why instead of waiting for ever.
        """
        if self._discarding or not self.held:
            return None
        end = self._data.find(b"\r\n", self._start)
        content = self._data[self._start : end] if end >= 0 else self._unfinished()
        fault = first_fault(content, limit - 2)
        if fault is not None:
            self._discarding = True
            self._discard()
            return BadLine(fault)
        if end < 0:
            return None
        self.held -= len(content) + 2
        self._start = end + 2
        return content

    def take(self, octets: int | None = None) -> bytes:
        """Up to so many octets raw; all that is held without a number."""
        end = len(self._data) if octets is None else self._start + octets
        taken = self._data[self._start : end]
        self._start += len(taken)
        self.held -= len(taken)
        return taken

    def put_back(self, data: bytes) -> None:
        """Undo a part of ``take``."""
        self._data = data + self._data[self._start :]
        self._start = 0
        self.held += len(data)

    def clear(self) -> None:
        """Forget everything held."""
        self._data, self._start, self._discarding, self.held = b"", 0, False, 0

    def _unfinished(self) -> bytes:
        """What is held of a line whose end was not seen: a last CR may belong to that end."""
        return self._data[self._start :].removesuffix(b"\r")

    def _discard(self) -> None:
        """Drop the spoilt line, as far as it has come."""
        end = self._data.find(b"\r\n", self._start)
        if end < 0:
            self._data = b"\r" if self._data.endswith(b"\r") and self.held else b""
            self._start = 0
        else:
            self._start = end + 2
            self._discarding = False
        self.held = len(self._data) - self._start


def first_fault(content: bytes, longest: int) -> Fault | None:
    """What is wrong with a line that may be so many octets long, without its CRLF. The fault
    that stands first, so that it is the same for any split of the input."""
    if len(content) <= longest and not content.translate(None, _ALL_BUT_CR_LF_NUL):
        return None
    found = [
        (position, fault)
        for fault, position in (
            (Fault.NUL, content.find(b"\0")),
            (Fault.BARE_LF, content.find(b"\n")),
            (Fault.BARE_CR, content.find(b"\r")),
            (Fault.TOO_LONG, longest if len(content) > longest else -1),
        )
        if position >= 0
    ]
    return min(found, key=lambda entry: entry[0])[1]


def has_bare_endings(content: bytes) -> bool:
    """Whether there is a CR or LF outside CRLF, or a NUL. Half of a CRLF counts as bare."""
    # Only what has none comes back when every CR is taken out and one put before every LF: both
    # jump from one to the next, and are done sooner than any search for a bare one.
    return b"\0" in content or content.replace(b"\r", b"").replace(b"\n", b"\r\n") != content


class LineEndings:
    """Judges counted text (BDAT) chunk by chunk; a CRLF may lie across a border."""

    def __init__(self) -> None:
        self.spoilt = False
        self._pending_cr = False

    def feed(self, chunk: bytes) -> None:
        if self.spoilt or not chunk:
            return
        text = b"\r" + chunk if self._pending_cr else chunk
        self._pending_cr = text.endswith(b"\r")
        self.spoilt = has_bare_endings(text[:-1] if self._pending_cr else text)

    def finish(self) -> None:
        self.spoilt = self.spoilt or self._pending_cr


class DataDecoder:
    """The text of DATA: finds its end, takes out the stuffed dots (RFC 5321 section 4.5.2)."""

    def __init__(self) -> None:
        self.spoilt = False
        """Whether a bare CR, a bare LF or a NUL has come by."""
        self._held = b"\r\n"  # the start of the text counts as the start of a line
        self._fresh = True

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Content to pass on, and what follows the end of the data: None before the end."""
        text = self._held + data
        # Encoded as base64, as most of what is large, a message has not one dot.
        dot = _DOT_LINE.search(text) if b"." in text else None
        end = text.find(_END_OF_DATA, dot.start()) if dot else -1
        if end >= 0:
            return self._content(text[: end + 2], dot), text[end + len(_END_OF_DATA) :]
        held = next((b for b in _BEGINNINGS_OF_END if text.endswith(b)), b"")
        # While nothing but the assumed CRLF is there, keep all of it.
        if len(held) == len(text):
            self._held = text
            return b"", None
        self._held = held
        return self._content(text[: len(text) - len(held)], dot), None

    def _content(self, text: bytes, dot: re.Match[bytes] | None) -> bytes:
        # Held-back octets begin with CR, so no CRLF and no stuffed dot is ever cut in two.
        self.spoilt = self.spoilt or has_bare_endings(text)
        content = text if dot is None else text.replace(b"\r\n.", b"\r\n")
        if self._fresh:
            self._fresh = False
            return content[2:]
        return content
