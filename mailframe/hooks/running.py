"""One version of all applications, as the server asks it.

``Running`` takes the hooks out of the applications and puts each where it is asked: policies and
filters before the commit, a source of accounts at RCPT, a courier after the commit, a sink of
events, a calendar. A session asks one Running from its greeting to its end; mail that is in the
queue is delivered by whichever is the newest.

``start`` may refuse (AppError) and then leaves nothing behind; ``stop`` may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from mailframe.errors import Failure
from mailframe.hooks.accounts import AppAccounts
from mailframe.hooks.addresses import Addresses
from mailframe.hooks.app import App
from mailframe.hooks.before_ack import BeforeAckHook, OneAtATime
from mailframe.hooks.calendar import Calendar
from mailframe.hooks.calling import Caller
from mailframe.hooks.courier import AppCourier
from mailframe.hooks.events import HookSink
from mailframe.hooks.filters import FilterHook
from mailframe.hooks.hook import AppError, Phase
from mailframe.hooks.live import LiveHook, Meter
from mailframe.hooks.policies import HOOKS_OF, Bookkeeping, WishesPolicy
from mailframe.hooks.reading import MEMORY, Reading
from mailframe.hooks.room import Room
from mailframe.hooks.server import Server
from mailframe.hooks.verdicts import Defer, Reject
from mailframe.interfaces import IAccountSource, ICourier, IEventSink, IPolicy

__all__ = ["Meter", "Running"]

STOP_SECONDS = 20.0
"""That calls under way have to end."""


class Running:
    log = Logger()

    policies: list[IPolicy]
    """Where ``apps`` stands in the order; by default after all others."""
    filters: list[IPolicy]
    """Before whoever adds up points."""
    sources: list[IAccountSource]
    courier: ICourier
    sink: IEventSink | None

    def __init__(
        self,
        apps: Sequence[App],
        server: Server,
        *,
        authserv_id: str,
        meter: Meter | None = None,
        memory: int = MEMORY,
    ) -> None:
        """``authserv_id``: ours in Authentication-Results. ``memory``: octets of messages that are
        in memory for hooks at once. Raises AppError where applications contradict each other."""
        self.apps = tuple(apps)
        self.server = server
        self._authserv_id = authserv_id
        self._caller = Caller(server.workers, server.clock, server.journal)
        self._room = Room(server.clock, "memory for messages", memory)
        self._hooks = _live(self.apps, server, meter)
        self._started: list[App] = []
        self._is_running = False
        self._build()

    async def selftest(self) -> None:
        """Raises AppError that says what failed; nothing needs to have been started."""
        for hook in self._of(Phase.SELFTEST):
            await self._must_succeed(hook)

    async def start(self) -> None:
        """From now on hooks may be asked. Raises AppError where a startup hook fails; what others
        had begun is shut down again then."""
        self._is_running = True
        try:
            for app in self.apps:
                app.attach(self.server, self)
                self._started.append(app)
                for hook in self._of(Phase.STARTUP, app=app):
                    await self._must_succeed(hook)
        except BaseException:
            await self.stop()
            raise
        self._calendar.start()

    def retire(self) -> None:
        """Another version has taken over: begin nothing any more that no session asks for."""
        self._calendar.stop()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Waits for what is under way, ``seconds`` at most, and has the applications shut down.
        What goes wrong there is logged. Harmless when it was not started."""
        self._calendar.stop()
        if not self._is_running:
            return
        self._is_running = False
        if not await self._caller.idle(seconds):
            self.log.warn("calls of applications are still under way, and are not waited for")
        for app in reversed(self._started):
            for hook in self._of(Phase.SHUTDOWN, app=app):
                try:
                    await self._caller.call(hook, "", {})
                except Failure as failure:
                    why = failure.detail or str(failure)
                    self.log.error("{hook} failed at shutdown: {why}", hook=hook.name, why=why)
            app.detach(self)
        self._started.clear()

    def report(self) -> list[dict[str, Any]]:
        """Each hook, as ``mailframe plugins`` shows it: members are names, numbers and texts."""
        return [_report(hook) for hook in self._hooks]

    # ---- put together

    def _build(self) -> None:
        deliver = self._of(Phase.DELIVER)
        reading = Reading(self.server, self._room)
        takers = Addresses(deliver)
        # Of two that are equally exact, mail is for the one that takes it.
        at_home = [*deliver, *self._of(Phase.RECIPIENT)]
        self.filters = self._filters(reading)
        self.policies = self._policies(reading, deliver, takers)
        self.sources = [AppAccounts(Addresses(at_home), self._caller)] if at_home else []
        self.courier = AppCourier(takers, self._caller, self.server, self._room, self._authserv_id)
        events = self._of(Phase.EVENT)
        self.sink = HookSink(events, self._caller) if events else None
        self._calendar = Calendar(self._of(Phase.SCHEDULE), self._caller, self.server)

    def _filters(self, reading: Reading) -> list[IPolicy]:
        hooks = self._of(Phase.FILTER)
        filters: list[IPolicy] = [FilterHook(hook, self._caller, reading) for hook in hooks]
        return [Bookkeeping(reading), *filters] if filters else []

    def _policies(
        self, reading: Reading, deliver: Sequence[LiveHook], takers: Addresses
    ) -> list[IPolicy]:
        judges: list[IPolicy] = [
            HOOKS_OF[hook.hook.phase](hook, self._caller, reading) for hook in self._of(*HOOKS_OF)
        ]
        # Last: what they do cannot be undone, should another hook refuse the message.
        at_once: list[IPolicy] = [
            BeforeAckHook(hook, takers, self._caller, reading, self.server)
            for hook in deliver
            if hook.hook.before_ack
        ]
        if at_once:
            at_once.insert(0, OneAtATime(takers))
        if judges:
            judges.insert(0, WishesPolicy())
        both = [*judges, *at_once]
        return [Bookkeeping(reading), *both] if both else []

    def _of(self, *phases: Phase, app: App | None = None) -> list[LiveHook]:
        """In the order in which they are asked."""
        found = [
            hook
            for hook in self._hooks
            if hook.hook.phase in phases and (app is None or hook.app is app)
        ]
        return sorted(found, key=lambda hook: hook.hook.order)

    async def _must_succeed(self, hook: LiveHook) -> None:
        try:
            decision = await self._caller.call(hook, "", {})
        except Failure as failure:
            raise AppError(failure.detail or f"{hook.name}: {failure}") from failure
        if isinstance(decision, Reject | Defer):
            raise AppError(f"{hook.name}: {decision.reason}")


def _live(apps: Sequence[App], server: Server, meter: Meter | None) -> list[LiveHook]:
    """The hooks of all applications, each under a name of its own."""
    taken: dict[str, int] = {}
    live = []
    for app in apps:
        for hook in app.hooks:
            name = f"{name_of(app)}.{hook.name}"
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:
                name = f"{name}#{taken[name]}"
            live.append(LiveHook(hook, name, app, server.clock, meter))
    return live


def name_of(app: App) -> str:
    """Its own, else that of the module in which it is written."""
    if app.name:
        return app.name
    modules = (getattr(hook.function, "__module__", None) for hook in app.hooks)
    return next((name.rpartition(".")[2] for name in modules if name), "app")


def _report(hook: LiveHook) -> dict[str, Any]:
    known, figures = hook.hook, hook.figures
    return {
        "hook": hook.name,
        "phase": known.phase.value,
        "order": known.order,
        "place": known.place,
        "for": str(known.pattern or known.event or known.schedule),
        "runs": "reactor" if hook.is_async else "thread",
        "limit": known.seconds,
        "calls": figures.calls,
        "failures": figures.failures,
        "timeouts": figures.timeouts,
        "busy": figures.busy,
        "blocked": figures.blocked,
        "hung": figures.hung,
        "seconds": round(figures.seconds, 3),
        "longest": round(figures.longest, 3),
    }
