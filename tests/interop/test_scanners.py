"""Our clients against the filters themselves: milters (opendkim, pymilter), rspamd, spamd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag
from mailframe.errors import Failure
from mailframe.interfaces import IContent, IMessageSource
from mailframe.scanners.milter import UNAVAILABLE, MilterPolicy
from mailframe.scanners.rspamd import RspamdPolicy
from mailframe.scanners.spamd import SpamdPolicy
from tests.interop.peers.process import Process, free_port
from tests.interop.peers.scanners import OpenDkim, every_milter, rspamd, spamd

HEADER = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: a folded\r\n\tsubject\r\n"
    b"Date: Mon, 23 Nov 2026 05:50:04 +0000\r\nMessage-Id: <1@example.org>\r\n"
    b"X-Two:one\r\nX-Two: two\r\n"
)
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


@implementer(IMessageSource)
class Source:
    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._octets = octets

    async def read(self, octets: int) -> bytes:
        chunk, self._octets = self._octets[:octets], self._octets[octets:]
        return chunk

    def close(self) -> None:
        self._octets = b""


@implementer(IContent)
@dataclass
class Content:
    header: bytes = HEADER
    body: bytes = b"Hello.\r\n"
    added: bytes = b""
    queue_id: str = "Q1"
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.header) + 2 + len(self.body)

    async def open(self) -> IMessageSource:
        return Source(self.header + b"\r\n" + self.body)

    async def open_body(self) -> IMessageSource:
        return Source(self.body)


def wishing(*wishes: str, body: bytes = b"Hello.\r\n") -> Content:
    return Content(HEADER + f"X-Do: {'; '.join(wishes)}\r\n".encode(), body)


class Client:
    """What a policy sees of an SMTP session."""

    _count = 0

    def __init__(self, policy: MilterPolicy, **facts: Any) -> None:
        Client._count += 1
        self.policy = policy
        self.session = Session(f"S{Client._count}", Role.MX, "mx", "192.0.2.1", 4711, **facts)
        self.envelope = Envelope(None)

    async def begin(self, helo: str = "mail.sender.example") -> Reply | None:
        connected = await answer(self.policy.connect(self.session))
        assert connected is None
        self.session.helo = helo
        return await answer(self.policy.helo(self.session))  # type: ignore[return-value]

    async def mail(self, sender: str = "x@sender.example") -> Reply | Tag | None:
        self.envelope = Envelope(Address.parse(sender), declared_size=1000)
        return await answer(self.policy.mail(self.session, self.envelope))

    async def rcpt(self, to: str = "ann@example.org", local: bool = True) -> Reply | Tag | None:
        mailbox = Local(to) if local else None
        recipient = Recipient(Address.parse(to), mailbox=mailbox)
        said = await answer(
            self.policy.recipient(self.session, self.envelope, recipient, Local(to))
        )
        if not isinstance(said, Reply):
            recipients = (*self.envelope.recipients, recipient)
            self.envelope = Envelope(self.envelope.reverse_path, recipients)
        return said

    async def data(self, content: Content) -> Reply | Tag | None:
        return await answer(self.policy.message(self.session, self.envelope, content))

    async def send(self, content: Content) -> Reply | Tag | None:
        assert not isinstance(await self.mail(), Reply)
        assert not isinstance(await self.rcpt(), Reply)
        return await self.data(content)

    def end(self) -> None:
        self.policy.disconnected(self.session)


async def answer(verdict: Any) -> Reply | Tag | None:
    try:
        said: Reply | Tag | None = await verdict
    except Failure as failure:
        return failure.reply
    return said


def policy_of(*milters: str, **options: Any) -> MilterPolicy:
    options = {"timeout": 2.0} | options
    return MilterPolicy(milters, reactor=reactor, hostname="mail.example.org", **options)


@pytest.fixture
def started(stack: ExitStack) -> Any:
    """Ends the process with the test."""

    def start(made: tuple[Process, Any]) -> Any:
        stack.callback(made[0].stop, 1)
        return made[1]

    return start


@pytest.fixture
def every(directory: Path, started: Any) -> str:
    address: str = started(every_milter(directory))
    return address


@pytest.fixture
def client(every: str) -> Iterator[Client]:
    made = Client(policy_of(every))
    yield made
    made.end()
    assert len(made.policy) == 0


# pymilter


@pytest_twisted.ensureDeferred
async def test_a_milter_hears_everything(client: Client) -> None:
    assert await client.begin() is None
    client.session.account = "ann@example.org"
    tag = await client.send(wishing("watch", body=b"x" * 200_000))
    assert isinstance(tag, Tag)
    heard = [value for name, value in tag.headers if name == "X-Heard"]
    assert heard[:4] == [
        "connect [192.0.2.1] ('192.0.2.1', 4711)",
        "helo mail.sender.example",
        "mail <x@sender.example> SIZE=1000 auth=ann@example.org",
        "rcpt <ann@example.org>",
    ]
    assert "header Subject='a folded\\n\\tsubject'" in heard
    assert "header X-Two='one'" in heard
    assert heard[-1] == "body 200000"
    assert tag.amendment is None


@pytest_twisted.ensureDeferred
async def test_every_change_is_carried_out(client: Client) -> None:
    await client.begin()
    wishes = ("insert", "change", "remove", "recipients", "sender", "body")
    tag = await client.send(wishing(*wishes))
    assert isinstance(tag, Tag)
    assert tag.headers == (("X-Inserted", "first\r\n\tand folded"),)
    amendment = tag.amendment
    assert amendment is not None
    assert {(c.name, c.occurrence, c.value) for c in amendment.header} == {
        ("Subject", 1, "Changed"),
        ("X-Two", 2, None),
    }
    assert amendment.body == b"new body\r\n" * 30_000
    assert amendment.sender == Address.parse("other@sender.example")
    assert amendment.added == (Address.parse("more@example.org"),)
    assert amendment.removed == (Address.parse("ann@example.org"),)
    assert tag.folder == ""


@pytest.mark.parametrize(
    ("wish", "reply"),
    [
        ("reject", "550 5.7.1 Refused by a filter"),
        ("reject at eoh", "550 5.7.1 Refused by a filter"),
        ("tempfail", "451 4.7.1 Put off by a filter, please try again later"),
        ("reply", "554 5.7.1 Not this one"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_message_is_refused(client: Client, wish: str, reply: str) -> None:
    await client.begin()
    assert str(await client.send(wishing(wish))) == reply
    # the session goes on
    assert isinstance(await client.send(wishing("insert")), Tag)


@pytest_twisted.ensureDeferred
async def test_sender_and_recipients_are_refused(client: Client) -> None:
    await client.begin()
    assert str(await client.mail("reject@x.example")) == "550 5.7.1 Refused by a filter"
    assert await client.mail() is None
    said = await client.rcpt("reply@example.org")
    assert isinstance(said, Reply)
    assert (said.code, said.text) == (451, "Come back 100% later\nand bring cake")
    assert await client.rcpt("ann@example.org") is None
    assert isinstance(await client.data(wishing("insert")), Tag)


@pytest_twisted.ensureDeferred
async def test_helo_is_refused_and_another_heard(client: Client) -> None:
    assert str(await client.begin("reject.example")) == "550 5.7.1 Not by that name"
    client.session.helo = "good.example"
    assert await answer(client.policy.helo(client.session)) is None
    tag = await client.send(wishing("watch"))
    assert isinstance(tag, Tag)
    assert ("X-Heard", "helo good.example") in tag.headers


@pytest.mark.parametrize("wish", ["discard", "quarantine"])
@pytest_twisted.ensureDeferred
async def test_what_should_vanish_goes_to_junk(client: Client, wish: str) -> None:
    await client.begin()
    tag = await client.send(wishing(wish))
    assert isinstance(tag, Tag)
    assert tag.folder == "Junk"
    # mail that leaves has no folder
    await client.mail()
    await client.rcpt("bob@example.net", local=False)
    assert str(await client.data(wishing(wish))) == "550 5.7.1 Refused by a filter"


@pytest_twisted.ensureDeferred
async def test_discard_before_the_message_is_remembered(client: Client) -> None:
    await client.begin()
    await client.mail("discard@x.example")
    assert await client.rcpt() is None
    tag = await client.data(wishing("reject"))
    assert isinstance(tag, Tag)
    assert tag.folder == "Junk"
    tag = await client.send(wishing("insert"))
    assert isinstance(tag, Tag)
    assert tag.folder == ""


@pytest_twisted.ensureDeferred
async def test_accept_ends_the_questions_about_one_message(client: Client) -> None:
    await client.begin()
    await client.mail("accept@x.example")
    await client.rcpt()
    assert isinstance(await client.data(wishing("reject")), Tag)
    assert isinstance(await client.send(wishing("reject")), Reply)


@pytest_twisted.ensureDeferred
async def test_skip_and_progress(client: Client) -> None:
    await client.begin()
    tag = await client.send(wishing("skip", "watch", "progress", body=b"x" * 300_000))
    assert isinstance(tag, Tag)
    assert ("X-Heard", "body 65535") in tag.headers


@pytest_twisted.ensureDeferred
async def test_one_after_the_other_and_each_sees_the_changes(
    every: str, directory: Path, started: Any
) -> None:
    second = started(every_milter(directory))
    client = Client(policy_of(every, second))
    await client.begin()
    tag = await client.send(wishing("change", "remove", "body", "watch"))
    assert isinstance(tag, Tag)
    heard = [value for name, value in tag.headers if name == "X-Heard"]
    assert "header Subject='a folded\\n\\tsubject'" in heard
    assert "header Subject='Changed'" in heard
    assert "body 8" in heard
    assert "body 300000" in heard
    client.end()


@pytest.mark.parametrize("accepts", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_milter_that_dies_is_on_error(directory: Path, started: Any, accepts: bool) -> None:
    client = Client(policy_of(started(every_milter(directory)), accepts_on_error=accepts))
    await client.begin()
    await client.mail()
    said = await client.rcpt("die@example.org")
    if accepts:
        assert isinstance(said, Tag)
        assert isinstance(await client.data(wishing("reject")), Tag)
        assert isinstance(await client.mail(), Tag)
    else:
        assert said == UNAVAILABLE
        assert await client.data(Content()) == UNAVAILABLE
        assert await client.mail() == UNAVAILABLE
    client.end()


@pytest_twisted.ensureDeferred
async def test_a_slow_milter_costs_its_timeout(client: Client) -> None:
    await client.begin()
    start = reactor.seconds()  # type: ignore[attr-defined]
    assert await client.mail("slow@x.example") == UNAVAILABLE
    assert 1.9 < reactor.seconds() - start < 3.5  # type: ignore[attr-defined]
    assert await client.mail() is None
    assert isinstance(await client.rcpt(), Reply | None)
    tag = await client.data(wishing("watch"))
    assert isinstance(tag, Tag)
    assert ("X-Heard", "helo mail.sender.example") in tag.headers


@pytest.mark.parametrize("accepts", [False, True])
@pytest_twisted.ensureDeferred
async def test_nobody_listens(directory: Path, started: Any, accepts: bool) -> None:
    client = Client(policy_of(f"inet:127.0.0.1:{free_port()}", accepts_on_error=accepts))
    assert await client.begin() is None
    said = await client.mail()
    assert isinstance(said, Tag) if accepts else said == UNAVAILABLE
    client.end()


# opendkim


@pytest_twisted.ensureDeferred
async def test_opendkim_signs_what_users_send_and_verifies_it(
    directory: Path, started: Any
) -> None:
    dkim = OpenDkim(directory)
    signer = Client(policy_of(started(dkim.start("s")), timeout=10))
    await signer.begin()
    tag = await signer.send(Content())
    assert isinstance(tag, Tag)
    assert tag.headers == (), "a stranger's mail is not signed"
    signer.session.account, signer.session.mechanism = "ann@example.org", "PLAIN"
    tag = await signer.send(Content())
    assert isinstance(tag, Tag)
    signature = dict(tag.headers)["DKIM-Signature"]
    assert "d=example.org" in re.sub(r"\s+", " ", signature)
    signer.end()
    verifier = Client(policy_of(started(dkim.start("v")), timeout=10))
    await verifier.begin()
    signed = f"DKIM-Signature: {signature}\r\n".encode() + HEADER
    for body, result in ((b"Hello.\r\n", "dkim=pass"), (b"Hullo.\r\n", "dkim=fail")):
        tag = await verifier.send(Content(signed, body))
        assert isinstance(tag, Tag)
        assert result in dict(tag.headers)["Authentication-Results"]
    verifier.end()


@pytest_twisted.ensureDeferred
async def test_opendkim_removes_forged_results(directory: Path, started: Any) -> None:
    client = Client(policy_of(started(OpenDkim(directory).start("v")), timeout=10))
    await client.begin()
    forged = b"Authentication-Results: mail.example.org; dkim=pass\r\n" + HEADER
    tag = await client.send(Content(forged))
    assert isinstance(tag, Tag)
    assert tag.amendment is not None
    (change,) = tag.amendment.header
    assert (change.name, change.occurrence, change.value) == ("Authentication-Results", 1, None)
    client.end()


# rspamd and spamd


def envelope() -> Envelope:
    recipient = Recipient(Address.parse("ann@example.org"), mailbox=Local("ann@example.org"))
    return Envelope(Address.parse("x@sender.example"), (recipient,))


def stranger() -> Session:
    return Session("S1", Role.MX, "mx", "192.0.2.1", helo="mail.sender.example", esmtp=True)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_rspamd(directory: Path, started: Any) -> None:
    url = started(rspamd(directory))
    asked = RspamdPolicy(url, reactor=reactor, hostname="mail.example.org", timeout=20)
    tag = await answer(asked.message(stranger(), envelope(), Content()))
    assert isinstance(tag, Tag)
    assert "not asked" not in tag.reason, tag.reason
    large = Content(body=(b"x" * 70 + b"\r\n") * 100_000)
    tag = await answer(asked.message(stranger(), envelope(), large))
    assert isinstance(tag, Tag)
    assert "not asked" not in tag.reason, tag.reason
    said = await answer(asked.message(stranger(), envelope(), Content(body=GTUBE)))
    assert str(said) == "550 5.7.1 The message looks like spam"
    lenient = RspamdPolicy(url, reactor=reactor, hostname="m.test", follows_actions=False)
    tag = await answer(lenient.message(stranger(), envelope(), Content(body=GTUBE)))
    assert isinstance(tag, Tag)
    assert tag.reason.startswith("reject")


@pytest_twisted.ensureDeferred
async def test_no_rspamd_and_no_spamd_have_no_opinion() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    asked: Any = RspamdPolicy(url, reactor=reactor, hostname="m.test", timeout=2)
    tag = await answer(asked.message(stranger(), envelope(), Content()))
    assert isinstance(tag, Tag)
    assert "not asked" in tag.reason
    asked = SpamdPolicy(
        f"127.0.0.1:{port}", is_stranger=bool, reactor=reactor, hostname="m.test", timeout=2
    )
    tag = await answer(asked.message(stranger(), envelope(), Content()))
    assert isinstance(tag, Tag)
    assert "not asked" in tag.reason


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_spamd(directory: Path, started: Any) -> None:
    port = started(spamd(directory))

    def policy(**options: Any) -> SpamdPolicy:
        return SpamdPolicy(
            f"127.0.0.1:{port}",
            is_stranger=bool,
            reactor=reactor,
            hostname="mail.example.org",
            **options,
        )

    tag = await answer(policy().message(stranger(), envelope(), Content()))
    assert isinstance(tag, Tag)
    assert tag.reason.startswith("ham 0.5/5"), tag
    assert "FROM_OUR_RECEIVED" in tag.reason
    bad = Content(HEADER.replace(b"ann@", b"bad@"), (b"x" * 70 + b"\r\n") * 20_000)
    tag = await answer(policy(weight=2).message(stranger(), envelope(), bad))
    assert isinstance(tag, Tag)
    assert [(s.name, s.weight) for s in tag.symbols] == [("SPAMASSASSIN", 14.0)]
    said = await answer(policy(rejects=True).message(stranger(), envelope(), bad))
    assert str(said) == "550 5.7.1 The message looks like spam"
