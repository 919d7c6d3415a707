"""How long policies think, one by one: the hooks that plugins hang on a message's way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mailframe.metrics.families import Histogram
from mailframe.metrics.snapshot import Family
from mailframe.runtime.aio import is_awaitable

_BOUNDS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)

Ask = Callable[..., Any]


class Hooks:
    """``seconds`` is a clock that is never set."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._spent = Histogram(
            "mailframe_hook_seconds",
            "Time until a policy's answer, by policy and stage, with all that it waited for.",
            _BOUNDS,
            ("plugin", "hook"),
        )

    def timed(self, plugin: str, hook: str, ask: Ask) -> Ask:
        """``ask``, timed. Its answer may be one to be awaited."""
        seconds, observe = self._seconds, self._spent.of((plugin, hook)).observe

        async def rest(answer: Awaitable[Any], began: float) -> Any:
            try:
                return await answer
            finally:
                observe(seconds() - began)

        def asked(*facts: Any) -> Any:
            began = seconds()
            try:
                answer = ask(*facts)
            except BaseException:
                observe(seconds() - began)
                raise
            if answer is not None and is_awaitable(answer):
                return rest(answer, began)
            observe(seconds() - began)
            return answer

        return asked

    def family(self) -> Family:
        return self._spent.family()
