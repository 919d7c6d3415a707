"""The text of an SPF record as values (RFC 7208 sections 4.5, 4.6, 5, 6 and 12).

``parse_record`` reads all of it or raises SpfSyntaxError: one wrong term spoils the record, even
behind one that matches (section 4.6).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.core.authentication import Result
from mailframe.mailauth.spf.macros import (
    MacroString,
    SpfSyntaxError,
    parse_domain_spec,
    parse_macro_string,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Our own limit. Section 3.4 asks for 512 octets or less; a few large senders need thousands.
MAX_RECORD = 8_192

QUALIFIERS = {
    "+": Result.PASS,
    "-": Result.FAIL,
    "~": Result.SOFTFAIL,
    "?": Result.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class Mechanism:
    text: str
    """As it stands in the record."""
    kind: str
    """Lower case."""
    qualifier: Result
    target: MacroString | None = None
    """None: the domain whose record it is."""
    network: Network | None = None
    """Of ``ip4`` and ``ip6``."""
    prefix4: int = 32
    prefix6: int = 128


@dataclass(frozen=True, slots=True)
class Record:
    mechanisms: tuple[Mechanism, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None


def is_spf(text: bytes) -> bool:
    """Section 4.5: the version, and then a blank or nothing. ABNF strings ignore case."""
    return text[:7].lower() in (b"v=spf1", b"v=spf1 ")


@functools.lru_cache(maxsize=64)
def parse_record(octets: bytes) -> Record:
    if len(octets) > MAX_RECORD:
        raise SpfSyntaxError(f"the record is longer than {MAX_RECORD} octets")
    # section 3.1: records are made of US-ASCII
    if not octets.isascii():
        raise SpfSyntaxError("the record is not ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    # section 12: terms are divided by blanks, and by nothing else
    for term in octets.decode("ascii").split(" ")[1:]:
        if not term:
            continue
        if modifier := _MODIFIER.fullmatch(term):
            _add_modifier(modifiers, modifier[1].lower(), modifier[2])
        else:
            mechanisms.append(_mechanism(term))
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)", re.DOTALL)
_DIRECTIVE = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9\-_.]*)([:/].*)?", re.DOTALL)
# section 5.3: dual-cidr-length; numbers have no leading zeros
_LENGTH = r"0|[1-9][0-9]{0,2}"
_DUAL_LENGTH = re.compile(rf"(.*?)(?:/({_LENGTH}))?(?://({_LENGTH}))?", re.DOTALL)


def _add_modifier(modifiers: dict[str, MacroString], name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        # section 6: unknown ones are ignored, but have to be well-formed
        parse_macro_string(value)
        return
    # section 6: at most once each
    if name in modifiers:
        raise SpfSyntaxError(f"{name}= occurs twice")
    modifiers[name] = parse_domain_spec(value)


def _mechanism(term: str) -> Mechanism:
    directive = _DIRECTIVE.fullmatch(term)
    if directive is None or directive[2].lower() not in _ARGUMENTS:
        raise SpfSyntaxError(f"unknown term {term[:80]!r}")
    kind = directive[2].lower()
    return _ARGUMENTS[kind](term, kind, QUALIFIERS[directive[1] or "+"], directive[3] or "")


def _no_argument(term: str, kind: str, qualifier: Result, argument: str) -> Mechanism:
    if argument:
        raise SpfSyntaxError(f"{term[:80]!r} takes no argument")
    return Mechanism(term, kind, qualifier)


def _domain(term: str, kind: str, qualifier: Result, argument: str) -> Mechanism:
    if not argument.startswith(":"):
        raise SpfSyntaxError(f"{term[:80]!r} lacks a domain")
    return Mechanism(term, kind, qualifier, parse_domain_spec(argument[1:]))


def _optional_domain(term: str, kind: str, qualifier: Result, argument: str) -> Mechanism:
    if not argument:
        return Mechanism(term, kind, qualifier)
    return _domain(term, kind, qualifier, argument)


def _hosts(term: str, kind: str, qualifier: Result, argument: str) -> Mechanism:
    parts = _DUAL_LENGTH.fullmatch(argument)
    assert parts is not None  # the first group takes what the others do not
    target = None
    if parts[1]:
        target = _domain(term, kind, qualifier, parts[1]).target
    prefix4 = _prefix(term, parts[2], 32)
    prefix6 = _prefix(term, parts[3], 128)
    return Mechanism(term, kind, qualifier, target, None, prefix4, prefix6)


def _addresses(term: str, kind: str, qualifier: Result, argument: str) -> Mechanism:
    address, slash, length = argument[1:].partition("/")
    longest = 32 if kind == "ip4" else 128
    if argument[:1] != ":" or (slash and not re.fullmatch(_LENGTH, length)) or "%" in address:
        raise SpfSyntaxError(f"{term[:80]!r} names no network")
    prefix = _prefix(term, length or None, longest)
    try:
        if kind == "ip4":
            octets: Network = ipaddress.IPv4Network((address, prefix), strict=False)
        else:
            octets = ipaddress.IPv6Network((address, prefix), strict=False)
    except ValueError:
        raise SpfSyntaxError(f"{term[:80]!r} names no network") from None
    return Mechanism(term, kind, qualifier, network=octets)


def _prefix(term: str, text: str | None, longest: int) -> int:
    prefix = longest if text is None else int(text)
    if prefix > longest:
        raise SpfSyntaxError(f"{term[:80]!r} has a prefix longer than {longest}")
    return prefix


_ARGUMENTS: dict[str, Callable[[str, str, Result, str], Mechanism]] = {
    "all": _no_argument,
    "include": _domain,
    "a": _hosts,
    "mx": _hosts,
    "ptr": _optional_domain,
    "ip4": _addresses,
    "ip6": _addresses,
    "exists": _domain,
}
