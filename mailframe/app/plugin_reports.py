"""What applications have cost, of several processes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SUMS = ("calls", "failures", "timeouts", "busy", "blocked", "hung", "seconds")
_LONGEST = "longest"


def together(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The answers of ``MailServer.plugins`` of all workers as one: hooks by their names."""
    hooks: dict[str, dict[str, Any]] = {}
    for hook in (each for answer in answers for each in answer["hooks"]):
        known = hooks.get(hook["hook"])
        hooks[hook["hook"]] = dict(hook) if known is None else _sum(known, hook)
    return {
        "version": max((answer["version"] for answer in answers), default=0),
        "versions": max((answer["versions"] for answer in answers), default=0),
        "hooks": list(hooks.values()),
    }


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    sums = {key: one[key] + other[key] for key in _SUMS}
    return {**one, **sums, _LONGEST: max(one[_LONGEST], other[_LONGEST])}
