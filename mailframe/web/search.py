"""The search of the inbox: the words that users of Mailpit know.

::

    invoice "two words"            in text, subject or addresses; all of them must be there
    to:ann  from: cc: bcc: reply-to: addressed:   in the addresses of that field, or of any
    subject:"your order"  message-id:  tag:new
    is:read  is:unread  is:tagged  has:attachment  has:inline
    after:2026-11-01  before:"2026-11-26 12:00"  larger:100k  smaller:2m
    -word  !word                   not that

Case and accents do not matter. What is no condition (``colour:red``) is text; a date or size
that is none matches everything, as it does there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailframe.message.folding import fold
from mailframe.web.catalogue import Message
from mailframe.web.summaries import Person, Summary

MAX_QUERY = 2_000
MAX_TERMS = 50
_TERM = re.compile(r'([-!]?)((?:[^\s"]+:)?"[^"]*"?|\S+)')
_SIZE = re.compile(r"([0-9]{1,12})(\.[0-9]{1,6})?\s?(kb?|mb?)?", re.ASCII)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_ADDRESSES = ("to", "from", "cc", "bcc", "reply-to", "addressed")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a search looks at."""

    message: Message
    summary: Summary
    bcc: tuple[Person, ...]
    """Those of its envelope who are in no field included."""
    tags: tuple[str, ...]
    is_read: bool

    def people(self, field: str) -> Iterable[Person]:
        summary = self.summary
        sender = (summary.sender,) if summary.sender is not None else ()
        fields: dict[str, tuple[Person, ...]] = {
            "to": summary.to,
            "from": sender,
            "cc": summary.cc,
            "bcc": self.bcc,
            "reply-to": summary.reply_to,
        }
        if field == "addressed":
            return [person for people in fields.values() for person in people]
        return fields[field]


Condition = Callable[[Candidate], bool]


@dataclass(frozen=True, slots=True)
class Search:
    conditions: tuple[Condition, ...]

    def matches(self, candidate: Candidate) -> bool:
        return all(condition(candidate) for condition in self.conditions)


def parse_search(query: str, zone: str = "") -> Search:
    """``zone``: the time zone of dates, as ``Europe/Athens``; UTC where it is none."""
    conditions = []
    for match in list(_TERM.finditer(query[:MAX_QUERY]))[:MAX_TERMS]:
        condition = _condition(match[2], zone_of(zone))
        if condition is not None:
            conditions.append(_not(condition) if match[1] else condition)
    return Search(tuple(conditions))


def zone_of(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _not(condition: Condition) -> Condition:
    return lambda candidate: not condition(candidate)


def _condition(term: str, zone: tzinfo) -> Condition | None:
    """None for what says nothing."""
    word, colon, value = term.partition(":")
    word, value = word.lower(), value.strip('"').strip()
    if colon and not word.startswith('"'):
        if found := _STATES.get(f"{word}:{value.lower()}"):
            return found
        if word in _ADDRESSES:
            return _address(word, fold(value)) if value else None
        if made := _FIELDS.get(word):
            return made(fold(value), zone) if value else None
    return _text(fold(term.strip('"')))


def _text(words: str) -> Condition | None:
    words = " ".join(words.split())
    return (lambda candidate: words in candidate.summary.searched) if words else None


def _address(field: str, value: str) -> Condition:
    return lambda candidate: any(value in fold(str(each)) for each in candidate.people(field))


def _subject(value: str, zone: tzinfo) -> Condition:
    return lambda candidate: value in fold(candidate.summary.subject)


def _message_id(value: str, zone: tzinfo) -> Condition:
    return lambda candidate: value.strip("<>") in fold(candidate.summary.message_id)


def _tag(value: str, zone: tzinfo) -> Condition:
    return lambda candidate: value in map(fold, candidate.tags)


def _after(value: str, zone: tzinfo) -> Condition | None:
    at = _seconds(value, zone)
    return None if at is None else lambda candidate: candidate.message.created >= at


def _before(value: str, zone: tzinfo) -> Condition | None:
    at = _seconds(value, zone)
    return None if at is None else lambda candidate: candidate.message.created <= at


def _larger(value: str, zone: tzinfo) -> Condition | None:
    octets = _octets(value)
    return (lambda candidate: candidate.message.size > octets) if octets else None


def _smaller(value: str, zone: tzinfo) -> Condition | None:
    octets = _octets(value)
    return (lambda candidate: candidate.message.size < octets) if octets else None


_FIELDS: dict[str, Callable[[str, tzinfo], Condition | None]] = {
    "subject": _subject,
    "message-id": _message_id,
    "tag": _tag,
    "after": _after,
    "before": _before,
    "larger": _larger,
    "smaller": _smaller,
}
_STATES: dict[str, Condition] = {
    "is:read": lambda candidate: candidate.is_read,
    "is:unread": lambda candidate: not candidate.is_read,
    "is:tagged": lambda candidate: bool(candidate.tags),
    **dict.fromkeys(
        ("has:attachment", "has:attachments"), lambda candidate: candidate.summary.attachments > 0
    ),
    **dict.fromkeys(("has:inline", "has:inlines"), lambda candidate: candidate.summary.inlines > 0),
}


def _seconds(value: str, zone: tzinfo) -> float | None:
    try:
        when = datetime.fromisoformat(value.upper().replace("/", "-"))
        return (when if when.tzinfo is not None else when.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None


def _octets(value: str) -> int:
    """0 for what is no size."""
    match = _SIZE.fullmatch(value)
    if match is None:
        return 0
    return int(float(match[1] + (match[2] or "")) * _FACTORS[(match[3] or "")[:1]])
