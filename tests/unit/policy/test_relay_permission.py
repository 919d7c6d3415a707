from __future__ import annotations

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core.session import Role, Session
from mailframe.interfaces import IRecentFetches, IRelayPermission
from mailframe.policy.relay import RelayPermission


@implementer(IRecentFetches)
class Fetched:
    def __init__(self, *addresses: str) -> None:
        self.addresses = set(addresses)

    def note(self, peer_ip: str, account: str) -> None:
        self.addresses.add(peer_ip)

    def may_relay(self, peer_ip: str) -> str | None:
        return "ann@example.org" if peer_ip in self.addresses else None


def session(peer_ip: str, account: str | None = None) -> Session:
    return Session("S1", Role.MX, "mx", peer_ip, account=account)


def test_nobody_by_default_not_even_this_machine() -> None:
    permission = RelayPermission([])
    verifyObject(IRelayPermission, permission)
    for peer_ip in ("127.0.0.1", "::1", "192.0.2.1", "", "no address"):
        assert permission.may_relay(session(peer_ip)) is None


def test_a_login_may_from_anywhere() -> None:
    assert RelayPermission([]).may_relay(session("", "ann@example.org")) == "login"


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.0/24", "::ffff:192.0.2.1", "::ffff:192.0.3.1"),
        ("::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"),
        ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("0.0.0.0/0", "192.0.2.1", "2001:db8::1"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
    ],
)
def test_networks(network: str, inside: str, outside: str) -> None:
    permission = RelayPermission([network])
    assert permission.may_relay(session(inside)) == "network"
    assert permission.may_relay(session(outside)) is None


@pytest.mark.parametrize("network", ["192.0.2.1/24", "example.org", "192.0.2.0/33", ""])
def test_what_is_no_network_stops_the_start(network: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RelayPermission([network])


def test_pop_before_smtp() -> None:
    fetched = Fetched("192.0.2.1")
    permission = RelayPermission([], fetched)
    assert permission.may_relay(session("192.0.2.1")) == "pop-before-smtp"
    assert permission.may_relay(session("::ffff:192.0.2.1")) == "pop-before-smtp"
    assert permission.may_relay(session("192.0.2.2")) is None
    fetched.addresses.clear()
    assert permission.may_relay(session("192.0.2.1")) is None


def test_whose_leave_it_is() -> None:
    permission = RelayPermission(["198.51.100.0/24"], Fetched("192.0.2.1", "198.51.100.1"))
    assert permission.account(session("192.0.2.1")) == "ann@example.org"
    assert permission.account(session("192.0.2.2")) is None
    # a host of ours fetches for many, and relays for others
    assert permission.account(session("198.51.100.1")) is None
    assert permission.account(session("192.0.2.1", "bob@example.org")) == "bob@example.org"
    assert permission.account(Session("S1", Role.LMTP, "lmtp", "192.0.2.1")) is None
    assert RelayPermission([]).account(session("192.0.2.1")) is None
