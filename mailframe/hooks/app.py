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

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

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

if TYPE_CHECKING:
    from mailframe.hooks.drafts import Person
    from mailframe.hooks.outgoing import Letter

_LONGEST_DELIVERY = 2400.0

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

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
    """An application: what it wants to be asked, put there by decorators.

    ::

        app = App()

        @app.deliver("orders+{number:int}@shop.test")
        async def order(msg, number):
            await msg.reply(f"Order {number} has arrived.")

    A decorated function stays as it was. It gets what it asks for by the names of its parameters
    (``hook.PARAMETERS``), and answers with a verdict (``hooks.verdicts``) or nothing. A plain
    ``def`` runs on a thread and may block; an ``async def`` runs on the reactor's thread, must not
    block, and may await Deferreds, and what is asyncio's through ``mailframe.aio``.

    ``name`` is what logs, metrics and ``[plugins.NAME]`` call it: that of its module, unless given.
    ``settings`` is a ``mailframe.settings.Section``: what ``[plugins.NAME]`` may say.

    Of all decorators: ``limit`` is how long one call may take, ``"30s"``, ``"5m"`` or a number of
    seconds, a day at most. When it is over the call counts as failed; an ``async def`` is
    cancelled, a thread goes on and is not waited for. ``name`` is what logs call the hook, that of
    the function unless given. Of several hooks that are asked the same, the one with the lowest
    ``order`` is asked first, then as they are written. AppError, when the module is imported, for
    whatever cannot be used.
    """

    def __init__(self, name: str = "", *, settings: type[Any] | None = None) -> None:
        self.name = name
        """Empty until it is loaded, unless given."""
        self.settings_type = settings
        """The section; None: it has no settings."""
        self.settings: Any = (
            settings() if settings is not None and _has_defaults(settings) else None
        )
        """Its values, from before the first hook is called. Until then those of a section that
        requires none, else None."""
        self.hooks: list[Hook] = []
        """In the order in which they were written."""
        self.parts: list[tuple[Any, Callable[[], Any]]] = []
        """Interface, and what makes the object that provides it."""
        self.server: Server | None = None
        """The server that runs it; None where none does."""
        self._runner: object = None
        self._reactor_thread = 0

    # ---- mail for it

    def deliver(
        self, pattern: str, *, before_ack: bool = False, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Mail to addresses of that pattern is for this function, once it is safely on disk.

        At least once, with ``msg.id`` the same each time: note it where twice would harm. The
        function may answer any of ``hooks.verdicts``; nothing means that the message is delivered,
        and only then does the mail leave that it wrote with ``msg.reply``, ``msg.forward`` and
        ``msg.send``. What it raises otherwise has it called again on the queue's schedule; when
        that is over, the message is kept and not bounced: ``mailframe queue`` shows it as dead, and
        ``mailframe queue replay`` tries again. Where several patterns match, the most exact is
        meant.

        ``before_ack``: called before the 250 instead, once for each message and address, while the
        sender waits; what it raises is the sender's 451, and it is the sender who tries again.

        ``limit`` is 40 minutes at most: the queue gives an attempt up after an hour, part of which
        it may have waited for its turn.
        """
        found = _pattern(pattern)
        if _seconds(limit) > _LONGEST_DELIVERY:
            raise AppError(f"limit: {limit!r} is too long for a deliver hook (40m at most)")
        return self._decorator(
            Phase.DELIVER, name, limit, found.names, pattern=found, before_ack=before_ack
        )

    def recipient(
        self, pattern: str, *, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Whose addresses of that pattern are: a directory in one function, asked at RCPT and
        wherever the server wants to know who is at an address.

        It answers None or False (nobody's: 550 5.1.1 unless somebody else knows the address), True
        (there is a mailbox of that name here), the name of the account, or a dict with any of:

        ``mailbox``    the account, an address or a name at the same domain; True: its own
        ``quota``      octets, or ``"2G"``; 0 for no limit
        ``folder``     to file into; empty for the INBOX
        ``forward``    an address or several: mail goes on to them instead
        ``keep_copy``  True: and into the mailbox as well

        It may return or raise ``Reject``, ``Defer`` (the peer hears that), ``Redirect`` (as
        ``forward``), ``Quarantine`` (as ``folder``). Anything else that it raises or answers is
        451.
        """
        found = _pattern(pattern)
        return self._decorator(Phase.RECIPIENT, name, limit, found.names, pattern=found)

    # ---- judging mail

    def policy(
        self, stage: str, *, order: int = DEFAULT_ORDER, limit: str | float = "30s", name: str = ""
    ) -> Callable[[F], F]:
        """Asked whether mail may come in, at one stage of a session:

        ``"connect"``    before the greeting
        ``"helo"``       after HELO, EHLO or LHLO
        ``"auth"``       after a login
        ``"mail"``       at MAIL, with the reverse-path
        ``"recipient"``  at each RCPT, after the address was resolved
        ``"message"``    when the message is there, before it is kept

        It may answer any of ``hooks.verdicts``; nothing, where it has no objection.
        """
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
        """Points for or against a message, asked before it is kept, and added up by the ``content``
        policy with those of everybody else.

        It answers a number (towards spam; below zero for ham), ``msg.score(NAME, points, why)``, a
        list of such scores, None, or a verdict. With or without arguments: ``@app.filter`` and
        ``@app.filter(order=100)``.
        """
        decorate: Callable[[F], F] = self._decorator(Phase.FILTER, name, limit, order=order)
        return decorate if function is None else decorate(function)

    # ---- when something happens

    def on(self, event: str, *, limit: str | float = "30s", name: str = "") -> Callable[[F], F]:
        """Told of each step of that name in the journal (one of ``EVENTS``), soon after; mail does
        not wait for it. Steps come one after another; what the function raises is logged, and that
        step is not told again. One that sends mail when mail is accepted hears of its own:
        ``event.detail["reason"]`` is ``written here`` then."""
        if event not in EVENTS:
            raise AppError(f"there is no event {event!r} (known: {', '.join(sorted(EVENTS))})")
        return self._decorator(Phase.EVENT, name, limit, event=event)

    def schedule(self, when: str, *, limit: str | float = "5m", name: str = "") -> Callable[[F], F]:
        """Called when its time has come: ``"0 7 * * 1-5"``, a cron expression of five fields in the
        server's time zone, or ``"every 10m"``, counted from the start of the server, a second at
        least and a year at most. A run that is due while the one before still goes on is left out,
        and so is one that was missed. Of several workers one does it."""
        from mailframe.hooks.schedules import parse_schedule

        try:
            parse_schedule(when)
        except ValueError as error:
            raise AppError(str(error)) from None
        return self._decorator(Phase.SCHEDULE, name, limit, schedule=when)

    def startup(self, function: F) -> F:
        """Called once, before anything else is asked of this application. What it raises keeps a
        server from starting, and a reload from happening. While a server starts nothing can be
        sent from here: nobody is at home yet."""
        return self._register(Phase.STARTUP, function, "", DEFAULT_SECONDS)

    def shutdown(self, function: F) -> F:
        """Called once when nothing will be asked of it any more: at the server's end, and after a
        reload when the last session that knew it is over. What it raises is logged."""
        return self._register(Phase.SHUTDOWN, function, "", DEFAULT_SECONDS)

    def selftest(self, function: F) -> F:
        """Called at ``mailframe check``, before the server starts and before a reload: what it
        raises says why this version must not be used."""
        return self._register(Phase.SELFTEST, function, "", DEFAULT_SECONDS)

    # ---- sending

    def send(
        self,
        *,
        to: Person | Iterable[Person] = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        from_: Person | None = None,
        attachments: Any = (),
        cc: Person | Iterable[Person] = (),
        bcc: Person | Iterable[Person] = (),
        reply_to: Person | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a new message, now, whatever becomes of the hook that this is called in;
        ``msg.send`` waits until the hook has succeeded.

        ``to``, ``cc``, ``bcc``  ``"ann@example.org"``, ``"Ann <ann@example.org>"``, an Address, or
                               a list of these; at least one of all
        ``from_``               the author; None: the postmaster
        ``reply_to``            where people are to answer
        ``text``, ``html``      the words; with ``html`` alone the text is made of it
        ``attachments``         a list of bytes, ``pathlib.Path`` (read at once, which blocks),
                               ``(name, content)``, ``(name, content, media type)``, or attachments
                               of a message
        ``headers``             further fields, name -> value; not those that are made here

        On the reactor's thread, as in an ``async def``, it returns a Deferred of the queue id,
        which fires when the message is spooled and need not be awaited. On any other thread it
        returns the queue id itself, when it is spooled. Raises AppError where no server runs the
        application, ValueError and TypeError for arguments of which no mail can be made, OSError
        for a file that cannot be read, TransientFailure and PermanentFailure as ``IOutbox.post``.
        """
        server = self.server
        if server is None:
            raise AppError("app.send: no server runs this application")
        from mailframe.hooks.replies import new_mail

        letter = new_mail(
            server,
            to=to,
            subject=subject,
            text=text,
            html=html,
            from_=from_,
            attachments=attachments,
            cc=cc,
            bcc=bcc,
            reply_to=reply_to,
            headers=headers,
        )
        if threading.get_ident() == self._reactor_thread:
            return _posted(server, letter)
        from twisted.internet.threads import blockingCallFromThread

        post: Callable[[], Any] = partial(_posted, server, letter)
        return blockingCallFromThread(server.clock, post)

    def in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        """What blocks, from an ``async def``: ``rows = await app.in_thread(load, path)``. The
        thread is one of those that plain functions run on. Raises AppError where no server runs
        the application."""
        if self.server is None:
            raise AppError("app.in_thread: no server runs this application")
        called: Deferred[T] = self.server.workers.run(function, *args, **kwargs)
        return called

    def attach(self, server: Server, runner: object) -> None:
        """For who runs it: ``runner`` has it run on ``server`` from now on. Called on the reactor's
        thread."""
        self.server, self._runner = server, runner
        self._reactor_thread = threading.get_ident()

    def detach(self, runner: object) -> None:
        """For who runs it: ``runner`` is done with it; harmless where another one has taken
        over."""
        if self._runner is runner:
            self.server = self._runner = None

    # ---- parts of a server

    def provides(self, interface: Any) -> Callable[[F], F]:
        """The function makes an object that provides ``interface``, one of those in
        ``mailframe.interfaces`` that a plug-in may bring (``docs/plugins.md`` has them). It is
        called once for each load, with nothing, after ``settings`` are there."""

        def register(function: F) -> F:
            self.parts.append((interface, function))
            return function

        return register

    # ---- how

    def of(self, *phases: Phase) -> list[Hook]:
        """For who runs it: its hooks in those phases, in the order in which they are asked."""
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
            if other.pattern.shape == hook.pattern.shape:
                raise AppError(f"{other.name} and {hook.name} are both for {hook.pattern}")


def _posted(server: Server, letter: Letter) -> Deferred[str]:
    from mailframe.hooks.outgoing import posted
    from mailframe.runtime.aio import as_deferred

    return as_deferred(posted(server.outbox, letter))


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
