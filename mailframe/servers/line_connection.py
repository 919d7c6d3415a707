"""One connection of POP3 or IMAP: bytes, TLS, time and flow control around a conversation.

The conversation is asked for one piece of work at a time. While that is done, or while the
client does not take what it was sent, no further one is drawn: replies stay in order, and
neither pipelined commands nor slow readers make memory grow. About ``HIGH_WATER`` octets wait
on either side, plus one piece of a message or one listing.

Whatever ends the session, it is finished once, after what was under way has ended. What
differs by protocol (how to begin, how long to wait, what to say at the door) is a method of
the subclass.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.ids import IdSource
from mailframe.core.session import Role, Session, TlsFacts
from mailframe.interfaces import IJournal, ITlsContexts
from mailframe.runtime.aio import Background
from mailframe.runtime.outgoing import can_send_now
from mailframe.runtime.tlsfacts import tls_facts
from mailframe.runtime.turns import Slice
from mailframe.servers.channel import Nothing, PeerGone, Talk

HIGH_WATER = 64 * 1024
_LEAVE_SECONDS = 3.0
"""How long a server that stops waits for clients to close: those that sleep would keep it."""


class Limits(Protocol):
    @property
    def login(self) -> float: ...

    @property
    def linger(self) -> float: ...


class Owner(Protocol):
    """The factory, as far as a connection needs it."""

    listener: str
    ids: IdSource
    journal: IJournal
    clock: IReactorTime
    tls: ITlsContexts | None
    tasks: Background

    @property
    def limits(self) -> Limits: ...

    def entered(self, connection: Any) -> bool: ...

    def left(self, connection: Any, reason: str) -> None: ...


OwnerT = TypeVar("OwnerT", bound=Owner)
TalkT = TypeVar("TalkT", bound=Talk)


@implementer(IHandshakeListener, IHalfCloseableProtocol, IPushProducer)
class LineConnection(protocol.Protocol, Generic[OwnerT, TalkT]):
    log = Logger()
    transport: Any
    session: Session

    role: Role
    name: str
    """For logs."""
    _write: Callable[[bytes], None]
    too_many: bytes
    """What those hear who are one too many."""

    def __init__(self, factory: OwnerT) -> None:
        self._factory = factory
        self._clock = factory.clock
        self._conversation: TalkT | None = None
        self._timer: IDelayedCall | None = None
        self._woken: IDelayedCall | None = None
        self._others = False
        """There is more to do at once, but it is others' turn."""
        self._started = self._active = self._clock.seconds()
        self._room: Deferred[None] | None = None
        self._handshake: Deferred[TlsFacts | None] | None = None
        self._busy = False  # something is being done
        self._pumping = False
        self._writable = True
        self._reading = True
        self._input_ended = False
        self._leaving = ""
        self._closing = False
        self._lost = False
        self._reason = ""

    # What differs by protocol

    @abc.abstractmethod
    def _converse(self, facts: TlsFacts | None) -> TalkT: ...

    @abc.abstractmethod
    def _remaining(self) -> float:
        """Seconds until the client's time is up."""

    @abc.abstractmethod
    def _time_is_up(self) -> None: ...

    # From the transport

    def connectionMade(self) -> None:
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.session = Session(
            id=self._factory.ids(),
            role=self.role,
            listener=self._factory.listener,
            peer_ip=getattr(peer, "host", ""),
            peer_port=getattr(peer, "port", 0),
            local_ip=getattr(host, "host", ""),
        )
        if not self._factory.entered(self):
            self._turn_away()
            return
        if ITCPTransport.providedBy(self.transport):
            # Otherwise a reply to a client that waits for each may wait for the client's ACK.
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        sends_now = can_send_now(self.transport)
        self._write = self.transport.write_now if sends_now else self.transport.write
        self._timer = self._clock.callLater(self._factory.limits.login, self._tick)
        if not ISSLTransport.providedBy(self.transport):
            self._greet(None)

    def handshakeCompleted(self) -> None:
        if self._closing:
            return
        facts = self.session.tls = tls_facts(self.transport)
        if facts is not None:
            self._factory.journal.record(
                self.session.id, "tls", version=facts.version, cipher=facts.cipher
            )
        if self._conversation is None:
            self._greet(facts)
        elif self._handshake is not None:
            waiting, self._handshake = self._handshake, None
            waiting.callback(facts)

    def dataReceived(self, data: bytes) -> None:
        if self._conversation is None or self._closing:
            return
        self._active = self._clock.seconds()
        self._hear(data)
        self._pump()

    def readConnectionLost(self) -> None:
        """The client says no more but may still listen, as ``printf ... | nc`` does."""
        self._input_ended = True
        self._pump()

    def writeConnectionLost(self) -> None:
        """Nothing to do: a failing write is followed by ``connectionLost``."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_timer()
        woken, self._woken = self._woken, None
        if woken is not None:
            woken.cancel()
        if self._lost:  # it was turned away at the door
            return
        self._lost = self._closing = True
        self._reason = self._reason or reason.getErrorMessage()
        busy = self._busy
        self._wake_up(Failure(PeerGone()))
        if not busy:  # otherwise when that is done
            self._finish()

    def pauseProducing(self) -> None:
        self._writable = False

    def resumeProducing(self) -> None:
        self._writable = True
        self._active = self._clock.seconds()
        if self._room is not None:
            waiting, self._room = self._room, None
            waiting.callback(None)
        self._pump()

    def stopProducing(self) -> None:
        self._writable = False

    # From the factory

    def drain(self, text: str = "The server is shutting down") -> None:
        """Take leave as soon as nothing is under way."""
        self._leaving = text
        if self._conversation is None:
            self.abort("server shuts down")
        else:
            self._pump()

    # From the counter of connections

    def waiting_since(self) -> float | None:
        """Until the login nothing counts as progress: it has a deadline of its own."""
        if self._busy or self._closing or self.session.account is not None:
            return None
        return self._started

    def make_room(self) -> None:
        self._reason = "made room for others"
        self.drain()

    # The conversation's channel

    async def room(self) -> None:
        self._flush()
        while not self._writable and not self._lost:
            self._room = Deferred()
            await self._room
        if self._lost:
            raise PeerGone

    async def start_tls(self) -> TlsFacts | None:
        tls = self._factory.tls
        assert tls is not None, "TLS was offered without a certificate"
        self._flush()
        waiting: Deferred[TlsFacts | None] = Deferred()
        self._handshake = waiting
        self.transport.startTLS(tls.server())
        return await waiting

    def close(self, reason: str) -> None:
        self._flush()
        self._closing = True
        self._reason = self._reason or reason
        self._cancel_timer()
        linger = self._factory.limits.linger
        if self._leaving:
            linger = min(linger, _LEAVE_SECONDS)
        self._timer = self._clock.callLater(linger, self.abort, reason)
        if not self._reading and not self._input_ended:
            # TLS ends when the client's own goodbye is read (RFC 8446 section 6.1).
            self._reading = True
            self.transport.resumeProducing()
        # A transport does not close while somebody may produce more.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        self._reason = reason
        self._closing = True
        self.transport.abortConnection()

    def wake(self) -> None:
        """There may be something to do: look in the next turn of the reactor, once for all
        that happens until then."""
        if self._woken is None and not self._closing:
            self._woken = self._clock.callLater(0, self._look)

    def _look(self) -> None:
        self._woken = None
        self._others = False
        self._pump()

    # Drawing work

    def _turn_away(self) -> None:
        self._closing = self._lost = True
        self.transport.write(self.too_many)
        self.transport.loseConnection()
        # With implicit TLS that waits for a handshake which may never come.
        linger = self._factory.limits.linger
        self._timer = self._clock.callLater(linger, self.transport.abortConnection)

    def _greet(self, facts: TlsFacts | None) -> None:
        self._conversation = self._converse(facts)
        self._pump()

    def _pump(self) -> None:
        """Do one thing after the other until one takes time, the client has to take what it
        was sent, it is others' turn, or nothing is left."""
        if self._pumping or self._conversation is None or self._others:
            return
        self._pumping = True
        turn = Slice(self._clock)
        try:
            while not (self._busy or not self._writable or self._closing):
                if not self._next(self._conversation):
                    break
                if turn.is_over():
                    self._others = True
                    self.wake()
                    break
        except Exception:  # noqa: BLE001 - a bug of the engine must not keep the connection
            self.log.failure(
                "{name} session {session}: unexpected error",
                name=self.name,
                session=self.session.id,
            )
            self.abort("internal error")
        finally:
            self._pumping = False
        self._flush()
        self._throttle()

    def _next(self, conversation: TalkT) -> bool:
        """Do one thing; False when there is none."""
        if self._leaving:
            conversation.shut_down(self._leaving)
        work = conversation.draw()
        if work is Nothing.DONE:
            return True
        if work is Nothing.FLUSH:
            self._flush()
            return True
        if work is Nothing.WAIT:
            if self._input_ended and not self._closing and not self._input_waits():
                self.close("client closed")
            return False
        self._busy = True
        done = self._factory.tasks.start(work, f"{self.name} {self.session.id}")
        done.addCallback(self._done)
        return True

    def _done(self, _: None) -> None:
        self._busy = False
        if self._lost:
            self._finish()
        else:
            self._pump()

    def _hear(self, data: bytes) -> None:
        """Octets have come."""
        assert self._conversation is not None
        self._conversation.engine.receive(data)

    def _say(self, data: bytes) -> None:
        """Octets shall go."""
        self._write(data)

    def _input_waits(self) -> bool:
        """Whether there is input that the engine has not got yet."""
        return False

    def _flush(self) -> None:
        if self._conversation is not None and not self._lost:
            output = self._conversation.engine.take_output()
            if output:
                self._say(output)

    def _throttle(self) -> None:
        """Stop reading while too much input waits."""
        if self._conversation is None or self._closing:
            return
        held = self._conversation.engine.held
        reading = held < HIGH_WATER and not self._others and not self._input_waits()
        if reading is not self._reading and not self._input_ended:
            self._reading = reading
            (self.transport.resumeProducing if reading else self.transport.pauseProducing)()

    def _wake_up(self, failure: Failure) -> None:
        """Unwind whatever waits for the peer."""
        room, self._room = self._room, None
        handshake, self._handshake = self._handshake, None
        for waiting in (room, handshake):
            if waiting is not None:
                waiting.errback(failure)

    def _finish(self) -> None:
        if self._conversation is None:
            self._factory.left(self, self._reason)
            return
        done = self._factory.tasks.start(
            self._conversation.finish(), f"end of {self.name} {self.session.id}"
        )
        done.addCallback(lambda _: self._factory.left(self, self._reason))

    # Time

    def _tick(self) -> None:
        """One timer a connection: it looks at the clock and sets itself anew."""
        self._timer = None
        remaining = self._remaining()
        if remaining > 0:
            self._timer = self._clock.callLater(remaining, self._tick)
        else:
            self._time_is_up()

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
