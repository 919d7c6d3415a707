"""Addresses with places in them: ``orders+{number:int}@shop.test``.

Everything outside of braces is meant literally, in either case. ``{name}`` takes what the
converter takes, and is what the hook gets as ``name``:

``word``  (local-part, the default) one or more characters, ``+`` excepted
``label`` (domain, the default) one label of a domain name
``int``   digits, as an ``int``
``uuid``  as a ``uuid.UUID``
``any``   anything at all; in a domain any number of labels

Domains are compared as A-labels, so ``Ελλάδα.test`` and its ``xn--`` form are one.

A pattern is a regular expression that nobody has to write or read. Strangers choose what it is
matched against, so it must not take long for any address: two places may not touch each other,
there are four at most in a local-part and four in a domain, three of them ``any``, and the halves
are looked at one after the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import idna

from mailframe.core.address import Address, AddressError, normal_domain

MOST_IN_LOCAL_PART = 4
MOST_IN_DOMAIN = 4
MOST_ANY_IN_DOMAIN = 3

_PLACE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?")


class PatternError(ValueError):
    """The text is no pattern; says where."""


@dataclass(frozen=True, slots=True)
class Converter:
    expression: str
    convert: Callable[[str], Any] = str


_IN_LOCAL_PART: Mapping[str, Converter] = {
    "word": Converter(r"[^+@]+"),
    "int": Converter(r"[0-9]{1,18}", int),
    "uuid": Converter(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", UUID),
    "any": Converter(r".+"),
}
_IN_DOMAIN: Mapping[str, Converter] = {
    "label": Converter(r"[^.\[\]]+"),
    "int": Converter(r"[0-9]{1,18}", int),
    "any": Converter(r".+"),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """Compare with ``match``. Of several that match, the one that sorts first is meant."""

    text: str
    """As it was written."""
    names: tuple[str, ...]
    """Of its places, from left to right."""
    domain: str
    """The domain where it is literal, A-labels; empty where there are places in it."""
    literal: int
    """Characters that are meant literally: the more, the more exact it is."""
    is_open: bool
    """Whether nothing of the domain is literal but dots: it may be anybody's."""
    _in_local_part: re.Pattern[str]
    _in_domain: re.Pattern[str]
    _converters: tuple[Callable[[str], Any], ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises PatternError."""
        local_part, at, domain = _halves(text)
        if not at or not local_part or not domain:
            raise PatternError(f"{text!r} is not local-part@domain")
        left = list(_pieces(text, local_part, _IN_LOCAL_PART, "word"))
        right = list(_pieces(text, _normal(text, domain), _IN_DOMAIN, "label"))
        right = [_in_ascii(text, piece) if isinstance(piece, str) else piece for piece in right]
        _check_time(text, left, right)
        places = [piece for piece in (*left, *right) if isinstance(piece, _Place)]
        names = tuple(place.name for place in places)
        if len(set(names)) < len(names):
            raise PatternError(f"{text!r} has a name twice")
        literals = [piece for piece in (*left, *right) if isinstance(piece, str)]
        is_literal = all(isinstance(piece, str) for piece in right)
        return cls(
            text=text,
            names=names,
            domain="".join(map(str, right)) if is_literal else "",
            literal=sum(map(len, literals)),
            is_open=not any(isinstance(piece, str) and piece.strip(".") for piece in right),
            _in_domain=_compiled(right),
            _in_local_part=_compiled(left),
            _converters=tuple(place.converter.convert for place in places),
        )

    def match(self, address: Address) -> dict[str, Any] | None:
        """Name -> value; None where the address is another one."""
        return self.match_key(key_of(address))

    def match_key(self, key: str) -> dict[str, Any] | None:
        """The same for what ``key_of`` returned: of many patterns, make it once."""
        local_part, _, domain = key.rpartition("@")
        # One after the other: as one expression, each way to read the first half would be tried
        # with each way to read the second.
        right = self._in_domain.fullmatch(domain)
        left = self._in_local_part.fullmatch(local_part) if right is not None else None
        if left is None or right is None:
            return None
        texts = (*left.groups(), *right.groups())
        values = zip(self.names, self._converters, texts, strict=True)
        return {name: convert(value) for name, convert, value in values}

    def has_domain(self, domain: str) -> bool:
        """Whether addresses of that domain (A-labels in lower case) can match."""
        return self._in_domain.fullmatch(domain) is not None

    @property
    def rank(self) -> tuple[int, int]:
        """For sorting, the most exact first."""
        return -self.literal, len(self.names)

    @property
    def shape(self) -> tuple[str, str]:
        """Of two patterns with the same one, each matches what the other does."""
        return self._in_local_part.pattern, self._in_domain.pattern

    def __str__(self) -> str:
        return self.text


def key_of(address: Address) -> str:
    """As addresses are compared: the local-part in lower case, the domain in A-labels."""
    local_part, domain = address.local_part, address.domain
    if local_part.isascii() and domain.isascii():
        return f"{local_part.lower()}@{domain}"
    return f"{unicodedata.normalize('NFC', local_part.casefold())}@{domain_key(domain)}"


def domain_key(domain: str) -> str:
    """In A-labels; what has no such form as it is, and no literal domain is like it."""
    if domain.isascii():
        return domain
    try:
        return str(idna.encode(domain, uts46=True).decode("ascii"))
    except idna.IDNAError:
        return domain


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    converter: Converter


def _halves(text: str) -> tuple[str, str, str]:
    """At the last ``@``; there is none in a place."""
    return text.rpartition("@")


def _pieces(
    pattern: str, half: str, converters: Mapping[str, Converter], default: str
) -> Iterator[str | _Place]:
    end, touches = 0, False
    for found in _PLACE.finditer(half):
        literal = _literal(pattern, half[end : found.start()])
        if literal:
            yield literal
        elif touches:
            raise PatternError(f"{pattern!r}: two places touch each other")
        yield _place(pattern, found[1], converters, default)
        end, touches = found.end(), True
    if rest := _literal(pattern, half[end:]):
        yield rest


def _literal(pattern: str, text: str) -> str:
    if "{" in text or "}" in text:
        raise PatternError(f"{pattern!r} has a brace without its other one")
    return unicodedata.normalize("NFC", text.casefold())


def _place(pattern: str, text: str, converters: Mapping[str, Converter], default: str) -> _Place:
    found = _NAME.fullmatch(text)
    if found is None:
        raise PatternError(f"{pattern!r}: {{{text}}} is not {{name}} or {{name:converter}}")
    kind = found[2] or default
    if kind not in converters:
        known = ", ".join(converters)
        raise PatternError(f"{pattern!r}: there is no converter {kind!r} here (known: {known})")
    return _Place(found[1], converters[kind])


def _compiled(pieces: list[str | _Place]) -> re.Pattern[str]:
    expression = "".join(
        re.escape(piece) if isinstance(piece, str) else f"({piece.converter.expression})"
        for piece in pieces
    )
    return re.compile(expression, re.DOTALL)


def _in_ascii(pattern: str, piece: str) -> str:
    """A literal piece of a domain, which may begin and end within a label."""
    labels = []
    for label in piece.split("."):
        in_ascii = domain_key(label)
        if not in_ascii.isascii():
            raise PatternError(f"{pattern!r}: {label!r} is no label of an international domain")
        labels.append(in_ascii)
    return ".".join(labels)


def _check_time(pattern: str, left: list[str | _Place], right: list[str | _Place]) -> None:
    """Each further place multiplies the ways in which a hostile address can be tried."""
    if sum(isinstance(piece, _Place) for piece in left) > MOST_IN_LOCAL_PART:
        raise PatternError(f"{pattern!r} has more than {MOST_IN_LOCAL_PART} places before the @")
    if sum(isinstance(piece, _Place) for piece in right) > MOST_IN_DOMAIN:
        raise PatternError(f"{pattern!r} has more than {MOST_IN_DOMAIN} places behind the @")
    anything = _IN_DOMAIN["any"]
    spans = [p for p in right if isinstance(p, _Place) and p.converter is anything]
    if len(spans) > MOST_ANY_IN_DOMAIN:
        raise PatternError(f"{pattern!r} has more than {MOST_ANY_IN_DOMAIN} :any in its domain")


def _normal(pattern: str, domain: str) -> str:
    """As addresses have it, where it is literal."""
    if "{" in domain:
        return domain
    try:
        return normal_domain(domain)
    except AddressError as error:
        raise PatternError(f"{pattern!r}: {error}") from None
