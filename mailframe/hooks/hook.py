"""A decorated function, and all that is known of it before it is ever called."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mailframe.errors import MailframeError
from mailframe.hooks.patterns import Pattern

DEFAULT_ORDER = 500
DEFAULT_SECONDS = 30.0


class AppError(MailframeError):
    """The application cannot be used, or was used wrongly; says which function, and what is wrong
    with it."""


class Phase(enum.Enum):
    """When a hook is asked."""

    CONNECT = "connect"
    """``@app.policy("connect")``"""
    HELO = "helo"
    """``@app.policy("helo")``"""
    AUTH = "auth"
    """``@app.policy("auth")``"""
    MAIL = "mail"
    """``@app.policy("mail")``"""
    RCPT = "rcpt"
    """``@app.policy("recipient")``: may this come in?"""
    MESSAGE = "message"
    """``@app.policy("message")``"""
    FILTER = "filter"
    """``@app.filter``"""
    RECIPIENT = "recipient"
    """``@app.recipient``: whose address is it?"""
    DELIVER = "deliver"
    """``@app.deliver``"""
    EVENT = "event"
    """``@app.on``"""
    SCHEDULE = "schedule"
    """``@app.schedule``"""
    STARTUP = "startup"
    """``@app.startup``"""
    SHUTDOWN = "shutdown"
    """``@app.shutdown``"""
    SELFTEST = "selftest"
    """``@app.selftest``"""


PARAMETERS: dict[Phase, frozenset[str]] = {
    Phase.CONNECT: frozenset({"session"}),
    Phase.HELO: frozenset({"session"}),
    Phase.AUTH: frozenset({"session"}),
    Phase.MAIL: frozenset({"session", "envelope"}),
    Phase.RCPT: frozenset({"session", "envelope", "recipient", "address", "resolution"}),
    Phase.MESSAGE: frozenset({"msg", "session", "envelope"}),
    Phase.FILTER: frozenset({"msg", "session", "envelope"}),
    Phase.RECIPIENT: frozenset({"address"}),
    Phase.DELIVER: frozenset({"msg", "address", "envelope"}),
    Phase.EVENT: frozenset({"event"}),
    Phase.SCHEDULE: frozenset(),
    Phase.STARTUP: frozenset(),
    Phase.SHUTDOWN: frozenset(),
    Phase.SELFTEST: frozenset(),
}
"""What each may ask for, by the names of its parameters, in any order; ``**kwargs`` gets all.

``msg``         the message (``Message``); before the 250 at most ``limits.message_size`` of it
``address``     the one that the hook was asked about, with its detail (``Address``)
``session``     the connection, to be read only (``Session``)
``envelope``    reverse-path and the recipients so far; in ``@app.deliver``, those of this batch
                (``Envelope``)
``recipient``   the one of this RCPT (``Recipient``)
``resolution``  what its address means here: a mailbox, an alias, somewhere else (``Resolution``)
``event``       the step of the journal: ``time``, ``id``, ``step``, ``result``, ``session``,
                ``detail`` (``Step``)

A function that asks for anything else is an AppError when it is decorated.
"""


@dataclass(frozen=True, slots=True)
class Hook:
    """A decorated function of an application."""

    phase: Phase
    """When it is asked."""
    name: str
    """``shop.order``: of the application and of the function. In logs, traces and metrics."""
    function: Callable[..., Any]
    """As it was decorated."""
    pattern: Pattern | None = None
    """Of ``recipient`` and ``deliver``: which addresses it is for."""
    order: int = DEFAULT_ORDER
    """Of hooks in one phase, the lowest first."""
    seconds: float = DEFAULT_SECONDS
    """How long it may take."""
    before_ack: bool = False
    """Of ``deliver``: asked before the 250, and may refuse."""
    event: str = ""
    """Of ``event``: the journal's step."""
    schedule: str = ""
    """Of ``schedule``: a cron expression, or ``every 10m``."""
    wanted: tuple[str, ...] = ()
    """Names of the parameters that it takes."""

    @property
    def is_async(self) -> bool:
        """Runs on the reactor's thread and must not block; others have a thread."""
        called = getattr(self.function, "__call__", None)  # noqa: B004 - it may be an object
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(called)

    @property
    def place(self) -> str:
        """``path:line`` of the function; empty where it has none."""
        return place_of(self.function)


def place_of(function: Callable[..., Any]) -> str:
    """``path:line``; empty for what has none, such as an object that can be called."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def wanted_of(
    name: str, function: Callable[..., Any], available: Collection[str]
) -> tuple[str, ...]:
    """Which of the ``available`` names the function takes. Raises AppError for one that it wants
    and nobody has."""
    wanted = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            return tuple(available)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise AppError(f"{name}: parameters are given by name, {parameter} cannot be")
        if parameter.name in available:
            wanted.append(parameter.name)
        elif parameter.default is parameter.empty:
            known = ", ".join(sorted(available)) or "nothing"
            raise AppError(f"{name}: nobody has {parameter.name!r} for it (there is: {known})")
    return tuple(wanted)
