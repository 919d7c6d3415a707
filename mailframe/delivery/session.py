"""One connection to an SMTP or LMTP server: the engine's bytes, patience and flow control.

Every step is a coroutine that returns when the server has answered it or raises HostFailed:
the connection was lost, the server too slow, or it broke the protocol. After that the
session is of no use. What a transaction had learnt by then stands in the transaction.

Content is pulled from the message only as fast as the peer takes it, so a large message
needs the memory of a few chunks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import TlsFacts
from mailframe.delivery.hosts import Host, Timeouts
from mailframe.errors import MailframeError, RemoteProtocolError
from mailframe.interfaces import IMessageSource, IWorkers
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

OpenSource = Callable[[], Awaitable[IMessageSource]]


class HostFailed(MailframeError):
    """This host did not work out; another one may. ``reply`` is what it said where it is
    ``heard``, else our words for what happened."""

    def __init__(self, reply: Reply, detail: str = "", *, heard: bool = False) -> None:
        super().__init__(f"{reply} ({detail})" if detail else str(reply))
        self.reply = reply
        self.detail = detail
        self.heard = heard


class TlsFailed(HostFailed):
    """The handshake failed: plain text may still work, where that is allowed."""


@implementer(IHandshakeListener, IPushProducer)
class SmtpSession(Protocol):
    """``host`` is for texts only: connecting is the dialler's business."""

    def __init__(
        self, clock: IReactorTime, timeouts: Timeouts, host: Host, *, lmtp: bool = False
    ) -> None:
        self.host = host
        self.tls: TlsFacts | None = None
        """None while in plain text."""
        self.messages = 0
        """Transactions begun on this connection."""
        self.on_close: Any = None
        """Called without arguments when the connection ends while nobody waits for it."""
        self._clock = clock
        self._timeouts = timeouts
        self._engine = SmtpClient(lmtp=lmtp)
        self._events: deque[Event] = deque()
        self._waiter: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._trouble: HostFailed | None = None
        self._handshaking = False
        self._paused: Deferred[None] | None = None

    @property
    def extensions(self) -> Extensions:
        return self._engine.extensions

    @property
    def is_lmtp(self) -> bool:
        return self._engine.lmtp

    @property
    def is_usable(self) -> bool:
        """Whether another message may be sent on it."""
        return self._trouble is None and not self._engine.is_closing

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
        self._handshaking = True
        transport: Any = self.transport
        transport.startTLS(creator)
        await self._wait(self._timeouts.handshake, "the TLS handshake")

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

    async def send(self, transaction: Transaction, open_source: OpenSource) -> None:
        """Hand over one message; it is opened only when the server wants content.

        Raises HostFailed with whatever verdicts were heard in ``transaction``."""
        self.messages += 1
        self._engine.begin(transaction)
        self._flush()
        try:
            event = await self._next()
            if isinstance(event, BodyWanted):
                await self._send_content(await result_of(open_source()))
                event = await self._next()
        except HostFailed:
            # What a server says after its last word on the message changes nothing.
            if not transaction.ended:
                raise
            return
        if not isinstance(event, TransactionEnded):
            raise self._out_of_place(event)

    def quit(self) -> None:
        """Say goodbye and close; nobody waits for the answer."""
        if self.is_usable:
            self._engine.quit()
            self._flush()
            self._timer = self._clock.callLater(self._timeouts.quit, self.abort)
        elif self._trouble is None:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._fail(Reply(451, status.BAD_CONNECTION, "The connection was given up"))

    # content

    async def _send_content(self, source: IMessageSource) -> None:
        transport: Any = self.transport
        transport.registerProducer(self, True)
        try:
            while self._engine.wants_body:
                chunk = await source.read(CHUNK)
                self._check()
                if not self._engine.wants_body:
                    break
                if not chunk:
                    self._engine.finish_body()
                    self._flush()
                    break
                self._engine.send_body(chunk)
                self._flush()
                await self._until_taken()
        except HostFailed:
            raise
        except Exception:
            # The message broke off on our side: the server must not take half of it.
            self.abort()
            raise
        finally:
            source.close()
            transport.unregisterProducer()

    async def _until_taken(self) -> None:
        """Wait until the peer has taken what was written, or has refused the rest."""
        while self._engine.wants_body and self._engine.body_blocked:
            await self._wait(self._timeouts.chunk, "a reply to BDAT")
        if self._paused is not None:
            timer = self._clock.callLater(
                self._timeouts.chunk, self._fail_slow, "taking the message"
            )
            try:
                await self._paused
            finally:
                if timer.active():
                    timer.cancel()
            self._check()

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.called:  # called: who waited was cancelled
            paused.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    # waiting

    async def _answer(self, step: Step) -> Reply:
        self._flush()
        event = await self._next()
        if isinstance(event, Answered) and event.step is step:
            return event.reply
        raise self._out_of_place(event)

    async def _next(self) -> Event:
        while not self._events:
            step = self._engine.awaited
            if step is None:
                raise self._out_of_place(None)
            await self._wait(self._timeouts.of(step), f"a reply to {step.value}")
        return self._events.popleft()

    async def _wait(self, seconds: float, what: str) -> None:
        """Until something happens. Raises HostFailed."""
        self._check()
        assert self._waiter is None, "two steps at once"
        self._waiter = Deferred()
        timer = self._clock.callLater(seconds, self._fail_slow, what)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer.active():
                timer.cancel()
        self._check()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.called:
            self._waiter.callback(None)

    def _check(self) -> None:
        if self._trouble is not None and not self._events:
            trouble = self._trouble
            raise type(trouble)(trouble.reply, trouble.detail, heard=trouble.heard)

    def _out_of_place(self, event: Event | None) -> HostFailed:
        self.abort()
        if isinstance(event, Closing):
            return HostFailed(event.reply, heard=True)
        return HostFailed(_protocol_error(self.host), f"unexpected {event}")

    # failing

    def _fail_slow(self, what: str) -> None:
        text = f"{self.host.name} was too slow: timed out waiting for {what}"
        self._fail(Reply(451, status.BAD_CONNECTION, text))

    def _fail(self, reply: Reply, detail: str = "") -> None:
        """Give the connection up; the first reason is the one that counts."""
        if self._trouble is None:
            kind = TlsFailed if self._handshaking else HostFailed
            self._trouble = kind(reply, detail)
            transport: Any = self.transport
            transport.abortConnection()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.resumeProducing()
        self._wake()

    # IProtocol, IHandshakeListener

    def dataReceived(self, data: bytes) -> None:
        heard = self._engine.replies_heard
        try:
            self._events.extend(self._engine.receive(data))
        except RemoteProtocolError as error:
            self._fail(_protocol_error(self.host), str(error))
            return
        self._flush()
        if not self._engine.wants_body:
            self.resumeProducing()
        if self._engine.replies_heard > heard:
            self._wake()
        if self._timer is not None and self._engine.awaited is None:
            transport: Any = self.transport  # 221: the goodbye is answered
            transport.loseConnection()
        if self._engine.is_closing and self._waiter is None and self.on_close is not None:
            self.on_close()

    def handshakeCompleted(self) -> None:
        self._handshaking = False
        self.tls = tls_facts(self.transport, dialled=True)
        self._engine.tls_started()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        what = "closed" if reason.check(ConnectionDone) else "lost"
        step = self._engine.awaited
        where = "the TLS handshake" if self._handshaking else step.value if step else "idling"
        text = f"The connection to {self.host.name} was {what} during {where}"
        self._fail(Reply(451, status.BAD_CONNECTION, text), reason.getErrorMessage())
        if self.on_close is not None:
            self.on_close()

    def _flush(self) -> None:
        output = self._engine.take_output()
        if output and self._trouble is None:
            assert self.transport is not None
            self.transport.write(output)


def _protocol_error(host: Host) -> Reply:
    return Reply(451, status.PROTOCOL_OTHER, f"{host.name} broke the protocol")
