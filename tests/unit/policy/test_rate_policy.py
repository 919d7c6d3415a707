from __future__ import annotations

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.interfaces import IMailPolicy, IMessagePolicy
from mailframe.policy.rate import RatePolicy

ENVELOPE = Envelope(None)


def session(account: str | None) -> Session:
    return Session("S1", Role.SUBMISSION, "submission", "192.0.2.1", account=account)


def send(policy: RatePolicy, account: str | None = "ann@example.org") -> bool:
    """Whether a message passes both stages."""
    asked = policy.mail(session(account), ENVELOPE)
    if asked is None:
        asked = policy.message(session(account), ENVELOPE, None)  # type: ignore[arg-type]
    assert asked is None or (isinstance(asked, Reply) and str(asked).startswith("450 4.7.1 "))
    return asked is None


def test_it_provides_its_interfaces() -> None:
    verifyObject(IMailPolicy, RatePolicy(1, Clock()))
    verifyObject(IMessagePolicy, RatePolicy(1, Clock()))


def test_the_window_slides() -> None:
    clock = Clock()
    policy = RatePolicy(3, clock)
    for _ in range(3):
        assert send(policy)
        clock.advance(1200)
    # the first was 3600 s ago, the others still count
    assert send(policy)
    assert not send(policy)
    clock.advance(1199)
    assert not send(policy)
    clock.advance(1)
    assert send(policy)
    assert not send(policy)


def test_no_hour_has_more_than_the_limit() -> None:
    clock = Clock()
    clock.advance(59.5)
    policy = RatePolicy(10, clock)
    passed = []
    for _ in range(3000):
        if send(policy):
            passed.append(clock.seconds())
        clock.advance(7)
    for when in passed:
        assert sum(when <= other < when + 3540 for other in passed) <= 10


def test_users_do_not_share_and_strangers_do_not_count() -> None:
    policy = RatePolicy(1, Clock())
    assert send(policy)
    assert not send(policy)
    assert send(policy, "bob@example.org")
    assert all(send(policy, None) for _ in range(5))


def test_zero_is_no_limit() -> None:
    policy = RatePolicy(0, Clock())
    assert all(send(policy) for _ in range(500))


def test_sessions_that_passed_mail_together_do_not_all_pass() -> None:
    policy = RatePolicy(1, Clock())
    assert policy.mail(session("ann@example.org"), ENVELOPE) is None
    assert policy.mail(session("ann@example.org"), ENVELOPE) is None
    assert policy.message(session("ann@example.org"), ENVELOPE, None) is None  # type: ignore[arg-type]
    assert policy.message(session("ann@example.org"), ENVELOPE, None) is not None  # type: ignore[arg-type]


def test_memory_is_bounded() -> None:
    clock = Clock()
    policy = RatePolicy(5, clock, most=10)
    for number in range(1000):
        send(policy, f"user{number}@example.org")
        clock.advance(60)
    assert len(policy._sent) == 10
    for _ in range(1000):
        send(policy)
        clock.advance(60)
    assert len(policy._sent["ann@example.org"]) <= 60


def test_a_clock_that_steps_back_forgives_nothing() -> None:
    clock = Clock()
    clock.advance(10_000)
    policy = RatePolicy(1, clock)
    assert send(policy)
    clock.rightNow = 5_000.0
    assert not send(policy)
