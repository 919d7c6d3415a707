"""Mail addresses: parse, compare, render.

One parser for the whole house: the one that checks an address is the one that acts on it.
It accepts RFC 5321 section 4.1.2 ``Mailbox`` (dot-string or quoted-string local-part; domain
or address literal) with the UTF-8 additions of RFC 6531 section 3.3, and nothing else: no
comments, no display names, no obsolete syntax. SMTP paths with source routes and parameters
are the business of ``mailframe.protocols.smtp.grammar``.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from mailframe.core.characters import ATEXT, LETTERS_DIGITS, utf8_and

# RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3, in octets.
MAX_LOCAL_PART = 64
"""Octets of a local-part, unquoted."""
MAX_DOMAIN = 255
"""Octets of a domain."""
MAX_PATH = 256
"""Octets of a path with its angle brackets: of an address two less."""

_ATEXT = utf8_and(ATEXT)
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
# RFC 5321 section 4.1.2: qtextSMTP = %d32-33 / %d35-91 / %d93-126; quoted-pairSMTP = "\" 32-126
_QUOTED = re.compile(r'"((?:[^\x00-\x1f"\\\x7f]|\\[\x20-\x7e])*)"')
# Underscores are outside the grammar but common in real host names; DNS carries them.
_EDGE = utf8_and(LETTERS_DIGITS + "_")
_WITHIN = utf8_and(LETTERS_DIGITS + "_-")
_LABEL = re.compile(rf"{_EDGE}(?:{_WITHIN}*{_EDGE})?")
_GENERAL_LITERAL = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[\x21-\x5a\x5e-\x7e]+")


class AddressError(ValueError):
    """The text is not an address; the message says why, fit to show to a peer."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """``local_part@domain``; the local-part unquoted, the domain in lower case.

    ``domain`` is empty only for the bare ``postmaster`` of RFC 5321 section 4.1.1.3.
    """

    local_part: str
    """Without quotes and backslashes, as written otherwise; compare with ``key``."""
    domain: str
    """In lower case, U-labels or A-labels as it came; or an address literal."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse a whole ``Mailbox``, ``ann@example.org``, without angle brackets or a display name.
        Raises AddressError."""
        return _parsed(text)

    @classmethod
    def build(cls, local_part: str, domain: str) -> Address:
        """Join two unquoted halves after checking both. Raises AddressError."""
        _check_local_part(local_part)
        if not local_part.isascii():
            local_part = unicodedata.normalize("NFC", local_part)
        address = cls(local_part, normal_domain(domain))
        # Quoting makes the local part longer, at most twice.
        is_short = len(address.local_part) + len(address.domain) <= 120
        if is_short and not address.needs_utf8:
            return address
        if len(str(address).encode()) > MAX_PATH - 2:
            raise AddressError("the address is longer than 254 octets")
        return address

    @property
    def needs_utf8(self) -> bool:
        """Whether only a SMTPUTF8 transaction can carry it (RFC 6531 section 3.4)."""
        return not (self.local_part.isascii() and self.domain.isascii())

    @property
    def is_literal(self) -> bool:
        """Whether the domain is an address literal such as ``[192.0.2.1]``."""
        return self.domain.startswith("[")

    @property
    def key(self) -> str:
        """For comparing and looking up: case-folded, ``a@b``.

        RFC 5321 section 2.4 lets the receiving host decide about case; like every large
        system we hold ``Ann`` and ``ann`` for one person.
        """
        return f"{self.local_part.casefold()}@{self.domain}"

    def with_domain(self, domain: str) -> Address:
        """The same local-part elsewhere. Raises AddressError."""
        return Address.build(self.local_part, domain)

    def __str__(self) -> str:
        return _rendered(self.local_part, self.domain)


@functools.lru_cache(maxsize=4096)
def _rendered(local_part: str, domain: str) -> str:
    """Each address of a message is written several times, of one with many recipients too."""
    if not _DOT_STRING.fullmatch(local_part):
        escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
        local_part = f'"{escaped}"'
    return f"{local_part}@{domain}" if domain else local_part


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Address:
    """Most mail is for few addresses."""
    local, rest = split_local_part(text)
    if not rest.startswith("@"):
        raise AddressError("an address needs a domain")
    return Address.build(local, rest[1:])


def split_local_part(text: str) -> tuple[str, str]:
    """Split off and unquote the leading local-part: ``'"a b"@c'`` -> ``('a b', '@c')``. Raises
    AddressError."""
    if text.startswith('"') and (quoted := _QUOTED.match(text)):
        return re.sub(r"\\(.)", r"\1", quoted[1]), text[quoted.end() :]
    if plain := _DOT_STRING.match(text):
        return plain[0], text[plain.end() :]
    raise AddressError("the local part is malformed")


def _check_local_part(local_part: str) -> None:
    # Most are like this, and what follows takes time.
    if local_part.isascii() and local_part.isprintable() and 0 < len(local_part) <= MAX_LOCAL_PART:
        return
    try:
        octets = len(local_part.encode())
    except UnicodeEncodeError:
        raise AddressError("the local part is not valid Unicode") from None
    if not octets:
        raise AddressError("the local part is empty")
    # RFC 5321 section 4.5.3.1.1
    if octets > MAX_LOCAL_PART:
        raise AddressError("the local part is longer than 64 octets")
    if any(unicodedata.category(character) == "Cc" for character in local_part):
        raise AddressError("the local part contains a control character")


@functools.lru_cache(maxsize=1024)
def normal_domain(domain: str) -> str:
    """Check a domain or address literal; returns it NFC-normalised in lower case. Raises
    AddressError."""
    if domain.startswith("["):
        return _normal_literal(domain)
    # Before it is normalised, which takes time by the square of many combining characters.
    _check_domain_length(domain)
    domain = unicodedata.normalize("NFC", domain).lower()
    _check_domain_length(domain)
    for label in domain.split("."):
        # RFC 1035 section 2.3.4; a U-label is bounded again when it becomes an A-label
        if not _LABEL.fullmatch(label) or (label.isascii() and len(label) > 63):
            raise AddressError("the domain is malformed")
        if any(unicodedata.category(c) in ("Cc", "Cf", "Zs", "Zl", "Zp") for c in label):
            raise AddressError("the domain contains a character that no host name has")
    return domain


def _check_domain_length(domain: str) -> None:
    try:
        octets = len(domain.encode())
    except UnicodeEncodeError:
        raise AddressError("the domain is not valid Unicode") from None
    if not octets:
        raise AddressError("the domain is empty")
    # RFC 5321 section 4.5.3.1.2
    if octets > MAX_DOMAIN:
        raise AddressError("the domain is longer than 255 octets")


def _normal_literal(domain: str) -> str:
    """RFC 5321 section 4.1.3."""
    if not domain.endswith("]"):
        raise AddressError("the address literal is not closed")
    inner = domain[1:-1]
    try:
        if inner.lower().startswith("ipv6:"):
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        if ":" not in inner:
            return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise AddressError("the address literal is malformed") from None
    if not _GENERAL_LITERAL.fullmatch(inner):
        raise AddressError("the address literal is malformed")
    return f"[{inner}]"


def literal_ip(domain: str) -> str | None:
    """The IP address inside an address literal, or None for anything else."""
    if not domain.startswith("["):
        return None
    inner = domain[1:-1]
    if inner.lower().startswith("ipv6:"):
        return inner[5:]
    return inner if ":" not in inner else None
