"""xtext of RFC 3461 section 4 and its UTF-8 relatives of RFC 6533 section 3."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
# RFC 6533 section 3: QCHAR, EmbeddedUnicodeChar; UTF-8 itself in utf-8-addr-unitext
_UTF8_XTEXT = re.compile(r"(?:[^\x00-\x20+=\\\x7f]|\\x\{[0-9A-F]{2,6}\}|\+[0-9A-F]{2})*")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def encode(text: str) -> str:
    """For ENVID, ORCPT with ``rfc822`` and AUTH; ``text`` is ASCII."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)


def decode(text: str) -> str:
    """Raises ValueError when it is no xtext or does not decode to printable ASCII."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("malformed xtext")
    return _printable(_HEX.sub(lambda match: chr(int(match[1], 16)), text))


def decode_utf8_address(text: str) -> str:
    """The address of ``ORCPT=utf-8;...``, in any of its three spellings."""
    if not _UTF8_XTEXT.fullmatch(text):
        raise ValueError("malformed utf-8 address")
    text = _EMBEDDED.sub(lambda match: _character(int(match[1], 16)), text)
    return _printable(_HEX.sub(lambda match: chr(int(match[1], 16)), text))


def encode_utf8_address(text: str) -> str:
    """``utf-8-addr-xtext``: ASCII only, for a next hop without SMTPUTF8."""
    return "".join(
        c if "!" <= c <= "~" and c not in "+=\\" else f"\\x{{{ord(c):02X}}}" for c in text
    )


def _character(number: int) -> str:
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ValueError("no such character")
    return chr(number)


def _printable(text: str) -> str:
    # What is decoded ends up in DSN header fields: a line end must not come with it.
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise ValueError("a control character is encoded")
    return text
