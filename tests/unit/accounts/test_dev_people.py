"""``mailframe dev``: every address is somebody, and the password is dev."""

from __future__ import annotations

import hashlib

import pytest
from twisted.cred.credentials import IUsernameHashedPassword
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.dev import DevChecker, DevRealm, DevResolver
from mailframe.accounts.throttle import LoginThrottle
from mailframe.core.address import Address
from mailframe.core.resolution import Local, Refused
from mailframe.errors import LoginFailed
from mailframe.interfaces import IMailAccount, IRecipientResolver, VerifiedIdentity
from mailframe.protocols.sasl import NeedVerifier, Proved, client_mechanism, server_mechanism
from tests.unit.accounts.house import log_in, now, session


@pytest.fixture
def door() -> Authenticator:
    realm = DevRealm(lambda account: f"inbox of {account}", lambda account: f"folders of {account}")
    return Authenticator(realm, [DevChecker()], LoginThrottle(Clock()), secret=b"s" * 32)


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("Ann@Example.TEST", "ann@example.test"),
        ("ann+x@example.test", "ann+x@example.test"),
        ("α@παράδειγμα.test", "α@xn--hxajbheg2az3al.test"),
        ('"a b/.."@[192.0.2.1]', "a b/..@[192.0.2.1]"),
    ],
)
def test_every_address_is_an_account(address: str, account: str) -> None:
    verifyObject(IRecipientResolver, DevResolver())
    assert DevResolver().resolve(Address.parse(address)) == Local(account)


def test_the_bare_postmaster() -> None:
    assert DevResolver().resolve(Address("Postmaster", "")) == Local("postmaster@localhost")


def test_a_domain_that_cannot_be() -> None:
    assert isinstance(DevResolver().resolve(Address.parse("a@☃.test")), Refused)


@pytest.mark.parametrize(
    ("login", "name"),
    [("Ann@Example.test", "ann@example.test"), ("ann", "ann@localhost"), ("a+b@c", "a+b@c")],
)
def test_anybody_may_log_in(door: Authenticator, login: str, name: str) -> None:
    account = log_in(door, login, "dev")
    verifyObject(IMailAccount, account)
    assert account.name == name
    assert account.inbox() == f"inbox of {name}"
    assert account.owns(Address.parse("somebody@else.test"))


@pytest.mark.parametrize(
    ("login", "password"), [("ann", "Dev"), ("ann", ""), ("", "dev"), ("@x", "dev"), ("a\0", "dev")]
)
def test_not_with_another_password_or_no_name(door, login: str, password: str) -> None:
    with pytest.raises(LoginFailed):
        log_in(door, login, password)


def test_scram(door: Authenticator) -> None:
    assert "SCRAM-SHA-256" in door.mechanisms
    client = client_mechanism("SCRAM-SHA-256", "ann", b"dev", {}, "clientnonce")
    server = server_mechanism("SCRAM-SHA-256", {}, "servernonce")
    step = server.step(client.initial())
    assert isinstance(step, NeedVerifier)
    step = server.verifier(now(door.scram_verifier(step.login, session())))
    step = server.step(client.respond(step.data))
    assert isinstance(step, Proved)
    assert now(door.login(VerifiedIdentity(step.login.encode()), session())).name == "ann@localhost"


@implementer(IUsernameHashedPassword)
class Apop:
    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.digest = hashlib.md5(b"<1@x>" + password).digest()

    def checkPassword(self, password: bytes) -> bool:
        return hashlib.md5(b"<1@x>" + password).digest() == self.digest


def test_apop(door: Authenticator) -> None:
    assert "APOP" in door.mechanisms
    assert now(door.login(Apop(b"ann", b"dev"), session())).name == "ann@localhost"
    with pytest.raises(LoginFailed):
        now(door.login(Apop(b"ann", b"wrong"), session()))
