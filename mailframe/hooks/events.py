"""``@app.on``: hooks that hear of steps in the journal, after they have happened.

Each hook hears its steps one after another, in their order; hooks do not wait for each other.
What one raises is logged, and the step is not told again. A hook that sends mail when mail is
accepted hears of that mail, too: it must know its own (``event.detail["reason"]`` is ``written
here``), or write for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.errors import Failure
from mailframe.hooks.calling import Caller
from mailframe.hooks.live import LiveHook
from mailframe.interfaces import IEventSink, Step
from mailframe.runtime.aio import as_deferred


@implementer(IEventSink)
class HookSink:
    name = "apps"
    log = Logger()

    def __init__(self, hooks: Sequence[LiveHook], caller: Caller) -> None:
        self._caller = caller
        self._hooks: dict[str, list[LiveHook]] = {}
        for hook in hooks:
            self._hooks.setdefault(hook.hook.event, []).append(hook)

    def hear(self, steps: tuple[Step, ...]) -> Deferred[None] | None:
        heard: dict[LiveHook, list[Step]] = {}
        for step in steps:
            for hook in self._hooks.get(step.step, ()):
                heard.setdefault(hook, []).append(step)
        if not heard:
            return None
        told = [as_deferred(self._tell(hook, its)) for hook, its in heard.items()]
        return DeferredList(told, consumeErrors=True).addCallback(lambda _: None)

    async def _tell(self, hook: LiveHook, steps: Sequence[Step]) -> None:
        missed = 0
        for step in steps:
            try:
                await self._caller.call(hook, step.id, {"event": step})
            except Failure:  # logged, where it was no refusal to call it at all
                missed += 1
        if missed:
            self.log.warn(
                "{hook} did not take {missed} of {count} events",
                hook=hook.name,
                missed=missed,
                count=len(steps),
            )
