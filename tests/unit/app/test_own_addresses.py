"""Would dialling this address reach ourselves?"""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    "ip", ["::ffff:192.0.2.1", "::ffff:c000:201", "0.0.0.0", "::", "::ffff:0.0.0.0"]
)
def test_other_spellings_of_ourselves(ip: str) -> None:
    ours = OwnAddresses(lambda: [("192.0.2.1", 25)], is_local=lambda ip: False)
    assert ours(ip, 25)
    assert not ours(ip, 26)


def test_a_listener_in_another_spelling() -> None:
    ours = OwnAddresses(
        lambda: [("2001:DB8:0::1", 25), ("::ffff:192.0.2.1", 25)], is_local=lambda ip: False
    )
    assert ours("2001:db8::1", 25)
    assert ours("192.0.2.1", 25)
    assert not ours("192.0.2.2", 25)


def test_the_kernel_knows_what_is_local() -> None:
    assert can_bind("127.0.0.1")
    assert not can_bind("192.0.2.1")
