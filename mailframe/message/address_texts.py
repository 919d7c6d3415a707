"""Addresses as texts, for SEARCH and SORT: what ENVELOPE says of them, decoded.

Built on ``envelope.addresses``, so that a message is found and sorted by the addresses that
clients are shown, groups included (a group's name is its mailbox, RFC 9051 7.5.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailframe.message.encoded_words import decode_header
from mailframe.message.envelope import addresses

_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|\{([0-9]+)\}\r\n|NIL|([()])')
_ESCAPED = re.compile(rb"\\(.)")
_MISSING = (b"MISSING_MAILBOX", b"MISSING_DOMAIN")


class AddressText(NamedTuple):
    name: str
    """The display name, decoded; empty where there is none."""
    mailbox: str
    """The local part, or a group's name."""
    domain: str

    @property
    def address(self) -> str:
        return f"{self.mailbox}@{self.domain}" if self.domain else self.mailbox

    @property
    def shown(self) -> str:
        """RFC 5957: the display name, else the address."""
        return self.name or self.address


def address_texts(value: bytes | None) -> Iterator[AddressText]:
    """``value``: a field's value. The ends of groups are left out; never raises."""
    strings: list[bytes] = []
    for string in _strings(addresses(value)):
        if string is not None:
            strings.append(string)
            continue
        if len(strings) == 4 and any(strings):
            name, _, mailbox, domain = strings
            yield AddressText(decode_header(name), decode_header(mailbox), decode_header(domain))
        strings = []


def _strings(rendered: bytes) -> Iterator[bytes | None]:
    """Every string of it, NIL as an empty one; None where a parenthesis opens or closes."""
    at = 0
    while match := _STRING.match(rendered, at):
        at = match.end()
        if match[3]:
            yield None
            continue
        if match[2]:
            start, at = at, at + int(match[2])
            string = rendered[start:at]
        else:
            string = _ESCAPED.sub(rb"\1", match[1] or b"")
        yield b"" if string in _MISSING else string
        at += rendered.startswith(b" ", at)
