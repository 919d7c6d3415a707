from __future__ import annotations

import pytest

from mailframe.core.session import Role, Session
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers

STRANGERS = Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/28", "2001:db8::/64"])


def session(ip: str = "192.0.2.1", role: Role = Role.MX, account: str | None = None) -> Session:
    return Session("s", role, "listener", ip, account=account)


def test_who_delivers_mail_here_is_a_stranger() -> None:
    assert STRANGERS.is_stranger(session())
    assert STRANGERS.is_unknown_client(session())
    assert STRANGERS.is_client_unknown_yet(session())


@pytest.mark.parametrize("role", [Role.SUBMISSION, Role.LMTP])
def test_other_doors_are_not_for_strangers(role: Role) -> None:
    assert not STRANGERS.is_stranger(session(role=role))


def test_who_may_relay_is_none() -> None:
    assert not STRANGERS.is_stranger(session(account="ann@example.org"))
    assert not STRANGERS.is_stranger(session("198.51.100.7"))
    assert not STRANGERS.is_client_unknown_yet(session("198.51.100.7"))


@pytest.mark.parametrize(
    "ip", ["203.0.113.3", "::ffff:203.0.113.3", "2001:db8::5", "2001:db8::5%eth0"]
)
def test_the_mail_of_trusted_networks_is_judged_and_their_clients_are_not(ip: str) -> None:
    assert STRANGERS.is_stranger(session(ip))
    assert not STRANGERS.is_unknown_client(session(ip))


@pytest.mark.parametrize("ip", ["", "unix", "203.0.113.16", "2001:db9::5"])
def test_what_is_no_trusted_address_is_unknown(ip: str) -> None:
    assert STRANGERS.is_unknown_client(session(ip))


def test_a_trusted_network_may_be_written_as_an_ipv6_socket_sees_it() -> None:
    strangers = Strangers(RelayPermission([]), ["::ffff:203.0.113.0/124"])
    assert not strangers.is_unknown_client(session("203.0.113.3"))
    assert strangers.is_unknown_client(session("203.0.113.16"))


def test_a_network_that_is_none_is_not_trusted_by_mistake() -> None:
    with pytest.raises(ValueError, match="host bits"):
        Strangers(RelayPermission([]), ["203.0.113.1/24"])
