"""Header values as a reader sees them: RFC 2047 encoded words decoded, on one line.

Never raises, and takes linear time. Tolerates what is seen: words without blanks around
them, blanks and question marks within, a letter split between two words, broken base64,
octets above 127 that nobody declared. What is no encoded word stays as it is; RFC 2231
(parameters of MIME fields) is not looked at.
"""

from __future__ import annotations

import binascii
import re

from mailframe.message.charsets import decode_text
from mailframe.message.headers import unfolded

# RFC 2047 section 2; RFC 2231 section 5 adds the language
_BEGIN = re.compile(rb"=\?([^?\s*\x00-\x1f]{1,75})(?:\*[^?\s]{0,75})?\?([QqBb])\?")
_BLANK = re.compile(rb"[ \t\r\n]*")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_header(value: bytes) -> str:
    """``value`` is a field's value, folded or not."""
    text = unfolded(value)
    if b"=?" not in text:
        return _bare(text)
    made: list[str] = []
    octets, charset = b"", ""  # of the words that are not decoded yet
    at = 0
    for start, end, word_charset, word in _words(text):
        gap = text[at:start]
        adjacent = at > 0 and _BLANK.fullmatch(gap) is not None
        # Section 6.2: blanks between two words are not shown. Words of one charset are
        # joined before they are decoded: many programs split letters, though they must not.
        if not adjacent or charset != word_charset:
            made.append(decode_text(octets, charset) if octets else "")
            octets, charset = b"", word_charset
        if not adjacent:
            made.append(_bare(gap))
        octets += word
        at = end
    made.append(decode_text(octets, charset) if octets else "")
    made.append(_bare(text[at:]))
    return "".join(made)


def _words(text: bytes) -> list[tuple[int, int, str, bytes]]:
    """Begin, end, charset and octets of every encoded word."""
    found = []
    begins = list(_BEGIN.finditer(text))
    end = 0
    for number, match in enumerate(begins):
        if end < match.end():
            end = text.find(b"?=", match.end())
            if end < 0:
                break
        # one that another begins in was not closed
        if number + 1 < len(begins) and begins[number + 1].start() < end:
            continue
        content = text[match.end() : end]
        octets = _q(content) if match[2] in b"Qq" else from_base64(content)
        found.append((match.start(), end + 2, match[1].decode("latin-1").lower(), octets))
    return found


def _q(content: bytes) -> bytes:
    # section 4.2
    spaced = content.replace(b"_", b" ")
    return _HEX.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), spaced)


def from_base64(content: bytes) -> bytes:
    """What can be read of it: strange characters are skipped, missing padding is added.

    Padding in the middle is where pieces were put together: each is read for itself.
    """
    if b"=" in content.rstrip(b"=\r\n \t"):
        return b"".join(_piece(piece) for piece in re.split(rb"=+", content))
    return _piece(content)


def _piece(content: bytes) -> bytes:
    letters = _NOT_BASE64.sub(b"", content)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _bare(text: bytes) -> str:
    return decode_text(text, "")
