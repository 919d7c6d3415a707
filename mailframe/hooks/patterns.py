"""Addresses with places in them: ``orders+{number:int}@shop.test``.

Everything outside of braces is meant literally, in either case. ``{name}`` takes what the
converter takes, and is what the hook gets as ``name``:

``word``  (local-part, the default) one or more characters, ``+`` excepted
``label`` (domain, the default) one label of a domain name
``int``   digits, as an ``int``
``uuid``  as a ``uuid.UUID``
``any``   anything at all; in a domain any number of labels

A pattern is a regular expression that nobody has to write or read. Matching takes time that is
bounded by the length of an address: two places may not touch each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mailframe.core.address import Address, AddressError, normal_domain

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
    names: tuple[str, ...]
    """Of its places, from left to right."""
    domain: str
    """The domain where it is literal, A-labels; empty where there are places in it."""
    literal: int
    """Characters that are meant literally: the more, the more exact it is."""
    _expression: re.Pattern[str]
    _converters: tuple[Callable[[str], Any], ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises PatternError."""
        local_part, at, domain = _halves(text)
        if not at or not local_part or not domain:
            raise PatternError(f"{text!r} is not local-part@domain")
        left = list(_pieces(text, local_part, _IN_LOCAL_PART, "word"))
        right = list(_pieces(text, _normal(text, domain), _IN_DOMAIN, "label"))
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
            _expression=re.compile(f"{_expression(left)}@{_expression(right)}", re.DOTALL),
            _converters=tuple(place.converter.convert for place in places),
        )

    def match(self, address: Address) -> dict[str, Any] | None:
        """Name -> value; None where the address is another one."""
        # As ``Address.key``: the local-part is as its writer spelt it, but compared in lower case.
        found = self._expression.fullmatch(address.key)
        if found is None:
            return None
        values = zip(self.names, self._converters, found.groups(), strict=True)
        return {name: convert(value) for name, convert, value in values}

    @property
    def rank(self) -> tuple[int, int]:
        """For sorting, the most exact first."""
        return -self.literal, len(self.names)

    def __str__(self) -> str:
        return self.text


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
    return text.casefold()


def _place(pattern: str, text: str, converters: Mapping[str, Converter], default: str) -> _Place:
    found = _NAME.fullmatch(text)
    if found is None:
        raise PatternError(f"{pattern!r}: {{{text}}} is not {{name}} or {{name:converter}}")
    kind = found[2] or default
    if kind not in converters:
        known = ", ".join(converters)
        raise PatternError(f"{pattern!r}: there is no converter {kind!r} here (known: {known})")
    return _Place(found[1], converters[kind])


def _expression(pieces: list[str | _Place]) -> str:
    return "".join(
        re.escape(piece) if isinstance(piece, str) else f"({piece.converter.expression})"
        for piece in pieces
    )


def _normal(pattern: str, domain: str) -> str:
    """As addresses have it, where it is literal."""
    if "{" in domain:
        return domain
    try:
        return normal_domain(domain)
    except AddressError as error:
        raise PatternError(f"{pattern!r}: {error}") from None
