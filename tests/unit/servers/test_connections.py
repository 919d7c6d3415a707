"""Connection limits, in all and per address."""

from __future__ import annotations

from mailframe.servers.connections import ConnectionCounter


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
