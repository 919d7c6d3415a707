"""One spelling for one client."""

from __future__ import annotations

import pytest

from mailframe.core.ip import network_around, plain_ip, plain_network


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_ipv4_client_on_an_ipv6_socket_is_one_of_ipv4(text: str, plain: str) -> None:
    assert str(plain_ip(text)) == plain


@pytest.mark.parametrize("text", ["", "unix", "192.0.2", "192.0.2.1/32", "%eth0", "1\0"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert plain_ip(text) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_networks_are_spelled_as_their_addresses(text: str, plain: str) -> None:
    assert str(plain_network(text)) == plain


@pytest.mark.parametrize("text", ["192.0.2.1/24", "here", "::ffff:192.0.2.1/120"])
def test_what_is_no_network_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the standard library's
        plain_network(text)


def test_the_network_around_an_address() -> None:
    four, six = plain_ip("192.0.2.99"), plain_ip("2001:db8:1:2:3::4")
    assert four is not None
    assert six is not None
    assert network_around(four, 24, 64) == "192.0.2.0/24"
    assert network_around(six, 24, 64) == "2001:db8:1:2::/64"
