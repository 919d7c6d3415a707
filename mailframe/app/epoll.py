"""Twisted's reactor for epoll, with less around each event.

For everything that happens at a socket Twisted's remembers whose socket it is, for messages that
somebody may write with ``twisted.python.log``, as nobody here does. That takes a twentieth of all
that it costs to receive a message.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger


class Reactor(EPollReactor):
    log = Logger()

    _poller: Any
    _selectables: dict[int, Any]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def doPoll(self, timeout: float | None) -> None:
        """Wait for ``timeout`` seconds, or until something happens, and see to it."""
        seconds = -1 if timeout is None else timeout
        try:
            events = self._poller.poll(seconds, len(self._selectables))
        except InterruptedError:
            return
        for descriptor, event in events:
            selectable = self._selectables.get(descriptor)
            if selectable is None:
                continue  # one of those before has closed it
            try:
                self._doReadOrWrite(selectable, descriptor, event)  # type: ignore[no-untyped-call]
            except Exception:  # noqa: BLE001 - the others go on
                self.log.failure("a connection failed while it was ending")

    doIteration = doPoll
