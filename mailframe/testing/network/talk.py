"""One conversation by lines, for coroutines: what an actor says and hears.

Whatever ends it raises ``Gone``: the peer's end, a reset, or silence for longer than the
actor's patience.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mailframe.runtime.aio import as_deferred


class Gone(Exception):
    """The conversation is over; says why."""


class Talk(Protocol):
    """``patience`` in seconds, for each thing that is waited for."""

    def __init__(self, reactor: Any, patience: float = 60.0) -> None:
        self.reactor = reactor
        self.patience = patience
        self.over = ""
        """Why nothing more will come; empty while it may."""
        self._heard = bytearray()
        self._waiter: Deferred[None] | None = None

    def send(self, data: bytes) -> None:
        if self.over:
            raise Gone(self.over)
        self._transport().write(data)

    async def line(self) -> bytes:
        """The next line, without its CRLF."""
        while (end := self._heard.find(b"\r\n")) < 0:
            await self._more()
        line = bytes(self._heard[:end])
        del self._heard[: end + 2]
        return line

    async def octets(self, number: int) -> bytes:
        while len(self._heard) < number:
            await self._more()
        data = bytes(self._heard[:number])
        del self._heard[:number]
        return data

    async def until(self, mark: bytes) -> bytes:
        """All before the next ``mark``, which is taken as well."""
        start = 0
        while (end := self._heard.find(mark, start)) < 0:
            start = max(0, len(self._heard) - len(mark))
            await self._more()
        data = bytes(self._heard[:end])
        del self._heard[: end + len(mark)]
        return data

    async def pause(self, seconds: float) -> None:
        """Gone where the peer goes meanwhile."""
        await deferLater(self.reactor, seconds)
        if self.over:
            raise Gone(self.over)

    def close(self) -> None:
        """As a polite peer does, after what was sent."""
        if not self.over:
            self._transport().loseConnection()

    def cut(self) -> None:
        if not self.over:
            self._transport().abortConnection()

    async def _more(self) -> None:
        if self.over:
            raise Gone(self.over)
        self._waiter = Deferred()
        timer = self.reactor.callLater(self.patience, self._lose_patience)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer.active():
                timer.cancel()

    def _lose_patience(self) -> None:
        self.cut()
        self._end("silence")

    def _end(self, why: str) -> None:
        self.over = self.over or why
        waiter = self._waiter
        if waiter is not None and not waiter.called:
            waiter.errback(Failure(Gone(self.over)))

    def _transport(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        if self._waiter is not None and not self._waiter.called:
            self._waiter.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end(type(reason.value).__name__)


async def dial(reactor: Any, ip: str, port: int, patience: float) -> Talk:
    """Raises Gone."""
    talk = Talk(reactor, patience)
    try:
        await connectProtocol(TCP4ClientEndpoint(reactor, ip, port, timeout=20), talk)
    except Exception as error:
        raise Gone(f"no connection: {type(error).__name__}") from error
    return talk


class Serving(ServerFactory):
    """``serve(talk)`` is run for every caller; what ends the conversation ends it."""

    noisy = False

    def __init__(
        self, reactor: Any, serve: Callable[[Talk], Coroutine[Any, Any, None]], patience: float
    ) -> None:
        self._reactor = reactor
        self._serve = serve
        self._patience = patience

    def buildProtocol(self, addr: Any) -> Talk:
        return _Served(self._reactor, self._patience, self._serve)


class _Served(Talk):
    def __init__(
        self, reactor: Any, patience: float, serve: Callable[[Talk], Coroutine[Any, Any, None]]
    ) -> None:
        super().__init__(reactor, patience)
        self._serve = serve

    def connectionMade(self) -> None:
        def ended(result: object) -> object:
            self.close()
            return None if isinstance(result, Failure) and result.check(Gone) else result

        as_deferred(self._serve(self)).addBoth(ended)
