"""What was logged while a network ran, by whom and when.

A traceback that nobody expected is a finding, so the log of a run is material for its judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from mailframe.testing.network.network import SimNetwork


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log; ``host`` is the machine whose turn it was, "" for nobody's."""

    at: float
    host: str
    event: LogEvent

    @property
    def failure(self) -> Failure | None:
        found = self.event.get("log_failure")
        return found if isinstance(found, Failure) else None

    @property
    def text(self) -> str:
        return formatEvent(self.event)


@implementer(ILogObserver)
class CapturedLog:
    """``SimNetwork.capture_log`` makes it. ``events`` grows while the network runs."""

    def __init__(self, network: SimNetwork) -> None:
        self.events: list[Logged] = []
        self._network = network

    def __call__(self, event: LogEvent) -> None:
        current = self._network.current
        host = current.host.name if current is not None else ""
        self.events.append(Logged(self._network.now, host, event))

    def start(self) -> None:
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """Harmless when called again."""
        globalLogPublisher.removeObserver(self)

    def failures(self) -> list[Logged]:
        """What came with an exception, a Deferred's that nobody looked at included."""
        return [logged for logged in self.events if logged.failure is not None]
