"""One connection to an SMTP or LMTP server: the engine's bytes, patience and flow control.

Every step is a coroutine that returns when the server has answered it or raises HostFailed:
the connection was lost, the server too slow, or it broke the protocol. After that the
session is of no use. What a transaction had learnt by then stands in the transaction.

Content is pulled from the message only as fast as the peer takes it, so a large message
needs the memory of a few chunks; what is in memory already leaves as soon as it is wanted. The
next message may be begun as soon as the content of the one before is on its way (``send``,
``content_sent``); what the server says comes in the order of the messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import TlsFacts
from mailframe.delivery.deadline import Deadline
from mailframe.delivery.host_failed import HostFailed, TlsFailed
from mailframe.delivery.hosts import Host, Timeouts
from mailframe.errors import RemoteProtocolError
from mailframe.interfaces import IMessageSource, IStoredMessage, IWorkers
from mailframe.protocols.sasl import ClientMechanism
from mailframe.protocols.smtp.client import (
    Answered,
    BodyWanted,
    Challenged,
    Closing,
    Event,
    SmtpClient,
    Step,
    TransactionEnded,
)
from mailframe.protocols.smtp.client_extensions import Extensions
from mailframe.protocols.smtp.client_transaction import Transaction
from mailframe.runtime.aio import result_of
from mailframe.runtime.tlsfacts import tls_facts

CHUNK = 65_536
LONGEST_WAIT = 2.0
"""Seconds that a message waits for another on the same connection. A host that is slow is given
more connections; one that has come to a halt keeps what it has."""

_AT_ONCE = 2 * CHUNK
"""Octets of content that may be written in one go."""


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Who waits for what the server says next."""

    told: Deferred[Event]
    content: bytes | None = None
    """That leaves as soon as the server wants it; ``told`` is of what comes after."""
    content_sent: Callable[[], None] = _nothing


@implementer(IHandshakeListener, IPushProducer)
class SmtpSession(Protocol):
    """``host`` is for texts only: connecting is the dialler's business."""

    def __init__(
        self, clock: IReactorTime, timeouts: Timeouts, host: Host, *, lmtp: bool = False
    ) -> None:
        self.host = host
        self.tls: TlsFacts | None = None
        """None while in plain text."""
        self.encryption = "plain text"
        """The same in words."""
        self.messages = 0
        """Transactions begun on this connection."""
        self._rest_ended: Callable[[], None] | None = None
        self._timeouts = timeouts
        self._engine = SmtpClient(lmtp=lmtp)
        self._events: deque[Event] = deque()
        """That nobody waits for yet."""
        self._waiting: deque[_Waiting] = deque()
        """First come, first served."""
        self._deadline = Deadline(clock, self._too_slow)
        self._followers_deadline = Deadline(clock, self._let_follower_go)
        self._trouble: HostFailed | None = None
        self._handshake: Deferred[None] | None = None
        self._leaving = False
        """QUIT was said."""
        self._spoilt = False
        self._held_up = False
        """What was written is not taken yet."""
        self._stirred: Deferred[None] | None = None
        """Fires when content may go on, or has been refused."""

    @property
    def extensions(self) -> Extensions:
        return self._engine.extensions

    @property
    def is_lmtp(self) -> bool:
        return self._engine.lmtp

    @property
    def is_usable(self) -> bool:
        """Whether another message may be sent on it."""
        return self._trouble is None and not self._spoilt and not self._engine.is_closing

    @property
    def may_begin(self) -> bool:
        """Whether ``send`` may be called now: nothing is under way, or the server takes the
        next message while the one before lacks its verdict."""
        return self.is_usable and self._engine.may_begin

    # steps

    async def greeting(self) -> Reply:
        return await self._answer(Step.GREETING)

    async def hello(self, name: str, *, esmtp: bool = True) -> Reply:
        self._engine.hello(name, esmtp=esmtp)
        return await self._answer(Step.HELLO)

    async def starttls(self) -> Reply:
        """Ask for it; go on with ``handshake`` if the reply is positive."""
        self._engine.starttls()
        return await self._answer(Step.STARTTLS)

    async def handshake(self, creator: IOpenSSLClientConnectionCreator) -> None:
        """Raises TlsFailed."""
        self._check()
        done: Deferred[None] = Deferred()
        self._handshake = done
        self._deadline.set(self._timeouts.handshake)
        transport: Any = self.transport
        transport.startTLS(creator)
        await done

    async def login(self, name: str, mechanism: ClientMechanism, workers: IWorkers) -> Reply:
        """AUTH by a fresh mechanism; its arithmetic runs on ``workers``.

        A server that fails to prove that it knows us, where the mechanism asks for that, is
        a HostFailed."""
        self._engine.auth(name, mechanism.initial())
        self._flush()
        try:
            return await self._challenges(mechanism, workers)
        except RemoteProtocolError as error:
            self._fail(_protocol_error(self.host), str(error))
            raise HostFailed(_protocol_error(self.host), str(error)) from None

    async def _challenges(self, mechanism: ClientMechanism, workers: IWorkers) -> Reply:
        while True:
            event = await self._next()
            if isinstance(event, Challenged):
                response = await workers.run(mechanism.respond, event.challenge)
                self._check()
                self._engine.answer_challenge(response)
                self._flush()
            elif isinstance(event, Answered):
                if event.reply.is_positive:
                    mechanism.verify_done()
                return event.reply
            else:
                raise self._out_of_place(event)

    async def send(
        self,
        transaction: Transaction,
        message: IStoredMessage,
        content_sent: Callable[[], None] = _nothing,
    ) -> None:
        """Hand over one message; it is opened only when the server wants content.

        ``content_sent`` is called when all of it is about to leave: a message begun there
        leaves with it, where the session ``may_begin`` one. Raises HostFailed with whatever
        verdicts were heard in ``transaction``."""
        self._check()
        self.messages += 1
        self._engine.begin(transaction)
        if self._waiting:
            self._followers_deadline.set(LONGEST_WAIT)
        self._flush()
        octets = message.octets
        if octets is not None and len(octets) > _AT_ONCE:
            octets = None
        try:
            event = await self._next(octets, content_sent)
            if isinstance(event, BodyWanted):
                source = await result_of(message.open())
                ended = await self._send_content(source, content_sent)
                event = await ended
        except HostFailed:
            # What a server says after its last word on the message changes nothing.
            if not transaction.ended:
                raise
            return
        if not isinstance(event, TransactionEnded):
            raise self._out_of_place(event)

    def rest(self, seconds: float, ended: Callable[[], None]) -> None:
        """Nobody uses it for now; ``ended`` is called after so long, or when the server ends
        the connection."""
        self._rest_ended = ended
        self._deadline.set(seconds)

    def go_on(self) -> None:
        """Somebody uses it again."""
        self._rest_ended = None
        self._deadline.lift()

    def spoil(self) -> None:
        """Who began the last message will not go through with it: nothing more is begun here,
        but a message before it is heard out. ``quit`` then."""
        self._spoilt = True

    def quit(self) -> None:
        """Say goodbye and close; nobody waits for the answer."""
        if self.is_usable:
            self._leaving = True
            self._engine.quit()
            self._flush()
            self._deadline.set(self._timeouts.quit)
        elif self._trouble is None:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._fail(Reply(451, status.BAD_CONNECTION, "The connection was given up"))

    # content

    def _send_at_once(self, waiting: _Waiting, content: bytes) -> None:
        """All of it, and its end."""
        waiting.content = None
        self._waiting.append(waiting)
        if not self._engine.wants_body:
            return  # it was refused in the same breath
        if content:
            self._engine.send_body(content)
        self._engine.finish_body()
        waiting.content_sent()
        self._flush()

    async def _send_content(
        self, source: IMessageSource, content_sent: Callable[[], None]
    ) -> Deferred[Event]:
        """Returns what to wait for next."""
        try:
            await self._feed(source)
        except HostFailed:
            raise
        except Exception:
            # The message broke off on our side: the server must not take half of it.
            self.abort()
            raise
        finally:
            source.close()
        self._check()
        ended = self._next()
        if self._engine.wants_body:
            self._engine.finish_body()
            content_sent()
            self._flush()
        return ended

    async def _feed(self, source: IMessageSource) -> None:
        """All but the end of it. Once a chunk is read ahead: a message that is no longer than
        one leaves in one piece, with its end, and needs no flow control."""
        transport: Any = self.transport
        chunk = await source.read(CHUNK)
        following = chunk and await source.read(CHUNK)
        if not following:
            self._feed_chunk(chunk)
            return
        transport.registerProducer(self, True)
        try:
            while chunk and self._engine.wants_body:
                self._feed_chunk(chunk)
                self._flush()
                await self._until_taken()
                chunk, following = following or await source.read(CHUNK), b""
        finally:
            transport.unregisterProducer()

    def _feed_chunk(self, chunk: bytes) -> None:
        self._check()
        if chunk and self._engine.wants_body:
            self._engine.send_body(chunk)

    async def _until_taken(self) -> None:
        """Wait until the peer has taken what was written, or has refused the rest."""
        while self._engine.wants_body and (self._held_up or self._engine.body_blocked):
            self._stirred = Deferred()
            self._deadline.set(self._timeouts.chunk)
            await self._stirred
            self._check()
            self._set_deadline()

    def pauseProducing(self) -> None:
        self._held_up = True

    def resumeProducing(self) -> None:
        self._held_up = False
        self._stir()

    def stopProducing(self) -> None:
        self.resumeProducing()

    def _stir(self) -> None:
        stirred, self._stirred = self._stirred, None
        if stirred is not None and not stirred.called:  # called: who waited was cancelled
            stirred.callback(None)

    # waiting

    async def _answer(self, step: Step) -> Reply:
        self._flush()
        event = await self._next()
        if isinstance(event, Answered) and event.step is step:
            return event.reply
        raise self._out_of_place(event)

    def _next(
        self, content: bytes | None = None, content_sent: Callable[[], None] = _nothing
    ) -> Deferred[Event]:
        """What the server has to say next to whoever calls. Fails with HostFailed."""
        told: Deferred[Event] = Deferred()
        if self._events:
            told.callback(self._events.popleft())
        elif self._trouble is not None:
            told.errback(self._trouble.again())
        else:
            self._waiting.append(_Waiting(told, content, content_sent))
        return told

    def _tell(self, event: Event) -> None:
        if not self._waiting:
            self._events.append(event)
            return
        self._followers_deadline.lift()
        waiting = self._waiting.popleft()
        if waiting.told.called:
            return  # who waited was cancelled, and nobody else is meant
        if waiting.content is not None and isinstance(event, BodyWanted):
            self._send_at_once(waiting, waiting.content)
        else:
            waiting.told.callback(event)

    def _let_follower_go(self) -> None:
        """The message begun last has waited for long enough for the verdict on the one before:
        other connections may be quicker. It has left no content here."""
        self.spoil()
        text = f"{self.host.name} is slow to take another message"
        told = self._waiting[-1].told
        if not told.called:
            told.errback(HostFailed(Reply(451, status.BAD_CONNECTION, text)))

    def _set_deadline(self) -> None:
        """For the reply that is awaited now."""
        step = self._engine.awaited
        if step is None:
            self._deadline.lift()
        else:
            self._deadline.set(self._timeouts.of(step))

    def _check(self) -> None:
        if self._trouble is not None and not self._events:
            raise self._trouble.again()

    def _out_of_place(self, event: Event | None) -> HostFailed:
        self.abort()
        if isinstance(event, Closing):
            return HostFailed(event.reply, heard=True)
        return HostFailed(_protocol_error(self.host), f"unexpected {event}")

    # failing

    def _too_slow(self) -> None:
        if self._rest_ended is not None:
            self._rest_ended()
            return
        if self._leaving:
            self.abort()
            return
        step = self._engine.awaited
        if self._handshake is not None:
            what = "waiting for the TLS handshake"
        elif self._held_up or step is None:
            what = "waiting for it to take the message"
        else:
            what = f"waiting for a reply to {step.words}"
        text = f"{self.host.name} was too slow: timed out {what}"
        self._fail(Reply(451, status.BAD_CONNECTION, text))

    def _fail(self, reply: Reply, detail: str = "") -> None:
        """Give the connection up; the first reason is the one that counts."""
        handshake, self._handshake = self._handshake, None
        if self._trouble is None:
            kind = HostFailed if handshake is None else TlsFailed
            self._trouble = kind(reply, detail)
            transport: Any = self.transport
            transport.abortConnection()
        self._deadline.clear()
        self._followers_deadline.clear()
        self._held_up = False
        self._stir()
        if handshake is not None and not handshake.called:
            handshake.errback(self._trouble.again())
        while self._waiting:
            told = self._waiting.popleft().told
            if not told.called:
                told.errback(self._trouble.again())

    # IProtocol, IHandshakeListener

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            # What is written is whole: nothing more will come to fill a packet with.
            self.transport.setTcpNoDelay(True)
        self._set_deadline()

    def dataReceived(self, data: bytes) -> None:
        heard = self._engine.replies_heard
        try:
            events = self._engine.receive(data)
        except RemoteProtocolError as error:
            self._fail(_protocol_error(self.host), str(error))
            return
        if self._engine.replies_heard > heard:
            self._set_deadline()
        self._flush()
        for event in events:
            self._tell(event)
        if self._engine.replies_heard > heard:
            self._stir()
        if self._leaving and self._engine.awaited is None:
            transport: Any = self.transport  # 221: the goodbye is answered
            transport.loseConnection()
        if self._engine.is_closing and self._rest_ended is not None:
            self._rest_ended()

    def handshakeCompleted(self) -> None:
        self.tls = tls_facts(self.transport, dialled=True)
        self.encryption = str(self.tls or self.encryption)
        self._engine.tls_started()
        self._set_deadline()
        handshake, self._handshake = self._handshake, None
        if handshake is not None and not handshake.called:
            handshake.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        what = "closed" if reason.check(ConnectionDone) else "lost"
        step = self._engine.awaited
        where = "idling" if step is None else step.words
        if self._handshake is not None:
            where = "the TLS handshake"
        text = f"The connection to {self.host.name} was {what} during {where}"
        self._fail(Reply(451, status.BAD_CONNECTION, text), reason.getErrorMessage())
        if self._rest_ended is not None:
            self._rest_ended()

    def _flush(self) -> None:
        output = self._engine.take_output()
        if output and self._trouble is None:
            assert self.transport is not None
            self.transport.write(output)
            if not self._deadline.is_set:
                self._set_deadline()


def _protocol_error(host: Host) -> Reply:
    return Reply(451, status.PROTOCOL_OTHER, f"{host.name} broke the protocol")
