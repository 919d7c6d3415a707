"""What makes the server slow, and how many it is slow to at once."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from twisted.internet.defer import fail
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import Role
from mailframe.errors import LoginThrottled
from mailframe.interfaces import IMailPolicy
from mailframe.policy.rate import RatePolicy
from mailframe.policy.rate_rules import rules_of
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import Peer, World

NOW = SmtpLimits(tarpit=1, tarpit_free=0, tarpit_most=5, errors=0, allow_plaintext=True)
MAIL = b"MAIL FROM:<a@far.test>\r\n"
OK = b"250 2.0.0 Ok\r\n"


@implementer(IMailPolicy)
class Refusing:
    def __init__(self, name: str, reply: Reply) -> None:
        self.name = name
        self.reply = reply

    def mail(self, *facts: Any) -> Reply:
        return self.reply


def is_slow(peer: Peer, command: bytes) -> bool:
    """Whether the command after this one waits."""
    said = peer.ask(command + b"NOOP\r\n")
    return not said.endswith(OK)


@pytest.mark.parametrize(
    ("rule", "code", "slow"),
    [
        ("dnsbl", 554, True),
        ("content", 550, True),
        ("rate", 450, True),
        ("brake", 450, True),
        ("greylist", 451, False),
        ("spf", 451, False),
    ],
)
def test_refusals_of_policies(rule: str, code: int, slow: bool) -> None:
    policy = Refusing(rule, Reply(code, status.SECURITY_OTHER, "no"))
    with World(limits=NOW, policies=(policy,)).greeted() as peer:
        assert is_slow(peer, MAIL) is slow


def test_the_limits_themselves() -> None:
    rate = RatePolicy(rules_of(["1 messages per address in 1h"]), Clock())
    world = World(limits=NOW, policies=(rate,))
    with world.greeted() as peer:
        data = b"RCPT TO:<ann@local.test>\r\nDATA\r\n\r\nx\r\n.\r\n"
        assert peer.ask(MAIL + data).splitlines()[-1].startswith(b"250 ")
        assert is_slow(peer, MAIL)
    reason = world.journal.steps("refuse")[0]["reason"]
    assert reason == "1 messages per address in 3600 s: 192.0.2.7"


def test_unknown_recipients() -> None:
    with World(limits=NOW).greeted() as peer:
        assert is_slow(peer, MAIL + b"RCPT TO:<no@local.test>\r\n")


def test_failed_logins_and_those_that_are_not_even_checked() -> None:
    world = World(role=Role.SUBMISSION, limits=NOW)
    login = b"AUTH PLAIN " + base64.b64encode(b"\0ann@local.test\0wrong") + b"\r\n"
    with world.greeted() as peer:
        assert is_slow(peer, login)
    world.authenticator.login = lambda *_: fail(LoginThrottled())  # type: ignore
    with world.greeted() as peer:
        said = peer.ask(login + b"NOOP\r\n")
        assert said.startswith(b"454 4.7.0 ")
        assert said.count(b"\r\n") == 1


def test_lmtp_peers_are_our_own() -> None:
    world = World(role=Role.LMTP, limits=NOW)
    with world.greeted(hello=b"LHLO mx.local.test\r\n") as peer:
        assert not is_slow(peer, MAIL + b"RCPT TO:<no@local.test>\r\n")


def test_there_are_only_so_many_places() -> None:
    world = World(limits=SmtpLimits(tarpit=5, tarpit_free=0, tarpit_places=3, errors=0))
    peers = [world.connect(f"192.0.2.{number}") for number in range(10)]
    for peer in peers:
        peer.ask(b"EHLO x.test\r\n")
    assert [is_slow(peer, b"FROB\r\n") for peer in peers] == [True] * 3 + [False] * 7
    # one that leaves makes room, and so does one that has waited
    peers[0].leave()
    assert is_slow(peers[5], b"FROB\r\n")
    assert not is_slow(peers[6], b"FROB\r\n")
    world.clock.advance(5)
    assert is_slow(peers[6], b"FROB\r\n")
    for peer in peers:
        peer.leave()
    assert world.factory.tarpit.delayed == set()
    assert world.clock.getDelayedCalls() == []


def test_who_waits_in_the_tarpit_makes_room_for_others() -> None:
    world = World(limits=SmtpLimits(tarpit=30, tarpit_most=30, tarpit_free=0, errors=0))
    world.factory.connections = ConnectionCounter(2, 0, world.clock.seconds)
    slow = [world.connect(f"192.0.2.{number}") for number in (1, 2)]
    for peer in slow:
        peer.ask(b"EHLO x.test\r\n")
        assert is_slow(peer, b"FROB\r\n")
    world.clock.advance(6)
    assert world.connect("192.0.2.3").read().startswith(b"220 ")
    assert slow[0].closed
    assert not slow[1].closed
