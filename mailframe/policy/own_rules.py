"""Rules of the operator's own for ``content``: ``[policy.content] rules``.

``package.module:name`` is a function of one argument, a ``MessageView``, that returns points, a
``Symbol``, or None for nothing::

    def no_invoices_from_strangers(view):
        return 2.5 if "invoice" in view.subject.lower() and not view.found.auth.dmarc else None

A plain function runs on a worker and may take its time; an ``async def`` runs on the reactor
thread and must not block. One that raises, or is slower than it may be, counts nothing: it is
logged, once a minute, and costs no mail.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.core.verdict import Symbol
from mailframe.interfaces import IWorkers
from mailframe.policy.content_view import MessageView
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.loading import LoadError, load

MOST_POINTS = 1000.0
_SECONDS = 10.0
"""That one rule may take."""
_QUIET = 60.0
"""Seconds between two complaints about the same rule."""

RuleFunction = Callable[[MessageView], Any | Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class OwnRule:
    name: str
    """Of its symbol where it returns points: the function's name in capitals."""
    function: RuleFunction

    @property
    def is_async(self) -> bool:
        called = getattr(self.function, "__call__", None)  # noqa: B004 - it may be an object
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(called)


def load_rules(names: Iterable[str]) -> tuple[OwnRule, ...]:
    """Raises ValueError that names what cannot be imported, and why."""
    return tuple(load_rule(name) for name in names)


def load_rule(name: str) -> OwnRule:
    """``package.module:name``. Raises ValueError (a LoadError is one)."""
    found = load(name)
    if not callable(found):
        raise LoadError(f"{name} is no function")
    return OwnRule(_symbol_name(found, name.partition(":")[2]), found)


def named_rules(functions: Iterable[RuleFunction | OwnRule]) -> tuple[OwnRule, ...]:
    return tuple(
        each if isinstance(each, OwnRule) else OwnRule(_symbol_name(each, "OWN_RULE"), each)
        for each in functions
    )


def _symbol_name(function: Any, otherwise: str) -> str:
    name = str(getattr(function, "__name__", otherwise))
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()


def symbol_of(rule: OwnRule, answer: Any, weights: Mapping[str, float]) -> Symbol | None:
    """Raises TypeError or ValueError for what is no answer."""
    if answer is None or answer is False:
        return None
    symbol = answer if isinstance(answer, Symbol) else Symbol(rule.name, float(answer))
    points = float(weights.get(symbol.name, symbol.weight))
    if not math.isfinite(points) or abs(points) > MOST_POINTS:
        raise ValueError(f"{points} points")
    return Symbol(str(symbol.name), points, str(symbol.detail)) if points else None


class OwnRules:
    """All of them, asked one after the other."""

    log = Logger()

    def __init__(
        self,
        rules: Iterable[RuleFunction | OwnRule],
        weights: Mapping[str, float],
        workers: IWorkers,
        clock: IReactorTime,
    ) -> None:
        self.rules = named_rules(rules)
        self._weights = weights
        self._workers = workers
        self._clock = clock
        self._complained: dict[str, float] = {}

    async def look_at(self, view: MessageView) -> tuple[Symbol, ...]:
        """Never raises."""
        found = []
        for rule in self.rules:
            try:
                symbol = symbol_of(rule, await self._answer(rule, view), self._weights)
            except Exception as error:  # noqa: BLE001 - somebody else's code costs no mail
                self._complain(rule, error)
                continue
            if symbol is not None:
                found.append(symbol)
        return tuple(found)

    def _answer(self, rule: OwnRule, view: MessageView) -> Deferred[Any]:
        asked: Deferred[Any] = as_deferred(self._ask(rule, view))
        return asked.addTimeout(_SECONDS, self._clock)

    async def _ask(self, rule: OwnRule, view: MessageView) -> Any:
        if rule.is_async:
            return await result_of(rule.function(view))
        # a plain function may still return something to wait for
        (answer,) = await self._workers.run(_called, rule.function, view)
        return await result_of(answer)

    def _complain(self, rule: OwnRule, error: Exception) -> None:
        now = self._clock.seconds()
        if now - self._complained.get(rule.name, -_QUIET) >= _QUIET:
            self._complained[rule.name] = now
            self.log.error(
                "the rule {rule} failed and counts nothing: {error!r}", rule=rule.name, error=error
            )


def _called(function: RuleFunction, view: MessageView) -> tuple[Any]:
    # in a tuple: a Deferred must not be waited for by the worker's own
    return (function(view),)
