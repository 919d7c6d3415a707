"""One connection to a milter: the engine on a transport, with time limits.

``open_milter`` connects and negotiates; then ``ask`` sends a command and waits for the filter's
answer. Whatever goes wrong, a refused connection, silence, garbage, too much, a connection that
breaks, is MilterFailed with what it was, and the connection is over. A filter may ask for more
time by ``progress``, ten times its limit at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from mailframe.errors import RemoteProtocolError
from mailframe.protocols.milter import Command, MilterEngine
from mailframe.protocols.milter import events as ev
from mailframe.scanners.paced import PacedConnection

_INET = re.compile(r"inet6?:(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@\s]+)):(\d{1,5})", re.ASCII)
_UNIX = re.compile(r"(?:unix|local):(/\S+)")
_CLOSED = "closed"
_MOST_CHANGES = 2_000
_LARGEST_BODY = 64 << 20  # of a replaced body, which is held in memory until the commit
_MOST_PATIENCE = 10  # times the timeout


class MilterFailed(Exception):
    """The filter cannot be asked; the text says why, for the journal."""


@dataclass(frozen=True, slots=True)
class MilterAddress:
    """Where a filter listens: ``path`` of a Unix socket, or ``host`` and ``port``."""

    text: str
    """As in the configuration; it names the filter in journal and log."""
    host: str = ""
    port: int = 0
    path: str = ""

    def endpoint(self, reactor: object, timeout: float) -> IStreamClientEndpoint:
        if self.path:
            return UNIXClientEndpoint(reactor, self.path, timeout=timeout)
        return HostnameEndpoint(reactor, self.host, self.port, timeout=timeout)


def parse_milter(text: str) -> MilterAddress:
    """``inet:HOST:PORT`` (an IPv6 address in brackets) or ``unix:PATH``. ValueError for others."""
    if match := _UNIX.fullmatch(text):
        return MilterAddress(text, path=match[1])
    match = _INET.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not inet:HOST:PORT or unix:/PATH")
    port = int(match[3])
    if not 1 <= port <= 65_535:
        raise ValueError(f"{text!r}: {port} is no port")
    return MilterAddress(text, host=match[1] or match[2], port=port)


@dataclass(slots=True)
class Said:
    """The answer to one command."""

    verdict: ev.Verdict = ev.Decision.CONTINUE
    changes: list[ev.Modification] = field(default_factory=list)
    """All but the pieces of a new body."""
    body: bytearray | None = None
    """The new body; None: it stays."""


class MilterConnection(PacedConnection):
    """``timeout`` in seconds for each answer."""

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        super().__init__()
        self.engine = MilterEngine()
        self.failure = ""
        """Why it is over; empty while it can be asked."""
        self._clock = clock
        self._timeout = timeout
        self._said = Said()
        self._waiting: Deferred[Said] | None = None
        self._timer: IDelayedCall | None = None
        self._patience_ends = 0.0

    # what the policy calls

    async def negotiate(self) -> None:
        """Raises MilterFailed."""
        await self._exchange(self.engine.negotiate())

    async def ask(
        self, command: Command, data: bytes = b"", macros: Mapping[str, str] | None = None
    ) -> Said:
        """CONTINUE where the filter does not want the command, or does not answer it. Raises
        MilterFailed."""
        if self.failure:
            raise MilterFailed(self.failure)
        octets = self.engine.send(command, data, macros)
        return await self._exchange(octets) if octets else Said()

    def tell(self, command: Command) -> None:
        """ABORT or QUIT, which have no answer."""
        if not self.failure:
            self.write(self.engine.send(command))

    def close(self) -> None:
        """Say goodbye; may be called in any state, also while an answer is awaited."""
        if self.engine.version and not self.failure:
            self.write(self.engine.send(Command.QUIT))
        self._end(_CLOSED)

    # the exchange

    async def _exchange(self, octets: bytes) -> Said:
        self._said = Said()
        await self._until_drained()
        self.write(octets)
        if not self.engine.is_waiting:
            return self._said
        self._waiting = Deferred()
        self._patience_ends = self._clock.seconds() + self._timeout * _MOST_PATIENCE
        self._wait_on()
        try:
            return await self._waiting
        except CancelledError:
            # the session ended, and the answer would be taken for that of the next question
            self._end("given up")
            raise

    async def _until_drained(self) -> None:
        """Commands without answers are sent as fast as the filter reads them."""
        try:
            await self.drained().addTimeout(self._timeout, self._clock)
        except TimeoutError:
            self._end(f"it read nothing for {self._timeout:g} s")
        if self.failure:
            raise MilterFailed(self.failure)

    def _wait_on(self) -> None:
        """Start the time for the answer, or start it again."""
        self._stop_timer()
        left = min(self._timeout, self._patience_ends - self._clock.seconds())
        late = f"no answer within {self._timeout:g} s"
        self._timer = self._clock.callLater(max(0.0, left), self._end, late)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _end(self, why: str) -> None:
        if self.failure:
            return
        self.failure = why
        self._stop_timer()
        if why == _CLOSED:
            self.leave()
        else:
            self.abort()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.errback(MilterFailed(why))

    # Protocol

    def dataReceived(self, data: bytes) -> None:
        if self.failure:
            return
        try:
            for event in self.engine.receive(data):
                self._heard(event)
        except (RemoteProtocolError, MilterFailed) as error:
            self._end(f"it broke the protocol: {error}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end("it closed the connection")
        super().connectionLost(reason)

    def _heard(self, event: ev.Event) -> None:
        if isinstance(event, ev.Progress):
            self._wait_on()
        elif isinstance(event, (ev.Decision, ev.Refuse)):
            self._said.verdict = event
            self._answered()
        elif isinstance(event, ev.Negotiated):
            self._answered()
        else:
            self._changed(event)

    def _changed(self, event: ev.Modification) -> None:
        said = self._said
        if isinstance(event, ev.ReplaceBody):
            said.body = said.body if said.body is not None else bytearray()
            said.body += event.chunk
            if len(said.body) > _LARGEST_BODY:
                raise MilterFailed(f"a new body of more than {_LARGEST_BODY} octets")
        elif len(said.changes) >= _MOST_CHANGES:
            raise MilterFailed(f"more than {_MOST_CHANGES} changes")
        else:
            said.changes.append(event)
        self._wait_on()

    def _answered(self) -> None:
        self._stop_timer()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(self._said)


class _Dialler(Factory):
    noisy = False

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout

    def buildProtocol(self, addr: IAddress | None) -> MilterConnection:
        return MilterConnection(self._clock, self._timeout)


async def open_milter(
    endpoint: IStreamClientEndpoint, clock: IReactorTime, timeout: float
) -> MilterConnection:
    """Connected and agreed. Raises MilterFailed."""
    connecting: Deferred[Any] = endpoint.connect(_Dialler(clock, timeout))
    try:
        connection: MilterConnection = await connecting.addTimeout(timeout, clock)
    except TimeoutError:
        raise MilterFailed(f"no connection within {timeout:g} s") from None
    except (ConnectError, OSError) as error:
        raise MilterFailed(f"no connection: {error}") from None
    await connection.negotiate()
    return connection
