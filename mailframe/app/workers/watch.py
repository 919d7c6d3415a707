"""Workers that live and do nothing: a process whose reactor stands still is killed.

It would keep its leases, its locks and its sessions for ever, and nobody could tell it from one
that works. A machine that is only slow answers in time, or is killed one worker at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.app.workers.child import Child
from mailframe.app.workers.peers import Peers, PeerSilent

SILENT_SECONDS = 60.0
"""Without an answer, and a worker is taken to hang."""
_EVERY = 15.0  # seconds from one look at all of them to the next


class Watch:
    """``crew``: all workers whose process there is, at any time."""

    log = Logger()

    def __init__(self, clock: Any, peers: Peers, crew: Iterable[Child]) -> None:
        self._clock = clock
        self._peers = peers
        self._crew = crew
        self._asked: set[str] = set()
        """Of whom an answer is awaited."""
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        self._timer = self._clock.callLater(_EVERY, self._look)

    def stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self.start()
        for child in self._crew:
            if child.state == "serving" and child.name not in self._asked:
                self._ask(child)

    def _ask(self, child: Child) -> None:
        self._asked.add(child.name)
        answer = self._peers.call(child.name, "status", seconds=SILENT_SECONDS)
        answer.addBoth(self._heard, child)

    def _heard(self, answer: object, child: Child) -> None:
        self._asked.discard(child.name)
        silent = isinstance(answer, Failure) and answer.check(PeerSilent)
        # Who was asked to end meanwhile has its own time for it.
        if silent and child.state == "serving" and self._timer is not None:
            self.log.error(
                "worker {name} has not answered for {seconds:g} s; replaced",
                name=child.name,
                seconds=SILENT_SECONDS,
            )
            child.kill()
