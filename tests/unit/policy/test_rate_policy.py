from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere
from mailframe.core.session import Role, Session
from mailframe.errors import INTERNAL_ERROR, LoginThrottled, TransientFailure
from mailframe.interfaces import (
    IAcceptedPolicy,
    IConnectPolicy,
    IDisconnectPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.policy.rate import RatePolicy
from mailframe.policy.rate_rules import rules_of
from mailframe.runtime.aio import as_deferred, fired, result_of

ANN = "ann@one.example"


@dataclass
class Settings:
    tenant: str


async def settings(domain: str) -> Settings:
    return Settings("acme" if domain in ("one.example", "two.example") else domain)


class Rig:
    def __init__(self, *sentences: str) -> None:
        self.clock = Clock()
        self.clock.advance(1_750_000_000)
        self.policy = RatePolicy(rules_of(sentences), self.clock, settings=settings)
        self._sessions = 0

    def session(
        self, account: str | None = ANN, peer: str = "192.0.2.1", role: Role = Role.SUBMISSION
    ) -> Session:
        self._sessions += 1
        return Session(f"S{self._sessions}", role, "in", peer, account=account)

    def mail(self, session: Session) -> str:
        return said(self.policy.mail(session, Envelope(None)))

    def rcpt(self, session: Session, to: str, *before: str) -> str:
        address = Address.parse(to)
        return said(
            self.policy.recipient(session, envelope(*before), Recipient(address), Elsewhere())
        )

    def message(self, session: Session, *to: str) -> str:
        content: Any = None
        return said(self.policy.message(session, envelope(*to), content))

    def send(self, session: Session | None = None, *to: str) -> bool:
        """Whether a message passes every stage; then it is accepted."""
        session = session or self.session()
        if self.mail(session) or self.message(session, *to):
            return False
        self.policy.accepted(session, envelope(*to))
        return True

    def connect(self, **about: Any) -> str:
        try:
            self.policy.connect(self.session(**about))
        except TransientFailure as failure:
            return str(failure.reply)
        return ""


def envelope(*to: str) -> Envelope:
    return Envelope(None, recipients=tuple(Recipient(Address.parse(each)) for each in to))


def said(decision: Any) -> str:
    """The reply; empty where there was nothing to object."""
    try:
        assert fired(as_deferred(result_of(decision))) is None
    except TransientFailure as failure:
        return str(failure.reply) if failure.detail else "no detail"
    return ""


def test_it_provides_its_interfaces() -> None:
    for stage in (
        IConnectPolicy,
        IMailPolicy,
        IRecipientPolicy,
        IMessagePolicy,
        IAcceptedPolicy,
        IRefusedPolicy,
        IDisconnectPolicy,
    ):
        verifyObject(stage, RatePolicy((), Clock()))


def test_the_window_slides() -> None:
    rig = Rig("3 messages per user in 1h")
    for _ in range(3):
        assert rig.send()
        rig.clock.advance(1200)
    # the first was 3600 s ago, the others still count
    assert rig.send()
    assert not rig.send()
    rig.clock.advance(1140)
    assert not rig.send()
    rig.clock.advance(60)
    assert rig.send()
    assert not rig.send()


def test_what_is_over_is_put_off_at_mail() -> None:
    rig = Rig("1 messages per user in 1h")
    assert rig.send()
    assert rig.mail(rig.session()).startswith("450 4.7.1 ")
    assert rig.send(rig.session("bob@one.example"))
    assert all(rig.send(rig.session(None)) for _ in range(3))


@pytest.mark.parametrize(
    ("whom", "same", "other"),
    [
        ("user", (ANN, "198.51.100.1"), ("bob@one.example", "192.0.2.1")),
        ("domain", ("bob@one.example", "198.51.100.1"), ("bob@two.example", "192.0.2.1")),
        ("tenant", ("bob@two.example", "198.51.100.1"), ("bob@three.example", "192.0.2.1")),
        ("address", (None, "::ffff:192.0.2.1"), (ANN, "192.0.2.2")),
        ("network", (None, "192.0.2.250"), (ANN, "192.0.3.1")),
    ],
)
def test_whom_a_limit_counts(
    whom: str, same: tuple[str | None, str], other: tuple[str | None, str]
) -> None:
    rig = Rig(f"1 messages per {whom} in 1h")
    assert rig.send()
    assert not rig.send(rig.session(*same))
    assert rig.send(rig.session(*other))


def test_an_ipv6_network_is_a_64() -> None:
    rig = Rig("1 connections per network in 1h")
    assert not rig.connect(peer="2001:db8:0:1::1")
    assert rig.connect(peer="2001:db8:0:1:ffff::1").startswith("421 4.7.0 ")
    assert not rig.connect(peer="2001:db8:0:2::1")


def test_connections_that_are_refused_do_not_count() -> None:
    rig = Rig("2 connections per address in 1m")
    assert not rig.connect()
    rig.clock.advance(30)
    assert not rig.connect()
    assert all(rig.connect() for _ in range(100))
    rig.clock.advance(30)
    assert not rig.connect()
    assert rig.connect()


def test_unix_sockets_and_lmtp_have_no_limits() -> None:
    rig = Rig("1 connections per address in 1h", "1 messages per address in 1h")
    for _ in range(3):
        assert not rig.connect(peer="")
        assert not rig.connect(role=Role.LMTP)
        assert rig.send(rig.session(None, "192.0.2.1", Role.LMTP))


def test_sessions_that_passed_mail_together_do_not_all_pass() -> None:
    rig = Rig("1 messages per user in 1h")
    one, other = rig.session(), rig.session()
    assert not rig.mail(one)
    assert not rig.mail(other)
    assert not rig.message(one)
    assert rig.message(other).startswith("450 4.7.1 ")
    # a refusal by another policy gives it back
    rig.policy.refused(one, "message", INTERNAL_ERROR)
    assert not rig.message(other)


def test_only_the_end_of_the_message_gives_back() -> None:
    rig = Rig("1 messages per user in 1h")
    one = rig.session()
    assert rig.send(one)
    rig.policy.refused(one, "message", INTERNAL_ERROR)
    rig.policy.refused(one, "rcpt", INTERNAL_ERROR)
    assert not rig.send()


def test_who_leaves_during_the_commit_has_sent_it() -> None:
    rig = Rig("1 messages per user in 1h")
    one = rig.session()
    assert not rig.message(one)
    rig.policy.disconnected(one)
    rig.policy.accepted(one, envelope())
    assert not rig.send()
    assert not rig.policy._reserved


def test_recipients_count_within_a_message_and_as_they_were_named() -> None:
    rig = Rig("3 recipients per user in 1h")
    one = rig.session()
    assert not rig.rcpt(one, "c@far.example", "a@far.example", "b@far.example")
    again = rig.rcpt(one, "d@far.example", "a@far.example", "b@far.example", "c@far.example")
    assert again.startswith("450 4.7.1 ")
    # an alias of many is one recipient
    staff = Address.parse("staff@one.example")
    many = tuple(
        Recipient(Address.parse(f"m{number}@one.example"), original=staff) for number in range(50)
    )
    content: Any = None
    decision = rig.policy.message(one, Envelope(None, recipients=many), content)
    assert not said(decision)
    rig.policy.accepted(one, Envelope(None))
    assert rig.send(None, "a@far.example", "b@far.example")
    assert not rig.send(None, "a@far.example")
    assert rig.mail(rig.session()).startswith("450 ")


def test_failed_logins() -> None:
    rig = Rig("2 failed logins per address in 1h", "3 failed logins per user in 1h")
    policy = rig.policy
    for _ in range(2):
        policy.check_login("192.0.2.1", ANN)
        policy.login_failed("192.0.2.1", ANN)
    with pytest.raises(LoginThrottled) as caught:
        policy.check_login("192.0.2.1", "bob@one.example")
    assert str(caught.value.reply).startswith("454 4.7.0 ")
    policy.check_login("192.0.2.2", ANN)
    policy.login_failed("192.0.2.2", ANN)
    with pytest.raises(LoginThrottled):
        policy.check_login("192.0.2.3", ANN)
    # mail from there still comes in
    assert rig.connect(account=None).startswith("421 4.7.0 ")
    assert not rig.connect(account=None, role=Role.MX)


def test_hostile_names() -> None:
    rig = Rig("1 failed logins per user in 1h", "1 failed logins per domain in 1h")
    for name in ("a\0b", "", "@", "x" * 100_000, "\udc80@\udc80", "a@b@c", "'; DROP TABLE windows"):
        rig.policy.check_login("\0", name)
        rig.policy.login_failed("\0", name)
    with pytest.raises(LoginThrottled) as caught:
        rig.policy.check_login("", "x" * 100_000)
    assert len(caught.value.detail) < 500
    rig.policy.check_login("", "x" * 100_000 + "y")


def test_other_rules_keep_the_counts() -> None:
    rig = Rig("5 messages per user in 1h", "5 messages per domain in 1h")
    for _ in range(3):
        assert rig.send()
    rig.policy.follow(rules_of(["4 messages per user in 1h"]))
    assert rig.send()
    assert not rig.send()
    rig.policy.follow(rules_of(["5 messages per user in 1h", "1 messages per domain in 1h"]))
    assert rig.send()
    assert not rig.send()


def test_a_rule_that_went_during_a_message() -> None:
    rig = Rig("5 messages per user in 1h")
    one = rig.session()
    assert not rig.message(one)
    rig.policy.follow(())
    rig.policy.refused(one, "message", Reply(550, None, "no"))
    assert all(rig.send() for _ in range(9))


def test_a_clock_that_steps_back_forgives_nothing_and_holds_nothing_for_ever() -> None:
    rig = Rig("1 messages per user in 1h")
    assert rig.send()
    rig.clock.rightNow -= 365 * 86_400
    assert not rig.send()
    rig.clock.advance(3600)
    assert rig.send()
