"""Would dialling this address reach ourselves?"""

from __future__ import annotations

from mailframe.app.own_addresses import OwnAddresses, can_bind


def test_exact_and_wildcard_listeners() -> None:
    ours = OwnAddresses(
        lambda: [("192.0.2.1", 25), ("0.0.0.0", 2525)], is_local=lambda ip: ip == "192.0.2.9"
    )
    assert ours("192.0.2.1", 25)
    assert not ours("192.0.2.1", 26)
    assert not ours("192.0.2.9", 25)
    assert ours("192.0.2.9", 2525)
    assert not ours("192.0.2.8", 2525)


def test_the_kernel_knows_what_is_local() -> None:
    assert can_bind("127.0.0.1")
    assert not can_bind("192.0.2.1")
