"""The example realm, as a user of mailframe would have it: mail goes in, POP3 hands it out."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.mail.interfaces import IMailboxPOP3
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.custom import RealmParts, load_realm, parts_of_realm
from mailframe.accounts.throttle import LoginThrottle
from mailframe.core.address import Address
from mailframe.core.ids import IdSource
from mailframe.core.resolution import Local, Refused
from mailframe.errors import LoginFailed, MailboxBusy
from mailframe.interfaces import IJournal, IMailStore, IRecipientResolver
from mailframe.runtime.workers import InlineWorkers
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.pop3 import Pop3Factory, Pop3Limits
from tests.unit.accounts.house import log_in, now
from tests.unit.accounts.stored import Stored

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "examples"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealmParts]:
    monkeypatch.syspath_prepend(EXAMPLES)
    yield parts_of_realm(load_realm("dict_realm:DictRealm"), InlineWorkers())
    sys.modules.pop("dict_realm")


def door(parts: RealmParts) -> Authenticator:
    return Authenticator(parts.realm, [parts.checker], LoginThrottle(Clock()), secret=b"s" * 32)


def deliver(parts: RealmParts, account: str, content: bytes, chunk: int = 7) -> None:
    prefix = b"Delivered-To: " + account.encode() + b"\r\n"
    message = Stored(content, chunk=chunk)
    info = now(parts.store.deliver(account, "", message, prefix, "Q1/1", False))
    assert info.size == len(prefix) + len(content)
    assert all(source.closed for source in message.sources)


def test_it_is_small() -> None:
    assert len((EXAMPLES / "dict_realm.py").read_text().splitlines()) <= 60


def test_its_interfaces(parts: RealmParts) -> None:
    verifyObject(IRecipientResolver, parts.resolver)
    verifyObject(IMailStore, parts.store)
    verifyObject(IMailboxPOP3, parts.store.mailboxes["ann@example.test"])


def test_whose_address_it_is(parts: RealmParts) -> None:
    assert parts.resolver.resolve(Address.parse("Ann@example.test")) == Local("ann@example.test")
    refused = parts.resolver.resolve(Address.parse("nobody@example.test"))
    assert isinstance(refused, Refused)
    assert refused.reply.enhanced == "5.1.1"
    assert now(parts.store.room("ann@example.test", 10**9))


def test_who_gets_in(parts: RealmParts) -> None:
    account = log_in(door(parts), "ann@example.test", "secret")
    assert account.name == "ann@example.test"
    assert now(account.owns(Address.parse("ANN@example.test")))
    assert not now(account.owns(Address.parse("bob@example.test")))
    for login, password in (("ann@example.test", "hidden"), ("nobody@example.test", "secret")):
        with pytest.raises(LoginFailed):
            log_in(door(parts), login, password)


def test_mail_in_and_out(parts: RealmParts) -> None:
    deliver(parts, "ann@example.test", b"Subject: one\r\n\r\nfirst\r\n")
    deliver(parts, "bob@example.test", b"Subject: other\r\n\r\nnot hers\r\n")
    inbox = log_in(door(parts), "ann@example.test", "secret").inbox()
    now(inbox.lock())
    with pytest.raises(MailboxBusy):
        now(log_in(door(parts), "ann@example.test", "secret").inbox().lock())
    (info,) = now(inbox.messages())
    source = now(inbox.open(info.uid))
    content = now(source.read(10_000))
    source.close()
    assert content.endswith(b"\r\n\r\nfirst\r\n")
    assert len(content) == info.size == source.size
    deliver(parts, "ann@example.test", b"Subject: two\r\n\r\nmeanwhile\r\n")
    assert now(inbox.remove([info.uid])) == frozenset()
    now(inbox.unlock())
    left = now(log_in(door(parts), "ann@example.test", "secret").inbox().messages())
    assert len(left) == 1
    assert left[0].uid != info.uid


@implementer(IJournal)
class Silence:
    def record(self, id, step, result="", *, session="", **detail) -> None:
        pass


def test_a_pop3_session(parts: RealmParts) -> None:
    deliver(parts, "ann@example.test", b"Subject: one\r\n\r\n.dot\r\n")
    clock = Clock()
    counter = itertools.count()
    factory = Pop3Factory(
        "mx.host.test",
        "pop3",
        door(parts),
        journal=Silence(),
        ids=IdSource(clock.seconds, 1),
        nonces=lambda: f"nonce{next(counter)}",
        clock=clock,
        connections=ConnectionCounter(0, 0),
        limits=Pop3Limits(allow_plaintext=True),
    )

    def talk(*commands: bytes) -> bytes:
        connection, transport = factory.buildProtocol(None), StringTransport()
        connection.makeConnection(transport)
        for command in commands:
            connection.dataReceived(command + b"\r\n")
            clock.advance(1)
        return transport.value()

    login = (b"USER ann@example.test", b"PASS secret")
    said = talk(*login, b"STAT", b"RETR 1", b"DELE 1", b"QUIT")
    assert b"\r\n..dot\r\n.\r\n" in said
    assert b"-ERR" not in said
    assert b"+OK 0 0" in talk(*login, b"STAT", b"QUIT")
