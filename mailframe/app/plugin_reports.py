"""What applications bring, and what their hooks have cost, of several processes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailframe.hooks.app import App

_SUMS = ("calls", "failures", "timeouts", "busy", "blocked", "hung", "seconds")
_LONGEST = "longest"


def parts_of(app: App) -> list[dict[str, str]]:
    """What it brings with ``provides``, as ``Running.report`` has its hooks."""
    from mailframe.hooks.hook import place_of
    from mailframe.hooks.running import name_of

    return [
        {
            "hook": f"{name_of(app)}.{getattr(make, '__name__', make)}",
            "phase": interface.__name__,
            "place": place_of(make),
        }
        for interface, make in app.parts
    ]


def together(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The answers of ``MailServer.plugins`` of all workers as one: hooks by their names."""
    hooks: dict[str, dict[str, Any]] = {}
    for hook in (each for answer in answers for each in answer["hooks"]):
        known = hooks.get(hook["hook"])
        hooks[hook["hook"]] = dict(hook) if known is None else _sum(known, hook)
    newest = max(answers, key=lambda answer: answer["version"], default=None)
    return {
        "version": newest["version"] if newest is not None else 0,
        "versions": max((answer["versions"] for answer in answers), default=0),
        "hooks": list(hooks.values()),
        "parts": newest["parts"] if newest is not None else [],
    }


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    sums = {key: one[key] + other[key] for key in _SUMS}
    return {**one, **sums, _LONGEST: max(one[_LONGEST], other[_LONGEST])}
