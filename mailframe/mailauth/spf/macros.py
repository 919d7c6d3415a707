"""Macros: text with parts that stand for what is known of the client and the sender.

RFC 7208 section 7. ``parse_*`` raise SpfSyntaxError; ``expand`` cannot fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

# RFC 7208 section 7.2: these three are for explanations only.
EXPLANATION_ONLY = frozenset("crt")
# section 7.3: what "%{S}" leaves as it is, beside letters and digits
_UNRESERVED = "-._~"

_TOKEN = re.compile(
    r"(?P<literal>[\x21-\x24\x26-\x7e ]+)"
    r"|%(?P<escape>[%_-])"
    r"|%\{(?P<letter>[slodiphcrtvSLODIPHCRTV])(?P<digits>[0-9]*)(?P<reverse>[rR]?)"
    r"(?P<delimiters>[.\-+,/_=]*)\}"
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
# section 7.1: domain-end = ( "." toplabel [ "." ] ) / macro-expand
_TOP_LABEL = re.compile(
    r"\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?\Z"
)
_ENDS_IN_MACRO = re.compile(r"%(?:[%_-]|\{[^{}%]*\})\Z")
_MOST_PARTS = 1_000  # no expansion has as many; larger numbers mean all


class SpfSyntaxError(ValueError):
    """The record breaks the grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Macro:
    letter: str
    """Lower case."""
    keep: int
    """How many parts from the right; 0: all."""
    is_reversed: bool
    delimiters: str
    is_escaped: bool
    """Written in upper case: for URLs."""


MacroString = tuple[str | Macro, ...]


def parse_macro_string(text: str, *, explanation: bool = False) -> MacroString:
    """``explanation``: blanks, and the macros for explanations, are allowed."""
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (" " in token[0] and not explanation):
            raise SpfSyntaxError(f"malformed macro in {text[:80]!r}")
        parts.append(_part(token, explanation))
        at = token.end()
    return tuple(parts)


def parse_domain_spec(text: str) -> MacroString:
    """RFC 7208 section 7.1; what follows ``:`` or ``=``, without a prefix length."""
    parts = parse_macro_string(text)
    if not (_ENDS_IN_MACRO.search(text) or _TOP_LABEL.search(text)):
        raise SpfSyntaxError(f"{text[:80]!r} is no domain name")
    return parts


def _part(token: re.Match[str], explanation: bool) -> str | Macro:
    if literal := token["literal"]:
        return literal
    if escape := token["escape"]:
        return _ESCAPES[escape]
    letter = token["letter"]
    if letter.lower() in EXPLANATION_ONLY and not explanation:
        raise SpfSyntaxError(f"{token[0]} is for explanations only")
    digits = token["digits"].lstrip("0")
    # section 7.3: the DIGIT transformer must be non-zero
    if token["digits"] and not digits:
        raise SpfSyntaxError(f"{token[0][:80]} keeps nothing")
    keep = min(int(digits[:4] or "0"), _MOST_PARTS)
    return Macro(
        letter.lower(), keep, bool(token["reverse"]), token["delimiters"] or ".", letter.isupper()
    )


def letters(string: MacroString) -> frozenset[str]:
    """Which macros occur."""
    return frozenset(part.letter for part in string if isinstance(part, Macro))


def expand(string: MacroString, values: Mapping[str, str]) -> str:
    """``values`` by letter, for all of ``letters(string)``."""
    return "".join(
        part if isinstance(part, str) else _expanded(part, values[part.letter]) for part in string
    )


def _expanded(macro: Macro, value: str) -> str:
    parts: Iterable[str] = re.split(f"[{re.escape(macro.delimiters)}]", value)
    chosen = list(parts)
    # section 7.3: first split, then reverse, then take the right-most
    if macro.is_reversed:
        chosen.reverse()
    if macro.keep:
        chosen = chosen[-macro.keep :]
    joined = ".".join(chosen)
    return quote(joined, safe=_UNRESERVED) if macro.is_escaped else joined
