"""Lines through a socket pair: whole, in order, several in one write, and not without bound."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailframe.app.workers.wire import LONGEST, Wire


class Transport(StringTransport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def abortConnection(self) -> None:
        self.aborted = True


class End:
    def __init__(self, most: int = 1000) -> None:
        self.clock = Clock()
        self.lines: list[bytes] = []
        self.closed = 0
        self.wire = Wire(self.clock, self.lines.append, self._close, most=most)
        self.transport = Transport()
        self.wire.makeConnection(self.transport)

    def _close(self) -> None:
        self.closed += 1


@pytest.fixture
def end() -> End:
    return End()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_whole_however_they_come(end: End, size: int) -> None:
    data = b"one\n\nthree\nfo"
    for start in range(0, len(data), size):
        end.wire.dataReceived(data[start : start + size])
    assert end.lines == [b"one", b"", b"three"]


def test_what_is_sent_in_one_turn_is_one_write(end: End) -> None:
    end.wire.send(b"one")
    end.wire.send(b"two")
    assert end.transport.writes == []
    end.clock.advance(0)
    end.wire.send(b"three")
    end.clock.advance(0)
    assert end.transport.writes == [b"one\ntwo\n", b"three\n"]


def test_one_that_does_not_read_is_cut_off(end: End) -> None:
    end.wire.pauseProducing()
    for _ in range(9):
        end.wire.send(b"x" * 100)
    assert not end.transport.aborted
    end.wire.send(b"x" * 100)
    assert end.transport.aborted
    assert end.wire.is_overfull
    end.wire.connectionLost()
    assert end.closed == 1
    end.wire.send(b"late")
    end.clock.advance(1)
    assert end.transport.writes == []


def test_one_that_reads_again_gets_what_waited(end: End) -> None:
    end.wire.pauseProducing()
    end.wire.send(b"one")
    end.clock.advance(1)
    assert end.transport.writes == []
    end.wire.resumeProducing()
    assert end.transport.writes == [b"one\n"]


def test_what_waits_is_written_before_the_end(end: End) -> None:
    end.wire.send(b"last")
    end.wire.close()
    assert end.transport.writes == [b"last\n"]
    assert end.transport.disconnecting
    assert end.clock.getDelayedCalls() == []


def test_a_line_without_end_is_left_out(end: End) -> None:
    end.wire.dataReceived(b"x" * (LONGEST + 1))
    end.wire.dataReceived(b"still the same\nnext\n")
    assert end.lines == [b"next"]


def test_a_line_that_is_too_long_is_not_sent() -> None:
    end = End(most=10 * LONGEST)
    end.wire.send(b"x" * LONGEST)
    end.wire.send(b"short")
    end.clock.advance(0)
    assert end.transport.writes == [b"short\n"]
