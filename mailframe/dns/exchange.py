"""One question to one server, by UDP or by TCP.

A UDP question goes out from a socket of its own, so that the kernel draws a fresh source
port each time (RFC 5452 section 9.2), and the socket is connected, so that the kernel drops
what comes from elsewhere and tells at once when nobody listens. Datagrams that do not
answer the question are ignored until the time is over.

Reading an answer and going on with what waited for it takes a third of a millisecond, and hundreds
may come at once: ``turns`` has them take their turn.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, connectionDone
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from mailframe.dns.wire import Answer, Question
from mailframe.errors import DnsTemporary
from mailframe.runtime.turns import InTurn

Server = tuple[str, int]

_MAX_HELD = 8
"""Datagrams of one question that wait for their turn; what comes beyond is lost, as UDP may."""


def ask_by_udp(
    reactor: Any, turns: InTurn, server: Server, question: Question, timeout: float
) -> Deferred[Answer]:
    """``timeout`` in seconds. Fails with DnsTemporary."""
    asking = _UdpQuestion(reactor, turns, server, question, timeout)
    interface = "::" if ipaddress.ip_address(server[0]).version == 6 else ""
    try:
        reactor.listenUDP(0, asking, interface=interface, maxPacketSize=65_535)
    except (CannotListenError, OSError) as error:
        asking.fail(f"no UDP socket: {error}")
    return asking.result


class _UdpQuestion(DatagramProtocol):
    noisy = False

    def __init__(
        self, reactor: Any, turns: InTurn, server: Server, question: Question, timeout: float
    ) -> None:
        self._turns = turns
        self._held = 0
        self._server = server
        self._question = question
        self.result: Deferred[Answer] = Deferred(lambda _: self._close())
        self._timer = reactor.callLater(timeout, self.fail, "no answer in time")

    def startProtocol(self) -> None:
        assert self.transport is not None
        try:
            self.transport.connect(*self._server)
            self.transport.write(self._question.encode(), None)
        except OSError as error:
            self.fail(str(error))

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if addr[:2] != self._server or self._held >= _MAX_HELD:
            return
        self._held += 1
        self._turns.run(lambda: self._hear(datagram))

    def _hear(self, datagram: bytes) -> None:
        self._held -= 1
        if self.result.called:
            return
        answer = self._question.read(datagram)
        if answer is not None:
            self._close()
            self.result.callback(answer)

    def connectionRefused(self) -> None:
        self.fail("nobody listens there")

    def stopProtocol(self) -> None:
        # epoll reports a refusal as the end of the socket, without ``connectionRefused``.
        self.fail("nobody listens there")

    def fail(self, why: str) -> None:
        if not self.result.called:
            self._close()
            self.result.errback(DnsTemporary(f"{self._server[0]} port {self._server[1]}: {why}"))

    def _close(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self.transport is not None:
            self.transport.stopListening()


def ask_by_tcp(
    reactor: Any, turns: InTurn, server: Server, question: Question, timeout: float
) -> Deferred[Answer]:
    """RFC 7766; ``timeout`` in seconds for all of it. Fails with DnsTemporary."""
    asking = _TcpQuestion(turns, question)
    version = ipaddress.ip_address(server[0]).version
    make = TCP6ClientEndpoint if version == 6 else TCP4ClientEndpoint
    connecting = connectProtocol(make(reactor, *server, timeout=timeout), asking)
    connecting.addErrback(lambda failure: asking.give_up(failure.getErrorMessage()))
    timer = reactor.callLater(timeout, asking.give_up, "no answer in time")

    def done(result: Answer | Failure) -> Answer | Failure:
        if timer.active():
            timer.cancel()
        connecting.cancel()
        asking.close()
        return result

    return asking.result.addBoth(done)


class _TcpQuestion(Int16StringReceiver):
    def __init__(self, turns: InTurn, question: Question) -> None:
        self._turns = turns
        self._question = question
        self._is_answered = False
        self.result: Deferred[Answer] = Deferred()

    def connectionMade(self) -> None:
        self.sendString(self._question.encode())  # type: ignore[no-untyped-call]

    def stringReceived(self, string: bytes) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._turns.run(lambda: self._hear(string))

    def _hear(self, string: bytes) -> None:
        if self.result.called:
            return
        answer = self._question.read(string)
        if answer is None:
            self.give_up("a malformed answer")
        else:
            self.result.callback(answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._is_answered:
            self.give_up("the connection was closed")

    def give_up(self, why: str) -> None:
        if not self.result.called:
            self.result.errback(DnsTemporary(f"TCP: {why}"))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
