"""``App``: what an application wants to be asked, and what it brings.

::

    app = App()

    @app.deliver("orders+{number:int}@shop.test")
    async def order(msg, number):
        await msg.reply(f"Order {number} has arrived.")

Decorators register the function and return it as it was. A plain ``def`` runs on a thread and may
block; an ``async def`` runs on the reactor's thread and must not. Both have a time limit. What
they may answer is in ``verdicts``, what they may ask for in ``hook.PARAMETERS``.

Nothing here runs anything: an App can be imported, looked at and tested anywhere. While a server
runs it, ``server`` is how it reaches out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mailframe.core.units import parse_duration
from mailframe.hooks.hook import (
    DEFAULT_ORDER,
    DEFAULT_SECONDS,
    PARAMETERS,
    AppError,
    Hook,
    Phase,
    wanted_of,
)
from mailframe.hooks.patterns import Pattern, PatternError
from mailframe.hooks.server import Server

F = TypeVar("F", bound=Callable[..., Any])

_STAGES = {
    "connect": Phase.CONNECT,
    "helo": Phase.HELO,
    "auth": Phase.AUTH,
    "mail": Phase.MAIL,
    "recipient": Phase.RCPT,
    "message": Phase.MESSAGE,
}
EVENTS = frozenset(
    {"accept", "refuse", "deliver", "defer", "fail", "bounce", "dead", "login", "fetch", "learn"}
)
"""Steps of the journal that ``@app.on`` can name."""


class App:
    """An application. ``name`` is what logs and metrics call it: that of its module, unless given.

    ``settings`` is a ``mailframe.settings.Section``: what ``[plugins.NAME]`` may say. Its values
    are ``app.settings`` from before the first hook is called.
    """

    def __init__(self, name: str = "", *, settings: type[Any] | None = None) -> None:
        self.name = name
        self.settings_type = settings
        self.settings: Any = (
            settings() if settings is not None and _has_defaults(settings) else None
        )
        self.hooks: list[Hook] = []
        self.parts: list[tuple[Any, Callable[[], Any]]] = []
        """Interface, and what makes the object that provides it."""
        self.server: Server | None = None
        """The server that runs it; None where none does."""

    # ---- mail for it

    def deliver(
        self, pattern: str, *, before_ack: bool = False, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Mail to addresses of that pattern is for this function, once it is safely on disk.

        At least once, with ``msg.id`` the same each time. What it raises has it called again on
        the queue's schedule; when that is over, the message is kept: ``mailframe queue`` shows
        it as dead, and ``queue replay`` tries again. ``before_ack``: called before the 250
        instead, once for each message, while its sender waits; what it raises is the sender's
        451, and no retry is ours.
        """
        found = _pattern(pattern)
        return self._decorator(
            Phase.DELIVER, name, limit, found.names, pattern=found, before_ack=before_ack
        )

    def recipient(
        self, pattern: str, *, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Whose addresses of that pattern are: a directory in one function.

        It answers None (nobody's), True (a mailbox of that name here), the name of the account,
        a dict with any of ``mailbox``, ``quota``, ``folder``, ``forward``, ``keep_copy``, or raises
        ``Reject``, ``Defer``, ``Redirect``.
        """
        found = _pattern(pattern)
        return self._decorator(Phase.RECIPIENT, name, limit, found.names, pattern=found)

    # ---- judging mail

    def policy(
        self, stage: str, *, order: int = DEFAULT_ORDER, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Asked at ``connect``, ``helo``, ``auth``, ``mail``, ``recipient`` or ``message``; it may
        answer any of ``verdicts``."""
        if stage not in _STAGES:
            raise AppError(f"{stage!r} is no stage of a session (known: {', '.join(_STAGES)})")
        return self._decorator(_STAGES[stage], name, limit, order=order)

    def filter(
        self,
        function: F | None = None,
        *,
        order: int = DEFAULT_ORDER,
        limit: str | float = "10s",
        name: str = "",
    ) -> Any:
        """Points for or against a message: a number, ``msg.score(NAME, points, why)``, or None.
        With or without arguments: ``@app.filter`` and ``@app.filter(order=100)``."""
        decorate: Callable[[F], F] = self._decorator(Phase.FILTER, name, limit, order=order)
        return decorate if function is None else decorate(function)

    # ---- when something happens

    def on(self, event: str, *, limit: str | float = "30s", name: str = "") -> Callable[[F], F]:
        """Told of each step of that name in the journal, soon after; mail does not wait for it."""
        if event not in EVENTS:
            raise AppError(f"there is no event {event!r} (known: {', '.join(sorted(EVENTS))})")
        return self._decorator(Phase.EVENT, name, limit, event=event)

    def schedule(self, when: str, *, limit: str | float = "5m", name: str = "") -> Callable[[F], F]:
        """``"0 7 * * 1-5"``, a cron expression in the server's time zone, or ``"every 10m"``."""
        return self._decorator(Phase.SCHEDULE, name, limit, schedule=when)

    def startup(self, function: F) -> F:
        """Before anything else is asked of this application. What it raises keeps a server from
        starting, and a reload from happening."""
        return self._register(Phase.STARTUP, function, "", DEFAULT_SECONDS)

    def shutdown(self, function: F) -> F:
        """When nothing will be asked of it any more: at the server's end, and after a reload when
        the last session that knew it is over."""
        return self._register(Phase.SHUTDOWN, function, "", DEFAULT_SECONDS)

    def selftest(self, function: F) -> F:
        """At ``mailframe check``, before the server starts and before a reload: what it raises says
        why this version must not be used."""
        return self._register(Phase.SELFTEST, function, "", DEFAULT_SECONDS)

    # ---- parts of a server

    def provides(self, interface: Any) -> Callable[[F], F]:
        """The function makes an object that provides ``interface``, one of those in
        ``mailframe.interfaces`` that a plug-in may bring (docs/plugins.md). It is called once for
        each load, with nothing, after ``settings`` are there."""

        def register(function: F) -> F:
            self.parts.append((interface, function))
            return function

        return register

    # ---- how

    def of(self, *phases: Phase) -> list[Hook]:
        """Its hooks in those phases, in the order in which they are asked."""
        found = [hook for hook in self.hooks if hook.phase in phases]
        return sorted(found, key=_rank)

    def _decorator(
        self,
        phase: Phase,
        name: str,
        limit: str | float,
        names: Iterable[str] = (),
        **more: Any,
    ) -> Callable[[F], F]:
        seconds = _seconds(limit)

        def register(function: F) -> F:
            return self._register(phase, function, name, seconds, names, **more)

        return register

    def _register(
        self,
        phase: Phase,
        function: F,
        name: str,
        seconds: float,
        names: Iterable[str] = (),
        **more: Any,
    ) -> F:
        if not callable(function):
            raise AppError(f"{function!r} is no function: was the decorator called without ()?")
        called = name or getattr(function, "__name__", phase.value)
        places = frozenset(names)
        if places & PARAMETERS[phase]:
            taken = ", ".join(sorted(places & PARAMETERS[phase]))
            raise AppError(f"{called}: the pattern may not call a place {taken}")
        wanted = wanted_of(called, function, PARAMETERS[phase] | places)
        hook = Hook(phase, called, function, seconds=seconds, wanted=wanted, **more)
        self._must_be_new(hook)
        self.hooks.append(hook)
        return function

    def _must_be_new(self, hook: Hook) -> None:
        for other in self.hooks:
            if other.phase is not hook.phase or other.pattern is None or hook.pattern is None:
                continue
            if other.pattern.text.casefold() == hook.pattern.text.casefold():
                raise AppError(f"{other.name} and {hook.name} are both for {hook.pattern}")


def _rank(hook: Hook) -> tuple[int, tuple[int, int]]:
    """By order, then the most exact pattern; else as they were written, for sorting is stable."""
    return hook.order, hook.pattern.rank if hook.pattern is not None else (0, 0)


def _pattern(text: str) -> Pattern:
    try:
        return Pattern.parse(text)
    except PatternError as error:
        raise AppError(str(error)) from None


def _seconds(limit: str | float) -> float:
    try:
        seconds = float(parse_duration(limit)) if isinstance(limit, str) else float(limit)
    except ValueError as error:
        raise AppError(f"limit: {error}") from None
    if not 0 < seconds <= 86_400:
        raise AppError(f"limit: {limit!r} is not between 0 and a day")
    return seconds


def _has_defaults(settings: type[Any]) -> bool:
    """Whether it can be made of nothing: an application without required settings works alone."""
    try:
        settings()
    except TypeError:
        return False
    return True
