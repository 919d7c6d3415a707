"""Octets of a message as text for a person. Never raises; what cannot be read shows as U+FFFD."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re

# Python has codecs that are no charsets of mail, and slow or surprising on hostile input.
_NOT_CHARSETS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}
# RFC 2047 section 2; lenient about length, and about blanks inside as some programs write.
_ENCODED_WORD = re.compile(rb"=\?([A-Za-z0-9._+:-]{1,40})(?:\*[^?]*)?\?([bBqQ])\?([^?\r\n]*)\?=")
_BETWEEN_WORDS = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
# What people send is often of the Windows charset beside the one they name.
_WINDOWS_TWINS = {"iso8859-1": "cp1252", "iso8859-7": "cp1253", "ascii": "utf-8"}


def to_text(data: bytes, charset: str = "") -> str:
    """Decode as declared; where that fails, as UTF-8, then as what it likeliest is."""
    declared = _known(charset)
    twin = _WINDOWS_TWINS.get(declared, "cp1252")
    for name in dict.fromkeys([declared or "utf-8", "utf-8", twin]):
        try:
            return _encodable(data.decode(name), name)
        except (UnicodeError, LookupError):
            continue
    try:
        return _encodable(data.decode(declared or "utf-8", "replace"), declared)
    except LookupError:  # a codec, but of no texts: rot13, zlib
        return data.decode("utf-8", "replace")


def _encodable(text: str, charset: str) -> str:
    """Of all charsets UTF-7 alone has halves of surrogate pairs, which nothing can be made of."""
    if charset != "utf-7" or text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def header_text(value: bytes) -> str:
    """A field's value with its encoded words decoded, on one line."""
    pieces = []
    at = 0
    value = _BETWEEN_WORDS.sub(rb"\1", value)
    for word in _ENCODED_WORD.finditer(value):
        pieces += [to_text(value[at : word.start()]), _word(word)]
        at = word.end()
    return " ".join("".join([*pieces, to_text(value[at:])]).split())


def _word(word: re.Match[bytes]) -> str:
    encoded = word[3]
    octets = (
        unbase64(encoded)
        if word[2] in b"bB"
        else quopri.decodestring(encoded.replace(b"_", b" "), header=True)
    )
    return to_text(octets, word[1].decode("ascii"))


def unbase64(data: bytes) -> bytes:
    """What can be decoded of it: foreign characters are skipped, a broken end is cut off."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data.split(b"=", 1)[0])
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _known(charset: str) -> str:
    """Python's name of the charset; empty if it has none."""
    try:
        name = codecs.lookup(charset).name if charset else ""
    except (LookupError, ValueError):
        return ""
    return "" if name.replace("_", "-") in _NOT_CHARSETS else name
