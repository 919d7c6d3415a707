"""Connection limits, in all and per address."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailframe.runtime.tally import Tally
from mailframe.servers.connections import ConnectionCounter
from mailframe.testing.peers import Bus


def test_limit_per_address_and_in_all() -> None:
    counter = ConnectionCounter(total=3, per_address=2)
    assert [counter.enter("a"), counter.enter("a"), counter.enter("a")] == [True, True, False]
    assert counter.enter("b")
    assert not counter.enter("c")
    counter.leave("a")
    assert counter.enter("c")
    assert len(counter) == 3


def test_zero_is_no_limit_and_unix_sockets_have_no_address() -> None:
    assert all(ConnectionCounter(0, 0).enter("a") for _ in range(5))
    local = ConnectionCounter(0, 1)
    assert local.enter("")
    assert local.enter("")


class Sitting:
    """A guest that has kept us waiting since the given time."""

    def __init__(self, since: float | None) -> None:
        self.since = since
        self.asked = 0

    def waiting_since(self) -> float | None:
        return self.since

    def make_room(self) -> None:
        self.asked += 1


def test_who_sits_silent_for_long_makes_room_when_it_is_full() -> None:
    counter = ConnectionCounter(3, 0, lambda: 100.0)
    busy, recent, silent = Sitting(None), Sitting(96.0), Sitting(94.0)
    for guest in (busy, recent, silent):
        assert counter.enter("a", guest)
    assert counter.enter("b", Sitting(100.0))
    assert (busy.asked, recent.asked, silent.asked) == (0, 0, 1)
    assert not counter.enter("b", Sitting(100.0)), "nobody is asked twice"
    counter.leave("a", silent)
    counter.leave("a", recent)
    assert counter.enter("b", Sitting(100.0))


def test_the_limit_of_one_address_is_never_made_room_for() -> None:
    counter = ConnectionCounter(0, 1, lambda: 100.0)
    silent = Sitting(0.0)
    assert counter.enter("a", silent)
    assert not counter.enter("a", Sitting(100.0))
    assert not silent.asked


def test_workers_count_together() -> None:
    bus, clock = Bus(), Clock()
    here, there = (
        ConnectionCounter(4, 2, tally=Tally(bus.join(name), "connections", clock)) for name in "ab"
    )
    assert here.enter("a")
    assert there.enter("a")
    clock.advance(0.02)
    assert not here.enter("a")
    assert not there.enter("a")
    assert here.enter("b")
    assert here.enter("c")
    clock.advance(0.02)
    assert not there.enter("d")
    bus.leave("a")
    assert there.enter("a")
    assert len(there) == 2
