"""Somebody else's Authentication-Results, or ARC-Authentication-Results, as values.

Strict enough that nobody who can put text into a comment or a quoted string can put a result
into the field; what does not fit the grammar to its end is refused as a whole. Tolerant of what
is common: unquoted values with ``=``, ``/`` or ``:`` in them, a semicolon at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailframe.mailauth.results.lexical import unquoted, without_comments
from mailframe.message.headers import unfolded

_MAX_VALUE = 65_536
_MAX_RESULTS = 200
_BLANKS = re.compile(r"[ \t\r\n]+")
_INSTANCE = re.compile(r"\s*i\s*=\s*([0-9]{1,2})\s*;", re.IGNORECASE)
# an authserv-id is a token or a quoted string (RFC 8601 section 2.2), with RFC 8616 in UTF-8
_NAME = r'(?:"(?:[^"\\]|\\.)*"|[^\s;="()<>@,\\/]+)'
_HEAD = re.compile(rf"\s*({_NAME})(?:\s+([0-9]{{1,9}}))?\s*(?=;|$)")
_NONE = re.compile(r"\s*none\s*(?=;|$)", re.IGNORECASE)
_METHOD = re.compile(r"\s*([A-Za-z0-9-]+)(?:\s*/\s*[0-9]{1,9})?\s*=\s*([A-Za-z]+)(?=[\s;]|$)")
_PAIR = re.compile(
    r'\s+([A-Za-z][A-Za-z0-9-]*(?:\s*\.\s*[A-Za-z0-9_-]+)?)\s*=\s*((?:"(?:[^"\\]|\\.)*"|[^\s;"])+)'
)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """``dkim=pass header.d=example.org``"""

    method: str
    """In lower case."""
    result: str
    """In lower case."""
    properties: dict[str, str] = field(default_factory=dict)
    """By ``ptype.property`` in lower case; of two of one name the first counts."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportedResults:
    authserv_id: str
    results: tuple[MethodResult, ...]
    """Empty for ``none``."""
    instance: int = 0
    """``i=`` of ARC-Authentication-Results; 0 where there is none."""

    def of(self, method: str) -> tuple[MethodResult, ...]:
        return tuple(each for each in self.results if each.method == method)


def parse_results(value: bytes | str) -> ReportedResults:
    """``value`` is the field's value, folded or not. Raises ValueError for what is malformed."""
    if len(value) > _MAX_VALUE:
        raise ValueError("the results are too long")
    octets = value.encode("utf-8", "replace") if isinstance(value, str) else value
    text = without_comments(unfolded(octets).decode("utf-8"))
    instance = _INSTANCE.match(text)
    at = instance.end() if instance else 0
    head = _HEAD.match(text, at)
    if head is None:
        raise ValueError("the results do not say whose they are")
    results, at = _results(text, head.end())
    if _past_blanks(text, at) < len(text):
        raise ValueError("the results are malformed")
    return ReportedResults(unquoted(head[1]), results, int(instance[1]) if instance else 0)


def _results(text: str, at: int) -> tuple[tuple[MethodResult, ...], int]:
    found: list[MethodResult] = []
    while text.startswith(";", at):
        after = at + 1
        if none := _NONE.match(text, after):
            at = none.end()
            continue
        method = _METHOD.match(text, after)
        if method is None:
            # a semicolon may stand at the end, or twice
            at = _past_blanks(text, after)
            continue
        if len(found) >= _MAX_RESULTS:
            raise ValueError("there are too many results")
        properties, reason, at = _properties(text, method.end())
        found.append(MethodResult(method[1].lower(), method[2].lower(), properties, reason))
        at = _past_blanks(text, at)
    return tuple(found), at


def _past_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _properties(text: str, at: int) -> tuple[dict[str, str], str, int]:
    properties: dict[str, str] = {}
    reason = ""
    while pair := _PAIR.match(text, at):
        name = "".join(pair[1].split()).lower()
        if name == "reason":
            reason = reason or unquoted(pair[2])
        else:
            properties.setdefault(name, unquoted(pair[2]))
        at = pair.end()
    return properties, reason, at
