"""rspamd's and spamd's clients against servers of nonsense, too much, too late, nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import protocol, reactor
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import Authentication, IprevResult, Result
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session, TlsFacts
from mailframe.core.verdict import Findings, Tag
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IMessagePolicy
from mailframe.runtime.aio import as_deferred
from mailframe.scanners.rspamd import RspamdPolicy
from mailframe.scanners.spamd import SpamdFailed, SpamdPolicy, read_opinion, spamd_endpoint
from tests.unit.scanners.contents import Content


class Canned(protocol.Protocol):
    """Waits for ``enough`` octets, says its piece, and hangs up where it may."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def dataReceived(self, data: bytes) -> None:
        self.server.heard += data
        if self.server.answer is None or len(self.server.heard) < self.server.enough:
            return
        self.transport.write(self.server.answer)
        self.transport.loseConnection()

    def connectionLost(self, reason: object = None) -> None:
        self.server.open -= 1

    def connectionMade(self) -> None:
        self.server.open += 1


class Server:
    def __init__(self) -> None:
        self.heard = bytearray()
        self.answer: bytes | None = None
        self.enough = 1
        self.open = 0
        factory = protocol.Factory()
        factory.buildProtocol = lambda _: Canned(self)  # type: ignore[method-assign]
        self.port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port.getHost().port}"


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    yield made
    await made.port.stopListening()


def client() -> Session:
    found = Findings(Authentication(iprev=IprevResult(Result.PASS, "192.0.2.1", "mail.a.example")))
    return Session(
        "S1",
        Role.MX,
        "mx",
        "192.0.2.1",
        helo="helo\r\nX-Evil: yes",
        esmtp=True,
        tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        found=found,
    )


ENVELOPE = Envelope(
    Address.parse("α@sender.example"),
    tuple(
        Recipient(Address.parse(f"{name}@example.org"), mailbox=Local(f"{name}@example.org"))
        for name in ("ann", "bob")
    ),
)


def rspamd(server: Server, **options: Any) -> RspamdPolicy:
    options = {"timeout": 1.0} | options
    return RspamdPolicy(f"http://{server.address}/", reactor=reactor, hostname="m.test", **options)


def spamd(server: Server, **options: Any) -> SpamdPolicy:
    options = {"timeout": 1.0, "is_stranger": lambda session: True} | options
    return SpamdPolicy(server.address, reactor=reactor, hostname="m.test", **options)


async def ask(policy: Any, content: Content | None = None, envelope: Envelope = ENVELOPE) -> Tag:
    content = content or Content()
    try:
        tag = await as_deferred(policy.message(client(), envelope, content))
    finally:
        assert all(source.is_closed for source in content.sources)
    assert isinstance(tag, Tag)
    return tag


def http(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def opinion(**facts: Any) -> bytes:
    return http(
        json.dumps({"score": 3.5, "required_score": 15, "action": "no action"} | facts).encode()
    )


def test_they_provide_their_interface() -> None:
    verifyObject(IMessagePolicy, RspamdPolicy("http://x", reactor=reactor, hostname="m"))
    verifyObject(IMessagePolicy, SpamdPolicy("/s", is_stranger=bool, reactor=reactor, hostname="m"))


@pytest_twisted.ensureDeferred
async def test_what_rspamd_is_told(server: Server) -> None:
    symbols = {"A": {"score": 1.0}, "B": {"score": -5}, "C": {"score": 0}, "D": 3}
    server.answer = opinion(symbols=symbols)
    server.enough = 700
    body = b"x" * 300_000
    tag = await ask(rspamd(server, password="secret", weight=2), Content(body=body))
    assert tag.reason == "no action 3.5/15 B, A"
    assert [(s.name, s.weight, s.detail) for s in tag.symbols] == [("RSPAMD", 7.0, "no action 3.5")]
    header = bytes(server.heard).partition(b"\r\n\r\n")[0]
    lines = header.split(b"\r\n")
    assert lines[0] == b"POST /checkv2 HTTP/1.1"
    for line in (
        b"From: \xce\xb1@sender.example",
        b"Rcpt: ann@example.org",
        b"Rcpt: bob@example.org",
        b"Helo: helo??X-Evil: yes",
        b"Hostname: mail.a.example",
        b"Queue-Id: Q1",
        b"Password: secret",
        b"Content-Length: " + str(14 + Content().size - 8 + len(body)).encode(),
    ):
        assert line.lower() in [each.lower() for each in lines], line
    assert b"IP: 192.0.2.1".lower() in header.lower()


@pytest.mark.parametrize(
    ("action", "code"), [("reject", 550), ("soft reject", 451), ("greylist", 451)]
)
@pytest_twisted.ensureDeferred
async def test_rspamds_actions(server: Server, action: str, code: int) -> None:
    server.answer = opinion(action=action)
    with pytest.raises((PermanentFailure, TransientFailure)) as caught:
        await ask(rspamd(server))
    assert caught.value.reply.code == code
    assert action in caught.value.detail
    assert (await ask(rspamd(server, follows_actions=False))).symbols


@pytest_twisted.ensureDeferred
async def test_without_weight_only_actions_count(server: Server) -> None:
    server.answer = opinion(action="add header")
    assert (await ask(rspamd(server, weight=0))).symbols == ()


NONSENSE = {
    "closed": b"",
    "no http": b"220 smtp.example ESMTP\r\n",
    "error": http(b"{}", "500 Oops"),
    "no json": http(b"<html>"),
    "no object": http(b"[1]"),
    "no score": http(b'{"error": "no such"}'),
    "a word": opinion(score="high"),
    "infinite": http(b'{"score": Infinity}'),
    "endless": http(b'{"score": 1' + b"0" * 4000 + b"}"),
    "no number": http(b'{"score": NaN}'),
    "true": opinion(score=True),
    "nested": http(b"[" * 200_000),
    "too long": http(b" " * (2 << 20)),
    "cut off": http(b'{"score": 1', length=500),
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
@pytest_twisted.ensureDeferred
async def test_rspamds_nonsense_is_no_opinion(server: Server, answer: bytes) -> None:
    server.answer = answer
    tag = await ask(rspamd(server))
    assert tag.reason.startswith("not asked: ")
    assert tag.symbols == ()


@pytest.mark.parametrize("make", [rspamd, spamd])
@pytest_twisted.ensureDeferred
async def test_silence_costs_the_timeout(server: Server, make: Callable[..., Any]) -> None:
    start = reactor.seconds()  # type: ignore[attr-defined]
    tag = await ask(make(server, timeout=0.5), Content(body=b"x" * 5_000_000))
    assert "no answer within 0.5 s" in tag.reason
    assert 0.4 < reactor.seconds() - start < 2  # type: ignore[attr-defined]


SPAM = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 8\r\nSpam: True ; 9.5 / 5.0\r\n\r\nAA,BB,CC"


@pytest_twisted.ensureDeferred
async def test_what_spamd_is_told(server: Server) -> None:
    server.answer, server.enough = SPAM, 500_000
    tag = await ask(spamd(server, user="mail\r\nX: y", weight=0.5), Content(body=b"x" * 500_000))
    assert tag.reason == "spam 9.5/5 AA, BB, CC"
    assert [(s.name, s.weight) for s in tag.symbols] == [("SPAMASSASSIN", 4.75)]
    head, _, rest = bytes(server.heard).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"SYMBOLS SPAMC/1.5"
    assert lines[1] == f"Content-length: {len(rest)}".encode()
    assert lines[2] == b"User: mail??X:?y"
    assert rest.startswith("X-Envelope-From: <α@sender.example>\r\nReceived: from ".encode())
    assert b"[192.0.2.1]" in rest[:300]


@pytest_twisted.ensureDeferred
async def test_whose_preferences_count(server: Server) -> None:
    server.answer = SPAM
    await ask(spamd(server))
    assert b"User:" not in server.heard
    one = Envelope(None, ENVELOPE.recipients[:1])
    await ask(spamd(server), envelope=one)
    assert b"User: ann@example.org\r\n" in server.heard


@pytest_twisted.ensureDeferred
async def test_spamd_is_asked_about_strangers_only(server: Server) -> None:
    policy = spamd(server, is_stranger=lambda session: False)
    assert await policy.message(client(), ENVELOPE, Content()) is None
    assert server.heard == b""


@pytest_twisted.ensureDeferred
async def test_what_spamd_calls_spam_may_be_refused(server: Server) -> None:
    server.answer = SPAM
    with pytest.raises(PermanentFailure) as caught:
        await ask(spamd(server, rejects=True))
    assert str(caught.value.reply) == "550 5.7.1 The message looks like spam"
    server.answer = SPAM.replace(b"True", b"False")
    assert (await ask(spamd(server, rejects=True))).reason.startswith("ham")


BAD = [
    b"",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"SPAMD/1.1 76 Bad header line\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; inf / 5\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 1 / 5\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; " + b"9" * 400 + b" / 5\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\n" + b"x" * 400_000,
]


@pytest.mark.parametrize("answer", BAD, ids=range(len(BAD)))
@pytest_twisted.ensureDeferred
async def test_spamds_nonsense_is_no_opinion(server: Server, answer: bytes) -> None:
    server.answer = answer
    tag = await ask(spamd(server))
    assert tag.reason.startswith("not asked: ")
    assert tag.symbols == ()


def test_rules_are_made_harmless() -> None:
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1.5 / 5.0\r\n\r\nA, B\r\nC,,\xff\0"
    assert read_opinion(answer).rules == ("A", "B??C", "??")
    with pytest.raises(SpamdFailed):
        read_opinion(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1,5 / 5\r\n\r\n")


@pytest.mark.parametrize("address", ["", "host", ":783", "host:", "host:0", "host:65536", "h:x"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="neither host:port"):
        spamd_endpoint(address, reactor, 1)


@pytest.mark.parametrize("address", ["127.0.0.1:783", "[::1]:783", "host:783", "/run/spamd.sock"])
def test_addresses(address: str) -> None:
    assert spamd_endpoint(address, reactor, 1) is not None
