"""Limits as sentences: ``200 messages per user in 1h``.

What cannot be counted is refused rather than left without effect: nobody has logged in yet when
a connection is made, and a guessed login belongs to no tenant.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from mailframe.core.ip import network_around, plain_ip
from mailframe.core.units import parse_duration

_SENTENCE = re.compile(r"(\S+) (.+?) per (\S+) in (\S+)")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONGEST = 31 * 86_400  # seconds
HOUR = 3600

E = TypeVar("E", bound=enum.Enum)


class What(enum.Enum):
    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    CONNECTIONS = "connections"
    FAILED_LOGINS = "failed logins"


class Whom(enum.Enum):
    ADDRESS = "address"
    NETWORK = "network"
    USER = "user"
    DOMAIN = "domain"
    TENANT = "tenant"


_CLIENT = frozenset({Whom.ADDRESS, Whom.NETWORK})
_COUNTABLE: dict[What, frozenset[Whom]] = {
    What.MESSAGES: frozenset(Whom),
    What.RECIPIENTS: frozenset(Whom),
    What.CONNECTIONS: _CLIENT,
    What.FAILED_LOGINS: _CLIENT | {Whom.USER, Whom.DOMAIN},
}


@dataclass(frozen=True, slots=True)
class Rule:
    number: int
    what: What
    whom: Whom
    seconds: int

    @property
    def counted(self) -> str:
        """Names what is counted, whatever the limit: ``messages per user in 3600``."""
        return f"{self.what.value} per {self.whom.value} in {self.seconds}"

    def __str__(self) -> str:
        return f"{self.number} {self.counted} s"


def parse_rule(sentence: str) -> Rule:
    """Raises ValueError that says what is wrong."""
    match = _SENTENCE.fullmatch(" ".join(sentence.split()))
    if match is None:
        raise ValueError(f"{sentence!r} is no limit (example: 200 messages per user in 1h)")
    number, what, whom, span = match.groups()
    if not _NUMBER.fullmatch(number) or not int(number):
        raise ValueError(f"{sentence!r}: {number!r} is not a number from 1 to 999999999")
    rule = Rule(
        int(number),
        _word(What, what, sentence),
        _word(Whom, whom, sentence),
        _seconds(span, sentence),
    )
    countable = _COUNTABLE[rule.what]
    if rule.whom not in countable:
        names = ", ".join(whom.value for whom in Whom if whom in countable)
        raise ValueError(f"{sentence!r}: {rule.what.value} can be counted per {names} only")
    return rule


def rules_of(sentences: Iterable[str], messages_per_hour_per_user: int = 0) -> tuple[Rule, ...]:
    """All limits; of those that count the same only the lowest. Raises ValueError."""
    rules = [parse_rule(sentence) for sentence in sentences]
    if messages_per_hour_per_user:
        rules.append(Rule(messages_per_hour_per_user, What.MESSAGES, Whom.USER, HOUR))
    lowest: dict[str, Rule] = {}
    for rule in rules:
        known = lowest.get(rule.counted)
        if known is None or rule.number < known.number:
            lowest[rule.counted] = rule
    return tuple(lowest.values())


def _word(kind: type[E], text: str, sentence: str) -> E:
    for member in kind:
        if text in (member.value, member.value.removesuffix("s")):
            return member
    names = ", ".join(member.value for member in kind)
    raise ValueError(f"{sentence!r}: {text!r} is none of {names}")


def _seconds(text: str, sentence: str) -> int:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{sentence!r}: {error}") from None
    if not 1 <= seconds <= _LONGEST:
        raise ValueError(f"{sentence!r}: a time from 1s to 31d is possible")
    return seconds


def client_of(peer_ip: str, whom: Whom) -> str:
    """The address, or its network: /24, and /64 of IPv6. Empty for a Unix socket."""
    address = plain_ip(peer_ip)
    if address is None:
        return ""
    return str(address) if whom is Whom.ADDRESS else network_around(address, 24, 64)
