"""One SMTP connection: the transport on one side, engine and session on the other.

Bytes go to the engine, its events to the session, the answers back to the engine, its
output to the transport: once per read, not once per reply. While a decision takes time
nothing else happens; what arrives meanwhile is kept, and from a full buffer on the
transport is paused, as it is while the peer does not read our replies. A peer that has said
much is served in slices, between which others have their turn.

Time is kept lazily: now and then the factory has each connection look at a timestamp; no
command arms a timer, and no connection has one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.errors import INTERNAL_ERROR
from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp.events import ENOUGH, Pause
from mailframe.protocols.smtp.server import SmtpServer
from mailframe.runtime.aio import begun
from mailframe.runtime.tlsfacts import tls_facts
from mailframe.runtime.turns import Slice
from mailframe.servers.smtp_session import Answer, SmtpSession

if TYPE_CHECKING:
    from mailframe.servers.smtp import SmtpFactory

T = TypeVar("T")
Facts = TypeVar("Facts")

_FULL = 65_536  # octets waiting for a decision, from which on nothing more is read
_PROGRESS = 256  # octets of a message at once that show a client in earnest, not a drip
_MUCH = 32_768  # octets of a message at once, after which more may be read at once:
_READ = 262_144  # what costs is every single read, and with this Twisted's TCP does fewer
LINGER = 10.0  # seconds for the last reply to reach a peer that does not read

# What has to come before we work on.
_DECISION = "a decision, or a write to the spool, that is under way"
_ROOM = "room for our output: the peer does not read it"
_SLEEP = "the end of a delay"
_OTHERS = "the turn of others"
_NOTHING = "nothing: it is over"

_TOO_MANY = Reply(421, status.SECURITY_OTHER, "Too many connections, try again later")
_SHUTTING_DOWN = Reply(421, status.SYSTEM_NOT_ACCEPTING, "The server is shutting down")
_TIMED_OUT = Reply(421, status.BAD_CONNECTION, "Timeout, closing the connection")
_TALKS_FIRST = Reply(554, status.INVALID_COMMAND, "You talked before you were greeted")


@implementer(IHandshakeListener, IPushProducer)
class SmtpProtocol(Protocol):
    log = Logger()

    # How each begins. Most stays so in most connections, and takes no room in them.
    _task: Deferred[Any] | None = None
    """A decision, or a write to the spool, that is under way."""
    _sleep: IDelayedCall | None = None
    _others: IDelayedCall | None = None
    """Set while others have their turn."""
    _pumping = False
    _reading = True
    _draining = False
    _closing = ""
    """Why we are closing the connection, once we are."""
    _counted = False
    _greeted = False
    _refusals = 0
    _began = _last_heard = _progress = 0.0

    def __init__(self, factory: SmtpFactory) -> None:
        self._factory = factory
        self._clock = factory.clock
        self._limits = factory.parts.limits
        self._waits_for: set[str] = set()

    # --- beginning ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        factory = self._factory
        transport: Any = self.transport
        peer, host = transport.getPeer(), transport.getHost()
        session = Session(
            id=factory.parts.ids(),
            role=factory.parts.role,
            listener=factory.parts.listener,
            peer_ip=getattr(peer, "host", ""),
            peer_port=getattr(peer, "port", 0),
            local_ip=getattr(host, "host", ""),
        )
        is_tls = ISSLTransport.providedBy(transport)
        self._session = SmtpSession(factory.parts, session)
        self._engine = SmtpServer(
            factory.settings,
            reference=session.id,
            mechanisms=factory.mechanisms,
            can_start_tls=factory.can_start_tls and not is_tls,
            encrypted=is_tls,
        )
        self._begin(transport, session.peer_ip)
        if not is_tls:
            self._approach()

    def _begin(self, transport: Any, peer_ip: str) -> None:
        self._began = self._last_heard = self._progress = self._clock.seconds()
        if hasattr(transport, "setTcpNoDelay") and peer_ip:
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self._factory.open[self] = None
        self._counted = self._factory.connections.enter(peer_ip, self)
        self._factory.watch.begin(self)
        self._session.connected()

    def _approach(self) -> None:
        """Refuse at once, greet, or wait for those who cannot."""
        if not self._counted:
            self._turn_away(_TOO_MANY, "too many connections")
        elif self._factory.is_draining:
            self._turn_away(_SHUTTING_DOWN, "shutdown")
        elif self._limits.greet_delay:
            self._sleep_for(self._limits.greet_delay, self._ask_greeting)
        else:
            self._ask_greeting()

    def _ask_greeting(self) -> None:
        self._run(self._session.greeting(), self._greet, None)
        self._pump()

    def _greet(self, reply: Reply, _: None) -> None:
        if reply.is_positive and self._talked():
            self._session.rejected(ev.Rejected("", _TALKS_FIRST))
            reply = _TALKS_FIRST
        self._greeted = True
        self._engine.greet(reply)

    def _talked(self) -> bool:
        """RFC 5321 section 3.1: a client waits for the greeting."""
        if self._engine.held:
            return True
        get_handle = getattr(self.transport, "getHandle", None)
        handle = get_handle() if get_handle is not None else None
        if not isinstance(handle, socket.socket):
            return False
        try:
            return bool(handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False  # nothing there, or gone: the next read will tell

    def _turn_away(self, reply: Reply, reason: str) -> None:
        self._session.rejected(ev.Rejected("", reply))
        self._engine.greet(reply)
        self._close(reason)

    def handshakeCompleted(self) -> None:
        facts = tls_facts(self.transport)
        if facts is None:
            raise RuntimeError("a handshake without TLS")
        self._session.encrypted(facts)
        self._engine.tls_started(has_bindings=bool(facts.channel_bindings))
        if not self._greeted:
            self._approach()
        self._pump()

    # --- the transport's side -----------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        self._last_heard = self._clock.seconds()
        self._engine.receive(data)
        if self._waits_for:
            self._hold_back()
        else:
            self._pump()

    def _hold_back(self) -> None:
        if self._reading and self._engine.held >= _FULL:
            self._reading = False
            self._transport().pauseProducing()

    def pauseProducing(self) -> None:
        """The peer does not read: stop working for it."""
        self._waits_for.add(_ROOM)
        if self._reading:
            self._reading = False
            self._transport().pauseProducing()

    def resumeProducing(self) -> None:
        self._waits_for.discard(_ROOM)
        self._pump()

    def stopProducing(self) -> None:
        """The connection is gone; connectionLost sees to the rest."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        factory = self._factory
        factory.open.pop(self, None)
        factory.tarpit.leave(self)
        factory.watch.end(self)
        factory.lingering.end(self)
        for timer in (self._sleep, self._others):
            if timer is not None and timer.active():
                timer.cancel()
        was_closing = self._closing
        self._is_over(was_closing or "lost")
        if self._task is not None and not self._session.is_committing:
            self._task.cancel()
        self._session.lost()
        if self._counted:
            factory.connections.leave(self._session.session.peer_ip, self)
        self._session.disconnected(was_closing or "peer closed the connection")
        factory.one_is_gone()

    def _transport(self) -> Any:
        return self.transport

    # --- the engine's side --------------------------------------------------------------

    def _pump(self) -> None:
        """Work off what the engine has until it wants input or somebody has to decide."""
        if self._pumping or self._closing:
            return
        self._pumping = True
        try:
            self._work_off()
        finally:
            self._pumping = False
        self._flush()
        if self._draining and self._task is None and not self._engine.in_body:
            self._say_goodbye(_SHUTTING_DOWN, "shutdown")
        if not self._reading and not self._waits_for:
            self._reading = True
            self._transport().resumeProducing()

    def _work_off(self) -> None:
        engine = self._engine
        turn: Slice | None = None
        is_first = True
        while not self._waits_for:
            event = engine.next_event()
            if isinstance(event, Pause):
                if event is ENOUGH:
                    self._let_others()
                return
            self._dispatch(event)
            if is_first:
                # Who waits for each reply has said no more, and needs no slice.
                is_first = False
            elif engine.held:
                turn = turn or Slice(self._clock)
                if turn.is_over() and not self._waits_for:
                    self._let_others()

    def _let_others(self) -> None:
        self._others = self._clock.callLater(0, self._own_turn)
        self._waits_for.add(_OTHERS)
        self._hold_back()

    def _own_turn(self) -> None:
        self._others = None
        self._waits_for.discard(_OTHERS)
        self._pump()

    def _flush(self) -> None:
        if data := self._engine.take_output():
            self._transport().write(data)

    def _dispatch(self, event: ev.Event) -> None:
        if not isinstance(event, ev.BodyChunk) or len(event.data) >= _PROGRESS:
            self._progress = self._last_heard
        if (hear := _TOLD.get(type(event))) is not None:
            hear(self, event)
            return
        decision: Any = event
        self._run(self._session.decide(decision), self._answer, decision)

    def _chunk(self, event: ev.BodyChunk) -> None:
        if len(event.data) >= _MUCH:
            self._transport().bufferSize = _READ
        self._write(event.data)

    def _dropped(self, event: ev.TransactionDropped) -> None:
        self._session.drop_transaction()

    def _rejected(self, event: ev.Rejected) -> None:
        self._session.rejected(event)
        self._slow_down()

    def _auth_cancelled(self, event: ev.AuthCancelled) -> None:
        self._session.auth_cancelled()

    def _closed(self, event: ev.Close) -> None:
        self._close(event.reason)

    def _answer(self, answer: Answer, event: ev.Decision) -> None:
        engine = self._engine
        if answer is None:
            engine.proceed()
        elif isinstance(answer, bytes):
            engine.challenge(answer)
        else:
            engine.answers_expn = self._session.expn_answered
            engine.send(answer)
            if answer.code >= 400:
                if self._session.costs_time(answer):
                    self._slow_down()
            elif type(event) is ev.StartTls:
                self._start_tls()

    def _start_tls(self) -> None:
        tls = self._factory.parts.tls
        assert tls is not None  # or STARTTLS would have been refused
        self._flush()
        self._transport().startTLS(tls.server())

    def _write(self, data: bytes) -> None:
        try:
            waited = self._session.write(data)
        except Exception:  # noqa: BLE001 - told as a reply, and logged if it is a bug
            self._write_broke(Failure())
            return
        if waited is not None:
            self._wait_for(waited.addErrback(self._write_broke), _go_on, None)

    def _write_broke(self, failure: Failure) -> Failure | None:
        if failure.check(CancelledError):
            return failure
        self._engine.fail_body(self._session.write_failed(failure))
        return None

    # --- waiting ------------------------------------------------------------------------

    def _run(
        self,
        coroutine: Coroutine[Any, Any, T],
        then: Callable[[T, Facts], None],
        facts: Facts,
    ) -> None:
        """Call ``then`` with the result, at once where nobody has to wait."""
        try:
            result = begun(coroutine)
            if type(result) is Deferred:
                self._wait_for(result, then, facts)
            elif not self._closing:
                then(result, facts)  # type: ignore[arg-type]  # it is no Deferred
        except Exception:  # noqa: BLE001 - the peer hears of it
            self._broke(Failure())

    def _wait_for(
        self, task: Deferred[Any], then: Callable[[T, Facts], None], facts: Facts
    ) -> None:
        """Until the result is there the engine stands still."""
        self._task = task
        self._waits_for.add(_DECISION)

        def finished(result: T | Failure) -> None:
            self._task = None
            self._waits_for.discard(_DECISION)
            self._last_heard = self._clock.seconds()  # the wait was ours, not the peer's
            try:
                if isinstance(result, Failure):
                    self._broke(result)
                elif not self._closing:
                    then(result, facts)
                self._pump()
            except Exception:  # noqa: BLE001 - the peer hears of it
                self._broke(Failure())

        task.addBoth(finished)

    def _broke(self, failure: Failure) -> None:
        """The last resort: a bug in this file. The peer may come again."""
        if failure.check(CancelledError) and self._closing:
            return
        self.log.failure("connection given up", failure, session_id=self._session.session.id)
        if not self._closing:
            self._say_goodbye(Reply(421, INTERNAL_ERROR.status, INTERNAL_ERROR.text), "error")

    def _slow_down(self) -> None:
        self._refusals += 1
        if self._closing or self._sleep is not None:
            return
        if delay := self._factory.tarpit.enter(self, self._refusals):
            self._sleep_for(delay, self._wake)

    def _sleep_for(self, seconds: float, then: Callable[[], None]) -> None:
        def awake() -> None:
            self._sleep = None
            self._waits_for.discard(_SLEEP)
            then()

        self._sleep = self._clock.callLater(seconds, awake)
        self._waits_for.add(_SLEEP)

    def _wake(self) -> None:
        self._factory.tarpit.leave(self)
        self._last_heard = self._clock.seconds()
        self._pump()

    # --- time ---------------------------------------------------------------------------

    def look_at_clock(self) -> None:
        """Called now and then (``SmtpFactory.watch``)."""
        if self._closing:
            return
        now = self._clock.seconds()
        limits = self._limits
        idle = limits.data_idle if self._engine.in_body else limits.command_idle
        too_idle = idle and self._task is None and now - self._last_heard >= idle
        too_long = limits.session_time and now - self._began >= limits.session_time
        if (too_idle or too_long) and not self._session.is_committing:
            self._session.rejected(ev.Rejected("", _TIMED_OUT))
            self._say_goodbye(_TIMED_OUT, "timeout")

    def cut_off(self) -> None:
        """The peer has had its time to read our last words."""
        self._factory.lingering.end(self)
        self._transport().abortConnection()

    # --- Guest --------------------------------------------------------------------------

    def waiting_since(self) -> float | None:
        if self._task is not None or self._closing or self._session.session.account is not None:
            return None
        return self._progress

    def make_room(self) -> None:
        self._say_goodbye(_TOO_MANY, "made room for others")

    # --- ending -------------------------------------------------------------------------

    def drain(self) -> None:
        """Finish a message in flight, then say goodbye; at once without one."""
        self._draining = True
        self._pump()

    def _say_goodbye(self, reply: Reply, reason: str) -> None:
        if not self._greeted:
            self._greeted = True
            self._engine.greet(reply)
        else:
            self._engine.say_goodbye(reply, reason)
        self._session.drop_transaction()
        self._close(reason)

    def _close(self, reason: str) -> None:
        """Say what is left and close; a peer that does not read it is cut off later."""
        if self._closing:
            return
        self._is_over(reason)
        self._factory.watch.end(self)
        self._factory.lingering.begin(self)
        transport = self._transport()
        if not self._reading:
            # TLS ends when the client's own goodbye is read (RFC 8446 section 6.1).
            self._reading = True
            transport.resumeProducing()
        # The last words and the end leave together.
        if data := self._engine.take_output():
            transport.write(data)
        transport.unregisterProducer()
        transport.loseConnection()

    def _is_over(self, reason: str) -> None:
        self._closing = reason
        self._waits_for.add(_NOTHING)


_TOLD: dict[type, Callable[[SmtpProtocol, Any], None]] = {
    ev.BodyChunk: SmtpProtocol._chunk,
    ev.TransactionDropped: SmtpProtocol._dropped,
    ev.Rejected: SmtpProtocol._rejected,
    ev.AuthCancelled: SmtpProtocol._auth_cancelled,
    ev.Close: SmtpProtocol._closed,
}
"""What needs no answer; everything else is a decision."""


def _go_on(_: object, __: None) -> None:
    """There is nothing to answer."""
