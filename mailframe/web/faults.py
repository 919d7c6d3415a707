"""Errors on demand: what was asked of the server to refuse, and how often.

Three *triggers* (as of Mailpit: sender, recipient, authentication) refuse a share of commands
with a code. A *fault* refuses one address, or a pattern with ``*``, at one stage, as often as it
is told. The site changes them, the policy that the server walks asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

MAX_FAULTS = 1_000
_TEXT = 200
STAGES = ("auth", "mail", "rcpt", "data")


class FaultError(ValueError):
    """What was asked for makes no sense; says why."""


@dataclass(frozen=True, slots=True)
class Trigger:
    code: int
    probability: int = 0
    """In percent."""

    def as_object(self) -> dict[str, int]:
        return {"ErrorCode": self.code, "Probability": self.probability}


@dataclass(frozen=True, slots=True)
class Fault:
    stage: str
    """One of ``STAGES``."""
    address: str
    """Of the recipient (``rcpt``, ``data``: any of them), sender (``mail``) or login (``auth``);
    ``*`` stands for anything."""
    code: int
    text: str = ""
    """Empty: the usual one."""
    times: int = 0
    """How often it still happens; 0: always."""

    def as_object(self) -> dict[str, Any]:
        return {
            "Stage": self.stage,
            "Address": self.address,
            "Code": self.code,
            "Text": self.text,
            "Times": self.times,
        }


DEFAULTS: Mapping[str, Trigger] = {
    "Sender": Trigger(451),
    "Recipient": Trigger(451),
    "Authentication": Trigger(535),
}
_STAGE_OF = {"auth": "Authentication", "mail": "Sender", "rcpt": "Recipient"}


class Faults:
    """``percent`` draws a whole number below 100."""

    def __init__(self, percent: Callable[[], int]) -> None:
        self._percent = percent
        self.triggers: dict[str, Trigger] = dict(DEFAULTS)
        self.faults: list[Fault] = []

    def take(self, stage: str, address: str) -> tuple[int, str] | None:
        """Code and text to refuse this command with; None: let it pass."""
        for number, fault in enumerate(self.faults):
            if fault.stage == stage and _fits(fault.address, address):
                if fault.times == 1:
                    del self.faults[number]
                elif fault.times:
                    self.faults[number] = replace(fault, times=fault.times - 1)
                return fault.code, fault.text
        trigger = self.triggers.get(_STAGE_OF.get(stage, ""))
        if trigger is not None and trigger.probability and self._percent() < trigger.probability:
            return trigger.code, ""
        return None

    def set_triggers(self, asked: object) -> None:
        """``asked``: decoded JSON. What it leaves out is reset. Raises FaultError."""
        if not isinstance(asked, dict):
            raise FaultError("an object is wanted")
        given = {str(name).lower(): value for name, value in asked.items()}
        self.triggers = {
            name: _trigger(given.get(name.lower()), default) for name, default in DEFAULTS.items()
        }

    def add(self, asked: object) -> Fault:
        """``asked``: decoded JSON. Raises FaultError."""
        if not isinstance(asked, dict):
            raise FaultError("an object is wanted")
        given = {str(name).lower(): value for name, value in asked.items()}
        stage = given.get("stage", "rcpt")
        if stage not in STAGES:
            raise FaultError(f"Stage must be one of {', '.join(STAGES)}")
        if len(self.faults) >= MAX_FAULTS:
            raise FaultError(f"there are {MAX_FAULTS} faults already")
        fault = Fault(
            stage,
            _text(given.get("address", "*")),
            _code(given.get("code", 451)),
            _ascii(_text(given.get("text", ""))),
            _whole(given.get("times", 0), "Times", 0, 1_000_000),
        )
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        self.faults.clear()


def _fits(pattern: str, address: str) -> bool:
    """``*`` is any number of characters. Linear: each piece is found once, from the left."""
    first, *others = pattern.casefold().split("*")
    rest = address.casefold()
    if not others:
        return rest == first
    if not rest.startswith(first):
        return False
    rest = rest[len(first) :]
    *middle, last = others
    for piece in middle:
        at = rest.find(piece)
        if at < 0:
            return False
        rest = rest[at + len(piece) :]
    return rest.endswith(last)


def _trigger(given: object, default: Trigger) -> Trigger:
    if given is None:
        return default
    if not isinstance(given, dict):
        raise FaultError("a trigger is an object with ErrorCode and Probability")
    members = {str(name).lower(): value for name, value in given.items()}
    code = members.get("errorcode") or default.code
    return Trigger(_code(code), _whole(members.get("probability", 0), "Probability", 0, 100))


def _code(value: object) -> int:
    return _whole(value, "the error code", 400, 599)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise FaultError(f"{name} must be a whole number between {least} and {most}")
    return value


def _text(value: object) -> str:
    """One line."""
    if not isinstance(value, str) or len(value) > _TEXT:
        raise FaultError(f"a text of at most {_TEXT} characters is wanted")
    if not all(character.isprintable() for character in value):
        raise FaultError("a text has no control characters")
    return value


def _ascii(text: str) -> str:
    """As a reply's text has to be (RFC 5321 section 4.2)."""
    if not text.isascii():
        raise FaultError("Text must be ASCII")
    return text
