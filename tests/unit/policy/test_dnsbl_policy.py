from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import Authentication, IprevResult, Result
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Tag
from mailframe.errors import DnsTemporary, NoSuchDomain, PermanentFailure
from mailframe.interfaces import IConnectPolicy, IMailPolicy, IRecipientPolicy
from mailframe.policy.dnsbl import DnsblPolicy, is_allowed
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred

SOUND = {
    "2.0.0.127.bl.example": ["127.0.0.2"],
    "2.0.0.127.other.example": ["127.0.0.2"],
    "2.0.0.127.good.example": ["127.0.0.2"],
    "test.names.example": ["127.0.1.2"],
    "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "bl.example": ["127.0.0.2"],
}
LISTED = "99.2.0.192"
IP = "192.0.2.99"


class Names:
    """A resolver: what a name has, "" for SERVFAIL, None for silence."""

    def __init__(self, **_: object) -> None:
        self.a: dict[str, Sequence[str] | str | None] = dict(SOUND)
        self.texts: dict[str, Sequence[bytes]] = {}
        self.asked: list[str] = []

    def ipv4(self, name: str) -> Deferred[Any]:
        self.asked.append(name)
        if name not in self.a:
            return fail(NoSuchDomain(name))
        answer = self.a[name]
        if answer is None:
            return Deferred()
        return succeed(tuple(answer)) if answer != "" else fail(DnsTemporary("SERVFAIL"))

    def txt(self, name: str) -> Deferred[Any]:
        texts = self.texts.get(name)
        return succeed(tuple(texts)) if texts else fail(NoSuchDomain(name))


class Place:
    def __init__(self, lists: Sequence[str] = ("bl.example",), **options: Any) -> None:
        self.clock = Clock()
        self.names = Names()
        self.policy = DnsblPolicy(
            lists,
            options.pop("domain_lists", ()),
            strangers=Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/24"]),
            resolver=self.names,  # type: ignore[arg-type]
            clock=self.clock,
            **options,
        )

    def start(self, session: Session) -> list[Any]:
        results: list[Any] = []
        as_deferred(self.policy.connect(session)).addBoth(results.append)
        return results

    def connect(self, session: Session) -> Tag:
        (tag,) = self.start(session)
        assert isinstance(tag, Tag), tag
        session.found = session.found.plus([tag])
        return tag

    def mail(self, session: Session, sender: str | None = "x@sender.example") -> Tag | None:
        results: list[Any] = []
        envelope = Envelope(Address.parse(sender) if sender else None)
        as_deferred(self.policy.mail(session, envelope)).addBoth(results.append)
        (tag,) = results
        assert tag is None or isinstance(tag, Tag), tag
        if tag is not None:
            session.found = session.found.plus([tag])
        return tag

    def rcpt(self, session: Session, to: str = "ann@example.org") -> PermanentFailure | None:
        recipient = Recipient(Address.parse(to))
        try:
            self.policy.recipient(session, Envelope(None), recipient, Local(to))
        except PermanentFailure as failure:
            return failure
        return None


def client(ip: str = IP, **facts: Any) -> Session:
    return Session("S1", Role.MX, "mx", ip, **facts)


def test_it_provides_its_interfaces() -> None:
    for interface in (IConnectPolicy, IMailPolicy, IRecipientPolicy):
        verifyObject(interface, Place().policy)


def test_who_is_listed_is_tagged_at_connect_and_refused_at_rcpt() -> None:
    place = Place()
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.4"]
    place.names.texts[f"{LISTED}.bl.example"] = [b"https://bl.example/?ip=192.0.2.99"]
    session = client()
    tag = place.connect(session)
    assert [(s.name, s.weight) for s in tag.symbols] == [("DNSBL:bl.example", 1.0)]
    refused = place.rcpt(session)
    assert refused is not None
    assert str(refused.reply) == (
        "550 5.7.1 Refused, listed by bl.example: "
        "192.0.2.99 127.0.0.4 https://bl.example/?ip=192.0.2.99"
    )
    assert "1 points" in refused.detail


def test_the_postmaster_is_always_reached() -> None:
    place = Place()
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.4"]
    session = client()
    place.connect(session)
    assert place.rcpt(session, "Postmaster@example.org") is None
    assert place.rcpt(session) is not None


def test_who_is_not_listed_goes_on() -> None:
    place = Place()
    session = client()
    assert place.connect(session).reason == "not listed"
    assert place.rcpt(session) is None


def test_filters_weights_and_allow_lists_add_up() -> None:
    place = Place(
        ["bl.example=127.0.0.[2..4]*2", "other.example*1.5", "good.example*-2"], threshold=2
    )
    for zone in ("bl.example", "other.example", "good.example"):
        place.names.a[f"{LISTED}.{zone}"] = ["127.0.0.3"]
    session = client()
    tag = place.connect(session)
    assert sum(symbol.weight for symbol in tag.symbols) == 1.5
    assert is_allowed(session.found)
    assert place.rcpt(session) is None
    del place.names.a[f"{LISTED}.good.example"]
    session = client()
    place.connect(session)
    assert not is_allowed(session.found)
    refused = place.rcpt(session)
    assert refused is not None
    assert "bl.example" in refused.reply.text
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.9"]
    session = client()
    place.connect(session)
    assert place.rcpt(session) is None


@pytest.mark.parametrize(
    "session",
    [
        client(account="ann@example.org"),
        client("198.51.100.7"),
        client("203.0.113.7"),
        client(""),
        Session("S1", Role.SUBMISSION, "submission", IP),
    ],
)
def test_nobody_else_is_looked_up(session: Session) -> None:
    place = Place(domain_lists=["names.example"])
    assert place.start(session) == [None]
    session.helo = "bad.example"
    assert session.peer_ip == "" or place.mail(session) is None
    assert place.names.asked == [] or session.peer_ip == ""


def test_a_list_of_everything_is_set_aside_until_it_is_well() -> None:
    place = Place()
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    place.names.a["1.0.0.127.bl.example"] = ["127.0.0.2"]
    session = client()
    tag = place.connect(session)
    assert not tag.symbols
    assert "bl.example lists everything" in tag.reason
    assert place.rcpt(session) is None
    del place.names.a["1.0.0.127.bl.example"]
    assert not place.connect(client()).symbols
    place.clock.advance(60)
    assert place.connect(client()).symbols


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"2.0.0.127.bl.example": []}, "does not list its test point"),
        ({"2.0.0.127.bl.example": ["127.255.255.254"]}, "answers 127.255.255.254: it refuses us"),
        ({"2.0.0.127.bl.example": ""}, "does not answer"),
        ({"1.0.0.127.bl.example": ["198.51.100.1"]}, "lists everything"),
    ],
)
def test_other_ailments(points: dict[str, Any], words: str) -> None:
    place = Place()
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    place.names.a.update(points)
    tag = place.connect(client())
    assert words in tag.reason
    assert not tag.symbols


def test_each_failed_check_doubles_the_pause() -> None:
    place = Place()
    place.names.a["2.0.0.127.bl.example"] = ""
    pauses = []
    last = 0.0
    for _ in range(1_200):
        before = place.names.asked.count("2.0.0.127.bl.example")
        place.start(client())
        if place.names.asked.count("2.0.0.127.bl.example") > before:
            pauses.append(place.clock.seconds() - last)
            last = place.clock.seconds()
        place.clock.advance(10)
    assert pauses[:8] == [0, 60, 120, 240, 480, 960, 1920, 3600]


def test_a_sound_list_is_checked_every_hour_and_after_an_odd_answer() -> None:
    place = Place()
    checks = lambda: place.names.asked.count("2.0.0.127.bl.example")
    place.connect(client())
    place.clock.advance(3599)
    place.connect(client())
    assert checks() == 1
    place.clock.advance(1)
    place.connect(client())
    assert checks() == 2
    place.names.a[f"{LISTED}.bl.example"] = ["198.51.100.1"]
    session = client()
    assert "odd answer 198.51.100.1" in place.connect(session).reason
    assert place.rcpt(session) is None
    place.connect(client("192.0.2.1"))
    assert checks() == 3


def test_a_silent_list_costs_its_timeout_and_then_nothing() -> None:
    place = Place(["bl.example", "other.example"], timeout=5)
    place.names.a[f"{LISTED}.bl.example"] = None
    place.names.a["2.0.0.127.bl.example"] = None
    place.names.a[f"{LISTED}.other.example"] = ["127.0.0.2"]
    session = client()
    results = place.start(session)
    assert results == []
    place.clock.advance(5)
    (tag,) = results
    assert [s.name for s in tag.symbols] == ["DNSBL:other.example"]
    # set aside: it is asked all the same, and not waited for
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    assert [s.name for s in place.connect(client()).symbols] == ["DNSBL:other.example"]


def test_a_check_outlives_the_session_that_began_it() -> None:
    place = Place()
    silence: Deferred[Any] = Deferred()
    real = place.names.ipv4
    held = "2.0.0.127.bl.example"
    place.names.ipv4 = lambda name: silence if name == held else real(name)  # type: ignore[method-assign]
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    first = as_deferred(place.policy.connect(client()))
    second = place.start(client())
    first.addErrback(lambda _: None)
    first.cancel()
    assert second == []
    silence.callback(("127.0.0.2",))
    assert second[0].symbols


def test_ipv6_is_asked_by_nibbles_and_checked_apart() -> None:
    place = Place(["bl.example", "other.example"])
    nibbles = "1." + "0." * 23 + "8.b.d.0.1.0.0.2"
    place.names.a[f"{nibbles}.bl.example"] = ["127.0.0.2"]
    place.names.a[f"{nibbles}.other.example"] = ["127.0.0.2"]  # has no IPv6 test points
    tag = place.connect(client("2001:db8::1"))
    assert [s.name for s in tag.symbols] == ["DNSBL:bl.example"]
    place.names.a[f"{LISTED}.other.example"] = ["127.0.0.2"]
    assert place.connect(client("::ffff:192.0.2.99")).symbols[0].name == "DNSBL:other.example"


def test_domain_lists_are_asked_about_every_name_of_the_client() -> None:
    place = Place((), domain_lists=["names.example*2"], threshold=2)
    place.names.a["bad.example.names.example"] = ["127.0.1.2"]
    found = Findings(Authentication(iprev=IprevResult(Result.PASS, IP, "mail.bad.example")))
    session = client(helo="HELO.bad.example", found=found)
    assert place.mail(session, "x@sender.example") is not None
    asked = [name for name in place.names.asked if name.endswith(".names.example")]
    for name in ("sender.example", "helo.bad.example", "mail.bad.example"):
        assert f"{name}.names.example" in asked
    assert place.rcpt(session) is None
    session = client(helo="[192.0.2.99]")
    place.mail(session, "x@bad.example")
    refused = place.rcpt(session)
    assert refused is not None
    assert str(refused.reply) == "550 5.7.1 Refused, listed by names.example: bad.example 127.0.1.2"


def test_a_list_counts_once_whatever_it_lists() -> None:
    place = Place((), domain_lists=["names.example"], threshold=2)
    for name in ("a.example", "b.example"):
        place.names.a[f"{name}.names.example"] = ["127.0.1.2"]
    session = client(helo="a.example")
    tag = place.mail(session, "x@b.example")
    assert tag is not None
    assert len(tag.symbols) == 1
    assert place.rcpt(session) is None


def test_nothing_to_ask_about_costs_nothing() -> None:
    place = Place((), domain_lists=["names.example"])
    assert place.start(client()) == [None]
    assert place.mail(client(helo="localhost"), None) is None
    assert place.names.asked == []


def test_tag_never_refuses() -> None:
    place = Place(rejects=False)
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    session = client()
    assert place.connect(session).symbols
    assert place.rcpt(session) is None


def test_a_threshold_of_nothing_refuses_nobody_who_is_not_listed() -> None:
    place = Place(["bl.example", "good.example*-1"], threshold=0)
    for zone in ("bl.example", "good.example"):
        place.names.a[f"{LISTED}.{zone}"] = ["127.0.0.3"]
    session = client()
    place.connect(session)
    assert place.rcpt(session) is None


def test_the_words_of_a_list_are_made_harmless() -> None:
    place = Place()
    place.names.a[f"{LISTED}.bl.example"] = ["127.0.0.2"]
    place.names.texts[f"{LISTED}.bl.example"] = [b"evil\r\n250 ok\0\xff" + b"x" * 60_000]
    session = client()
    place.connect(session)
    refused = place.rcpt(session)
    assert refused is not None
    assert refused.reply.text.isprintable()
    assert len(refused.reply.text) < 300
    assert "evil?250 ok?" in refused.reply.text


def test_an_entry_that_is_wrong_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="no DNS zone"):
        Place(["a..b"])
