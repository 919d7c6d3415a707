"""iprev, helo and spf: what they find, and what they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import Result
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Tag
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IConnectPolicy, IHeloPolicy, IMailPolicy, IRecipientPolicy
from mailframe.policy.helo import HeloPolicy
from mailframe.policy.iprev import IprevPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.policy.spf import SpfPolicy
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired, result_of
from tests.conformance.spf_zones import Zone

IP = "192.0.2.9"
ZONE: dict[str, Sequence[Any]] = {
    "9.2.0.192.in-addr.arpa": [{"PTR": "mx.example.org"}],
    "8.2.0.192.in-addr.arpa": [{"PTR": "mx.example.org"}],
    "7.2.0.192.in-addr.arpa": ["TIMEOUT"],
    "6.2.0.192.in-addr.arpa": [{"PTR": "slow.example.org"}],
    "slow.example.org": ["TIMEOUT"],
    "mx.example.org": [{"A": IP}, {"TXT": "v=spf1 a -all"}],
    "example.org": [{"TXT": "v=spf1 mx -all exp=why.example.org"}, {"MX": [1, "mx.example.org"]}],
    "why.example.org": [{"TXT": "%{i} may not send for %{d}, ask %{l}"}],
    "soft.example": [{"TXT": "v=spf1 ~all"}],
    "broken.example": [{"TXT": "v=spf1 moo"}],
    "null.example": [{"TXT": "v=spf1 -all"}],
}


class Resolver(Zone):
    async def addresses(self, host: str) -> tuple[str, ...]:  # type: ignore[override]
        found: tuple[str, ...] = await self.ipv6(host) + await self.ipv4(host)
        return found


class Place:
    def __init__(self, ip: str = IP, helo: str = "mx.example.org", **session: Any) -> None:
        self.clock = Clock()
        self.parts: dict[str, Any] = {
            "strangers": Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/24"]),
            "resolver": Resolver(ZONE),
            "clock": self.clock,
        }
        self.session = Session("s", Role.MX, "mx", ip, helo=helo, **session)

    def iprev(self, on_fail: Any = "tag") -> IprevPolicy:
        return IprevPolicy(**self.parts, on_fail=on_fail)

    def helo(self, on_fail: Any = "tag") -> HeloPolicy:
        return HeloPolicy(**self.parts, own_names=["Mail.example.net"], on_fail=on_fail)

    def spf(self, on_fail: Any = "tag") -> SpfPolicy:
        return SpfPolicy(**self.parts, hostname="mail.example.net", on_fail=on_fail)

    def told(self, verdict: Any) -> Tag | None:
        """The verdict, after it was remembered as the server does."""
        tag: Tag | None = fired(as_deferred(result_of(verdict)))
        if tag is not None:
            self.session.found = self.session.found.plus([tag])
        return tag

    def recipient(self, policy: Any, to: str = "ann@example.net") -> Any:
        address = Address.parse(to)
        return policy.recipient(self.session, envelope(), Recipient(address), Local(address.key))

    def mail(self, policy: SpfPolicy, sender: str | None) -> Tag | None:
        return self.told(policy.mail(self.session, envelope(sender)))


def envelope(sender: str | None = "bob@example.org") -> Envelope:
    return Envelope(Address.parse(sender) if sender else None)


def names(tag: Tag | None) -> list[str]:
    assert tag is not None
    return [symbol.name for symbol in tag.symbols]


def test_they_provide_what_they_act_at() -> None:
    place = Place()
    verifyObject(IConnectPolicy, place.iprev())
    verifyObject(IRecipientPolicy, place.iprev())
    verifyObject(IHeloPolicy, place.helo())
    verifyObject(IRecipientPolicy, place.helo())
    verifyObject(IMailPolicy, place.spf())


# iprev


def test_a_client_with_a_name() -> None:
    place = Place()
    tag = place.told(place.iprev("reject").connect(place.session))
    assert tag is not None
    assert tag.auth is not None
    assert tag.auth.iprev
    assert tag.reason == "pass mx.example.org"
    assert names(tag) == []
    assert place.recipient(place.iprev("reject")) is None


@pytest.mark.parametrize(
    ("ip", "symbol"), [("192.0.2.1", "NO_RDNS"), ("192.0.2.8", "RDNS_MISMATCH")]
)
def test_a_client_without_one(ip: str, symbol: str) -> None:
    place = Place(ip)
    policy = place.iprev("reject")
    assert names(place.told(policy.connect(place.session))) == [symbol]
    with pytest.raises(PermanentFailure) as refused:
        place.recipient(policy)
    assert str(refused.value.reply).startswith("550 5.7.25 ")
    with pytest.raises(TransientFailure) as deferred:
        place.recipient(place.iprev("defer"))
    assert str(deferred.value.reply).startswith("450 4.7.25 ")
    assert place.recipient(place.iprev("tag")) is None
    # RFC 5321 section 4.5.1
    assert place.recipient(policy, "postmaster@example.net") is None


@pytest.mark.parametrize("ip", ["192.0.2.7", "192.0.2.6"])
def test_a_dns_that_fails_is_held_against_nobody(ip: str) -> None:
    place = Place(ip)
    policy = place.iprev("reject")
    tag = place.told(policy.connect(place.session))
    assert tag is not None
    assert tag.auth is not None
    assert tag.auth.iprev is not None
    assert tag.auth.iprev.result is Result.TEMPERROR
    assert names(tag) == []
    assert place.recipient(policy) is None


@pytest.mark.parametrize("ip", ["198.51.100.1", "203.0.113.1", ""])
def test_whom_nobody_asks_about(ip: str) -> None:
    place = Place(ip)
    assert place.told(place.iprev("reject").connect(place.session)) is None
    assert place.told(place.helo("reject").helo(place.session)) is None
    assert place.mail(place.spf("reject"), "bob@null.example") is None


def test_who_logs_in_after_all_is_let_through() -> None:
    place = Place("192.0.2.1")
    policy = place.iprev("reject")
    place.told(policy.connect(place.session))
    place.session.account = "ann@example.net"
    assert place.recipient(policy) is None


# helo


@pytest.mark.parametrize(
    ("helo", "symbol"),
    [
        ("mx.example.org", ""),
        ("example.org.", ""),
        ("slow.example.org", ""),
        ("[192.0.2.9]", "HELO_LITERAL"),
        ("localhost", "HELO_NOT_FQDN"),
        ("gone.example.org", "HELO_UNKNOWN"),
        ("mail.EXAMPLE.net", "HELO_OURS"),
        ("mail.example.net.", "HELO_OURS"),
        ("[192.0.2.10]", "HELO_FALSE_LITERAL"),
        ("[IPv6:2001:db8::1]", "HELO_FALSE_LITERAL"),
        ("[tag:nonsense]", "HELO_FALSE_LITERAL"),
        ("192.0.2.9", "HELO_SYNTAX"),
        ("[192.0.2.9", "HELO_SYNTAX"),
        ("a..b", "HELO_SYNTAX"),
        ("-", "HELO_SYNTAX"),
        ("a b.example", "HELO_SYNTAX"),
        ("παράδειγμα.example", "HELO_SYNTAX"),
        ("x" * 64 + ".example", "HELO_SYNTAX"),
        ("a." * 2000 + "b", "HELO_SYNTAX"),
    ],
)
def test_names_given_in_helo(helo: str, symbol: str) -> None:
    place = Place(helo=helo)
    policy = place.helo("reject")
    assert names(place.told(policy.helo(place.session))) == ([symbol] if symbol else [])
    if symbol in ("HELO_OURS", "HELO_FALSE_LITERAL", "HELO_SYNTAX"):
        with pytest.raises(PermanentFailure) as refused:
            place.recipient(policy)
        assert str(refused.value.reply).startswith("550 5.7.1 ")
        assert place.recipient(policy, "postmaster@example.net") is None
        assert place.recipient(place.helo("tag")) is None
    else:
        assert place.recipient(policy) is None


def test_a_mapped_client_has_its_literal() -> None:
    place = Place("::ffff:192.0.2.9", "[192.0.2.9]")
    assert names(place.told(place.helo().helo(place.session))) == ["HELO_LITERAL"]


# spf


@pytest.mark.parametrize(
    ("sender", "symbol", "result"),
    [
        ("bob@example.org", "SPF_PASS", Result.PASS),
        ("bob@soft.example", "SPF_SOFTFAIL", Result.SOFTFAIL),
        ("bob@null.example", "SPF_FAIL", Result.FAIL),
        ("bob@gone.example", "SPF_NONE", Result.NONE),
        ("bob@[192.0.2.9]", "SPF_NONE", Result.NONE),
        ("bob@broken.example", "SPF_PERMERROR", Result.PERMERROR),
        ("bob@slow.example.org", "SPF_TEMPERROR", Result.TEMPERROR),
        (None, "SPF_PASS", Result.PASS),
    ],
)
def test_what_spf_finds(sender: str | None, symbol: str, result: Result) -> None:
    place = Place()
    tag = place.mail(place.spf(), sender)
    assert names(tag) == [symbol]
    auth = place.session.found.auth
    assert auth.spf is not None
    assert auth.spf.result is result
    assert auth.helo is not None
    assert auth.helo.result is Result.PASS


def test_a_fail_is_refused_with_the_owners_words() -> None:
    place = Place("192.0.2.66")
    with pytest.raises(PermanentFailure) as refused:
        place.mail(place.spf("reject"), "bob@example.org")
    reply = str(refused.value.reply)
    assert reply.startswith("550 5.7.23 SPF: example.org says: 192.0.2.66 may not send for")
    assert refused.value.detail == "fail mailfrom=example.org (-all)"


@pytest.mark.parametrize("sender", ["bob@slow.example.org", "bob@broken.example", "bob@x.example"])
def test_errors_are_never_refused(sender: str) -> None:
    place = Place("192.0.2.66")
    assert isinstance(place.mail(place.spf("reject"), sender), Tag)


def test_a_false_helo_name_beside_a_reverse_path_is_a_symbol() -> None:
    place = Place(helo="null.example")
    tag = place.mail(place.spf("reject"), "bob@example.org")
    assert names(tag) == ["SPF_PASS", "SPF_HELO_FAIL"]


def test_of_a_bounce_the_helo_name_decides() -> None:
    place = Place(helo="null.example")
    with pytest.raises(PermanentFailure) as refused:
        place.mail(place.spf("reject"), None)
    assert "550 5.7.23 SPF: null.example does not allow" in str(refused.value.reply)


def test_findings_start_empty() -> None:
    assert Place().session.found == Findings()
