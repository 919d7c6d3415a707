"""Delivery into programs, with a process that is played by hand. Real ones: tests/interop."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery import PipeCourier
from mailframe.delivery.sysexits import reply_for
from mailframe.interfaces import Batch, ICourier
from tests.unit.delivery.delivery_world import Stored

HOP = "pipe:/usr/bin/filter --to 'a b'"


class Process:
    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.stdin = b""
        self.closed = False
        self.signals: list[str] = []
        self.producer: Any = None
        self.dead = False

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        assert descriptor == 0
        assert not self.closed
        self.stdin += data

    def closeStdin(self) -> None:
        self.closed = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)
        if self.dead:
            raise ProcessExitedAlready

    def end(self, status: int = 0, signal: int | None = None) -> None:
        self.dead = True
        reason = ProcessDone(0) if not status and not signal else ProcessTerminated(status, signal)
        if signal:
            reason.exitCode = None  # type: ignore[union-attr]
        self.protocol.processEnded(Failure(reason))


class Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[tuple[Any, ...]] = []
        self.processes: list[Process] = []
        self.trouble: OSError | None = None

    def spawnProcess(
        self, protocol: Any, executable: str, args: Any, env: Any, path: str
    ) -> Process:
        if self.trouble is not None:
            raise self.trouble
        self.spawned.append((executable, args, env))
        process = Process(protocol)
        protocol.makeConnection(process)
        self.processes.append(process)
        return process


class Delivery:
    def __init__(self, *to: str, message: Stored | None = None, hop: str = HOP) -> None:
        self.reactor = Reactor()
        courier = PipeCourier(self.reactor, timeout=60, max_output=100, can_run=lambda path: True)
        verifyObject(ICourier, courier)
        recipients = tuple(Recipient(Address.parse(one)) for one in to or ("bea@dest.example",))
        self.results: list[Any] = []
        sending = courier.deliver(Batch(message or Stored(), recipients, hop, 1))
        sending.addBoth(self.results.append)

    @property
    def process(self) -> Process:
        return self.reactor.processes[-1]

    @property
    def reports(self) -> list[DeliveryReport]:
        return self.results[0]  # type: ignore[no-any-return]


def test_command_environment_and_input() -> None:
    delivery = Delivery('"; rm -rf /"@dest.example')
    path, args, env = delivery.reactor.spawned[0]
    assert path == "/usr/bin/filter"
    assert args == ["/usr/bin/filter", "--to", "a b"]
    assert env["RECIPIENT"] == '"; rm -rf /"@dest.example'
    assert env["LOCAL_PART"] == "; rm -rf /"
    assert env["SENDER"] == "ann@sender.example"
    assert env["QUEUE_ID"] == "TESTQUEUEID1"
    assert not {key for key in env if key.startswith(("MAILFRAME", "HOME"))}
    assert delivery.process.stdin == (
        b'Return-Path: <ann@sender.example>\nDelivered-To: "; rm -rf /"@dest.example\n'
        b"Subject: hello\n\nHello.\n.dot\n"
    )
    assert delivery.process.closed
    delivery.process.end()
    (report,) = delivery.reports
    assert report.outcome is Outcome.DELIVERED
    assert delivery.reactor.getDelayedCalls() == []


def test_one_run_for_each_recipient() -> None:
    delivery = Delivery("a@dest.example", "b@dest.example")
    assert len(delivery.reactor.processes) == 1
    delivery.process.protocol.errReceived(b"no such person\nmore\n")
    delivery.process.end(67)
    delivery.process.end()
    one, other = delivery.reports
    assert (one.outcome, str(one.reply)) == (Outcome.FAILED, "550 5.1.1 no such person")
    assert other.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((0, 250), (1, 451), (64, 451), (65, 550), (67, 550), (70, 451), (75, 451)),
        *((77, 550), (78, 451), (100, 451), (111, 451), (126, 451), (127, 451), (255, 451)),
    ],
)
def test_exit_statuses(status: int, code: int) -> None:
    assert reply_for(status, "").code == code


@pytest.mark.parametrize("output", ["", "\n\n", "a\0b\rc", "\udcff", "x" * 5000, "5.1.1\r\n"])
def test_any_output_makes_a_reply(output: str) -> None:
    reply_for(75, output)


def test_a_signal_defers() -> None:
    delivery = Delivery()
    delivery.process.end(0, signal=9)
    assert delivery.reports[0].outcome is Outcome.DEFERRED


def test_a_program_that_cannot_start_defers() -> None:
    reactor = Reactor()
    reactor.trouble = OSError("no more processes")
    results: list[Any] = []
    courier = PipeCourier(reactor, can_run=lambda path: True)
    recipient = Recipient(Address.parse("bea@dest.example"))
    courier.deliver(Batch(Stored(), (recipient,), HOP, 1)).addBoth(results.append)
    assert results[0][0].outcome is Outcome.DEFERRED


def test_a_program_that_takes_too_long_is_ended() -> None:
    delivery = Delivery()
    delivery.reactor.advance(61)
    assert delivery.process.signals == ["TERM"]
    delivery.reactor.advance(6)
    assert delivery.process.signals == ["TERM", "KILL"]
    delivery.process.end(0, signal=9)
    assert delivery.reports[0].outcome is Outcome.DEFERRED
    assert "too long" in delivery.reports[0].reply.text


def test_output_is_bounded() -> None:
    delivery = Delivery()
    for _ in range(1000):
        delivery.process.protocol.outReceived(b"x" * 999)
    delivery.process.end(75)
    assert len(delivery.reports[0].reply.text) == 100


def test_a_program_that_stops_reading_may_still_succeed() -> None:
    delivery = Delivery()
    delivery.process.protocol.childConnectionLost(0)
    delivery.process.end(0)
    assert delivery.reports[0].outcome is Outcome.DELIVERED


def test_a_loop_is_seen() -> None:
    message = Stored(b"Delivered-To: bea@dest.example\r\n\r\n")
    delivery = Delivery(message=message)
    assert delivery.reports[0].outcome is Outcome.FAILED
    assert delivery.reactor.spawned == []


@pytest.mark.parametrize("hop", ["pipe:", "pipe:relative", "smtp://x.example", "pipe:/x 'open"])
def test_what_is_no_pipe_defers(hop: str) -> None:
    delivery = Delivery(hop=hop)
    assert delivery.results[0].value.reply.code == 451


def test_line_ends_in_any_split() -> None:
    class Slow(Stored):
        async def open(self) -> Any:
            source = await super().open()
            whole = source.read
            source.read = lambda octets: whole(1)  # type: ignore[method-assign]
            return source

    delivery = Delivery(message=Slow(b"A: b\r\n\r\nx\r\r\n\r\n.\n\r"))
    assert delivery.process.stdin.endswith(b"A: b\n\nx\r\n\n.\n\r")


def test_a_program_that_is_not_there_defers_in_plain_words() -> None:
    results: list[Any] = []
    recipient = Recipient(Address.parse("bea@dest.example"))
    courier = PipeCourier(Reactor(), can_run=lambda path: False)
    courier.deliver(Batch(Stored(), (recipient,), HOP, 1)).addBoth(results.append)
    (report,) = results[0]
    assert str(report.reply) == "451 4.3.0 The program cannot be started"
    assert report.detail == "/usr/bin/filter is missing or not executable"
    assert not report.remote
