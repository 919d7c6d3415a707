"""Our reactor treats what it watches as Twisted's does."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from mailframe.app import loop

epoll = pytest.importorskip("mailframe.app.epoll")


class Watched:
    """One end of a pair of sockets; ``does`` is done when there is something to read."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.socket, self.peer = socket.socketpair()
        self.peer.send(b"x")
        self.reads = 0
        self.lost: list[Any] = []
        self.error: Exception | None = None
        self.error_at_end: Exception | None = None
        self.closes: Watched | None = None
        reactor.addReader(self)

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "watched"

    def doRead(self) -> Any:
        self.reads += 1
        if self.closes is not None:
            self.closes.reactor.removeReader(self.closes)
        if self.error is not None:
            raise self.error
        return None if self.socket.recv(1) else CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason.type)
        if self.error_at_end is not None:
            raise self.error_at_end


@pytest.fixture
def reactor() -> Iterator[Any]:
    made = epoll.Reactor()
    yield made
    made.removeAll()
    made._poller.close()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_whoever_has_something_to_read_is_told(reactor: Any) -> None:
    one, other = Watched(reactor), Watched(reactor)
    reactor.doPoll(0)
    assert (one.reads, other.reads) == (1, 1)
    reactor.doPoll(0)
    assert (one.reads, other.reads) == (1, 1)
    one.peer.close()
    reactor.doPoll(None)
    assert len(one.lost) == 1
    assert not other.lost


def test_one_that_fails_is_lost_and_no_other(reactor: Any, logged: list[LogEvent]) -> None:
    both = [Watched(reactor), Watched(reactor)]
    both[0].error, both[0].error_at_end = KeyError("planned"), ValueError("planned")
    both[1].error, both[1].error_at_end = KeyError("planned"), ValueError("planned")
    whole = Watched(reactor)
    reactor.doPoll(0)
    assert [each.lost for each in both] == [[KeyError], [KeyError]]
    assert (whole.reads, whole.lost) == (1, [])
    # the first errors are Twisted's to tell
    failures = [event["log_failure"].type for event in logged if "log_failure" in event]
    assert failures == [ValueError, ValueError]


def test_what_another_has_closed_is_not_told(reactor: Any) -> None:
    one, other = Watched(reactor), Watched(reactor)
    one.closes, other.closes = other, one
    reactor.doPoll(0)
    assert one.reads + other.reads == 1


def test_where_there_is_a_reactor_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    there = object()
    monkeypatch.setitem(sys.modules, "twisted.internet.reactor", there)
    loop.install()
    assert sys.modules["twisted.internet.reactor"] is there


def test_where_there_is_none_it_is_ours() -> None:
    program = (
        "from mailframe.app import loop; loop.install()\n"
        "from twisted.internet import reactor\n"
        "print(type(reactor).__module__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("mailframe.app.epoll\n", "")
