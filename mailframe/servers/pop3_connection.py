"""One POP3 connection: bytes, TLS, time and flow control around a conversation.

The engine is asked for one event at a time. While one is served, or while the client does not
take what it was sent, no further one is drawn: replies stay in order, and neither pipelined
commands nor slow readers make memory grow. About ``_HIGH_WATER`` octets wait on either side,
plus one chunk of a message or one listing.

Whatever ends the session, it is finished once, after what was under way has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.session import Role, Session, TlsFacts
from mailframe.protocols.pop3 import Pause, State
from mailframe.runtime.tlsfacts import tls_facts
from mailframe.servers.pop3_conversation import Conversation, PeerGone

if TYPE_CHECKING:
    from mailframe.servers.pop3 import Pop3Factory

_HIGH_WATER = 64 * 1024
_TOO_MANY = b"-ERR [SYS/TEMP] Too many connections, please try again later\r\n"


@implementer(IHandshakeListener, IHalfCloseableProtocol, IPushProducer)
class Pop3Connection(Protocol):
    log = Logger()
    transport: Any
    session: Session

    def __init__(self, factory: Pop3Factory) -> None:
        self._factory = factory
        self._clock = factory.clock
        self._conversation: Conversation | None = None
        self._timer: IDelayedCall | None = None
        self._started = self._active = self._clock.seconds()
        self._room: Deferred[None] | None = None
        self._handshake: Deferred[TlsFacts | None] | None = None
        self._busy = False  # an event is being served
        self._pumping = False
        self._writable = True
        self._reading = True
        self._input_ended = False
        self._draining = False
        self._closing = False
        self._lost = False
        self._reason = ""

    # From the transport

    def connectionMade(self) -> None:
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.session = Session(
            id=self._factory.ids(),
            role=Role.POP3,
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
        self._conversation.engine.receive(data)
        self._pump()

    def readConnectionLost(self) -> None:
        """The client says no more but may still listen, as ``printf ... | nc`` does."""
        self._input_ended = True
        self._pump()

    def writeConnectionLost(self) -> None:
        """Nothing to do: a failing write is followed by ``connectionLost``."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_timer()
        if self._lost:  # it was turned away at the door
            return
        self._lost = self._closing = True
        self._reason = self._reason or reason.getErrorMessage()
        busy = self._busy
        self._wake_up(Failure(PeerGone()))
        if not busy:  # otherwise when that is served
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

    def drain(self) -> None:
        """Take leave as soon as nothing is under way."""
        self._draining = True
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
        assert tls is not None, "STLS was offered without a certificate"
        self._flush()
        waiting: Deferred[TlsFacts | None] = Deferred()
        self._handshake = waiting
        self.transport.startTLS(tls.server())
        return await waiting

    def close(self, reason: str) -> None:
        self._flush()
        self._closing = True
        self._reason = reason
        self._cancel_timer()
        self._timer = self._clock.callLater(self._factory.limits.linger, self.abort, reason)
        # A transport does not close while somebody may produce more.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        self._reason = reason
        self._closing = True
        self.transport.abortConnection()

    # Drawing events

    def _turn_away(self) -> None:
        self._closing = self._lost = True
        self.transport.write(_TOO_MANY)
        self.transport.loseConnection()
        # With implicit TLS that waits for a handshake which may never come.
        linger = self._factory.limits.linger
        self._timer = self._clock.callLater(linger, self.transport.abortConnection)

    def _greet(self, facts: TlsFacts | None) -> None:
        self._conversation = Conversation(self._factory, self.session, self, facts)
        self._pump()

    def _pump(self) -> None:
        """Draw and serve events until one has to wait, the client has to, or none is left."""
        if self._pumping or self._conversation is None:
            return
        self._pumping = True
        try:
            while not self._busy and self._writable and not self._closing:
                if not self._next(self._conversation):
                    break
        except Exception:  # noqa: BLE001 - a bug of the engine must not keep the connection
            self.log.failure("POP3 session {session}: unexpected error", session=self.session.id)
            self.abort("internal error")
        finally:
            self._pumping = False
        self._flush()
        self._throttle()

    def _next(self, conversation: Conversation) -> bool:
        """Serve one event; False when there is none."""
        engine = conversation.engine
        if self._draining:
            engine.shut_down()
        event = engine.next_event()
        if event is Pause.OUTPUT:
            self._flush()
            return True
        if isinstance(event, Pause):
            if self._input_ended and not self._closing:
                self.close("client closed")
            return False
        self._busy = True
        served = self._factory.tasks.start(conversation.serve(event), f"POP3 {self.session.id}")
        served.addCallback(self._served)
        return True

    def _served(self, _: None) -> None:
        self._busy = False
        if self._lost:
            self._finish()
        else:
            self._pump()

    def _flush(self) -> None:
        if self._conversation is not None and not self._lost:
            output = self._conversation.engine.take_output()
            if output:
                self.transport.write(output)

    def _throttle(self) -> None:
        """Stop reading while too much input waits."""
        if self._conversation is None or self._closing:
            return
        reading = self._conversation.engine.held < _HIGH_WATER
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
            self._conversation.finish(), f"end of POP3 {self.session.id}"
        )
        done.addCallback(lambda _: self._factory.left(self, self._reason))

    # Time

    def _deadline(self) -> float:
        limits = self._factory.limits
        deadline = min(self._active + limits.idle, self._started + limits.session)
        if self.session.account is None:
            deadline = min(deadline, self._started + limits.login)
        return deadline

    def _tick(self) -> None:
        """One timer a connection: it looks at the clock and sets itself anew."""
        self._timer = None
        remaining = self._deadline() - self._clock.seconds()
        if self._conversation is not None and self._conversation.engine.state is State.UPDATE:
            remaining = self._factory.limits.linger  # the server is at work, not the client idle
        if remaining > 0:
            self._timer = self._clock.callLater(remaining, self._tick)
        else:
            # RFC 1939 section 3: no UPDATE state, and no reply.
            self.abort("timeout")

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
