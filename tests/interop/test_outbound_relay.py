"""Our couriers to real servers: Postfix by MX and DNS, smtp-sink, aiosmtpd, programs."""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery import HopCourier, MxCourier, PipeCourier, Router
from mailframe.delivery.dialler import Dialler
from mailframe.delivery.hosts import Timeouts
from mailframe.delivery.sender import Sender
from mailframe.delivery.targets import MxTargets
from mailframe.dns import DnsResolver
from mailframe.interfaces import Arrival, Batch, IMessageSource, IStoredMessage
from mailframe.runtime.workers import InlineWorkers
from mailframe.tls.contexts import TlsContexts
from tests.interop.peers.certificates import self_signed
from tests.interop.peers.dns import Dns
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import (
    Process,
    free_port,
    listens,
    loopback_address,
    need,
)

TEXT = (
    b"From: ann@sender.test\r\nSubject: hello\r\nMessage-Id: <1@sender.test>\r\n"
    b"Date: Mon, 23 Nov 2026 05:50:04 +0000\r\n\r\nHello.\r\n.\r\n..\r\n.dot\r\nEnd.\r\n"
)


@implementer(IMessageSource)
class Source:
    """``size`` octets of a head and lines of z, made up as they are read."""

    def __init__(self, head: bytes, size: int) -> None:
        self.size = size
        self._left = size
        self._head = head

    async def read(self, octets: int) -> bytes:
        count = min(octets, self._left)
        self._left -= count
        chunk, self._head = self._head[:count], self._head[count:]
        while len(chunk) < count:
            chunk += (b"z" * 62 + b"\r\n")[: count - len(chunk)] * ((count - len(chunk)) // 64 or 1)
        return chunk

    def close(self) -> None:
        pass


@implementer(IStoredMessage)
class Stored:
    def __init__(self, data: bytes = TEXT, size: int | None = None, **envelope: Any) -> None:
        self.queue_id = "TESTQUEUEID1"
        sender = envelope.pop("reverse_path", Address.parse("ann@sender.test"))
        self.envelope = Envelope(sender, **envelope)
        self.arrival = Arrival()
        self.arrived = 0.0
        self.size = len(data) if size is None else size
        self.octets: bytes | None = None
        self._data = data

    async def open(self) -> Source:
        return Source(self._data, self.size)


def batch(next_hop: str, *to: str | Recipient, message: Stored | None = None) -> Batch:
    people = tuple(Recipient(Address.parse(one)) if isinstance(one, str) else one for one in to)
    return Batch(message or Stored(), people, next_hop, 1)


class Out:
    """Couriers on the real reactor."""

    def __init__(self, dns: Dns | None = None, port: int = 25, trust: Path | None = None) -> None:
        workers = InlineWorkers()
        clock: Any = reactor
        servers = [(dns.address, 53)] if dns else [("127.0.0.1", 9)]
        self.resolver = DnsResolver(reactor, servers, random.SystemRandom(), timeouts=(1.0,))
        tls = TlsContexts(None, workers, clock, trust_file=str(trust or ""))
        dialler = Dialler(
            reactor,
            tls,
            "mail.sender.test",
            workers=workers,
            random=random.SystemRandom(),
            timeouts=Timeouts(greeting=20, mail=20, rcpt=20, data=20, end=60),
        )
        self.sender = Sender(dialler, workers=workers)
        self.mx = MxCourier(self.sender, MxTargets(self.resolver, random.SystemRandom(), port=port))

    async def hop(self, url: str, *to: str | Recipient, **options: Any) -> list[DeliveryReport]:
        router = Router({"*": url}, None)
        route = router.route(Recipient(Address.parse("x@x.test")))
        courier = HopCourier(route.courier, self.sender, self.resolver, next_hops=router.next_hops)
        return list(await courier.deliver(batch(route.next_hop, *to, **options)))


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait without stopping the reactor, which is ours too."""
    for _ in range(400):
        if condition():
            return
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
    pytest.fail(f"not within 20 s: {what}")


def content(received: bytes) -> bytes:
    """Without the trace fields that the receiver put on top, with CRLF."""
    lines = received.replace(b"\r\n", b"\n")
    return lines[lines.index(b"From: ann@") :].replace(b"\n", b"\r\n")


@pytest.fixture
def postfix(dns: Dns, directory: Path) -> Iterator[Postfix]:
    """mx.dest.test, the MX of dest.test, with a mailbox bea; not started."""
    peer = Postfix(directory, loopback_address(), free_port(), "mx.dest.test")
    dns.start(
        {
            "dest.test": ["MX 10 dead.dest.test.", "MX 20 mx.dest.test."],
            "dead.dest.test": [f"A {loopback_address()}"],
            "mx.dest.test": [f"A {peer.address}"],
        }
    )
    yield peer
    peer.stop()


@pytest_twisted.ensureDeferred
async def test_postfix_by_mx_with_starttls(dns: Dns, postfix: Postfix) -> None:
    postfix.start(mailboxes=["bea@dest.test"])
    out = Out(dns, postfix.port)
    known = Recipient(Address.parse("bea@dest.test"), notify=frozenset({Notify.FAILURE}))
    done, refused = await out.mx.deliver(batch("dest.test", known, "nobody@dest.test"))
    assert done.outcome is Outcome.PASSED_ON  # Postfix offers DSN
    assert re.search(r"queued as", done.reply.text)
    assert (done.remote, done.remote_ip) == ("mx.dest.test", postfix.address)
    assert done.detail.startswith("TLSv1.")
    assert refused.outcome is Outcome.FAILED
    assert str(refused.reply).startswith("550 5.1.1 <nobody@dest.test>")
    for _ in range(9):
        (report,) = await out.mx.deliver(batch("dest.test", "bea@dest.test"))
        assert report.outcome is Outcome.PASSED_ON
    out.sender.close()
    await until(lambda: len(postfix.inbox("bea@dest.test")) == 10, "ten messages arrive")
    assert {content(message) for message in postfix.inbox("bea@dest.test")} == {TEXT}
    assert b"with ESMTPS" in postfix.inbox("bea@dest.test")[0]
    await until(lambda: postfix.log_has(r"disconnect from .* mail=10 "), "one connection for all")


@pytest_twisted.ensureDeferred
async def test_postfix_with_every_extension_taken_away(dns: Dns, postfix: Postfix) -> None:
    keywords = "pipelining, chunking, 8bitmime, smtputf8, dsn, starttls, size"
    postfix.start(mailboxes=["bea@dest.test"], settings={"smtpd_discard_ehlo_keywords": keywords})
    out = Out(dns, postfix.port)
    eight_bit = TEXT.replace(b"Subject", b"Content-Type: text/plain; charset=utf-8\r\nSubject")
    eight_bit = eight_bit.replace(b"Hello.", "Γειά σου Κόσμε.".encode())
    eight_bit = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n" + eight_bit
    message = Stored(eight_bit, body=Body.EIGHT_BIT)
    (report,) = await out.mx.deliver(batch("dest.test", "bea@dest.test", message=message))
    assert report.outcome is Outcome.RELAYED
    assert report.detail == "plain text"
    out.sender.close()
    await until(lambda: postfix.inbox("bea@dest.test"), "it arrives")
    (received,) = postfix.inbox("bea@dest.test")
    assert received.isascii()
    assert b"Content-Transfer-Encoding: base64" in received


@pytest_twisted.ensureDeferred
async def test_postfix_down_then_up(dns: Dns, postfix: Postfix) -> None:
    out = Out(dns, postfix.port)
    (report,) = await out.mx.deliver(batch("dest.test", "bea@dest.test"))
    assert report.outcome is Outcome.DEFERRED
    assert "Connection refused" in report.reply.text
    postfix.start(mailboxes=["bea@dest.test"])
    (report,) = await out.mx.deliver(batch("dest.test", "bea@dest.test"))
    assert report.outcome is Outcome.PASSED_ON


@pytest_twisted.ensureDeferred
async def test_opportunistic_tls_falls_back_when_the_handshake_fails(
    dns: Dns, postfix: Postfix
) -> None:
    settings = {"smtpd_tls_protocols": "TLSv1.1", "tls_medium_cipherlist": "AES128-SHA"}
    postfix.start(mailboxes=["bea@dest.test"], settings=settings)
    out = Out(dns, postfix.port)
    (report,) = await out.mx.deliver(batch("dest.test", "bea@dest.test"))
    assert report.outcome is Outcome.PASSED_ON
    assert report.detail == "plain text"
    url = f"smtp://{postfix.address}:{postfix.port}?tls=required"
    (report,) = await out.hop(url, "bea@dest.test")
    assert report.outcome is Outcome.DEFERRED


@pytest_twisted.ensureDeferred
async def test_a_certificate_is_verified_where_that_is_asked(
    dns: Dns, postfix: Postfix, directory: Path
) -> None:
    postfix.start(mailboxes=["bea@dest.test"])
    url = f"smtp://mx.dest.test:{postfix.port}?tls=required&verify=yes"
    (report,) = await Out(dns).hop(url, "bea@dest.test")
    assert report.outcome is Outcome.DEFERRED
    trusting = Out(dns, trust=directory / "cert.pem")
    (report,) = await trusting.hop(url, "bea@dest.test")
    assert report.outcome is Outcome.PASSED_ON
    (report,) = await trusting.hop(url.replace("mx.dest", "dead.dest"), "bea@dest.test")
    assert report.outcome is Outcome.DEFERRED


def open_to_all(directory: Path) -> Path:
    """smtp-sink changes to a user without rights before it makes its files."""
    directory.chmod(0o777)
    return directory


@pytest.mark.parametrize("options", [[], ["-p"], ["-8"], ["-n", "100"]])
@pytest_twisted.ensureDeferred
async def test_smtp_sink_gets_every_dot(directory: Path, options: list[str]) -> None:
    need("smtp-sink")
    port = free_port()
    command = ["smtp-sink", "-u", "nobody", *options, "-D", "%M.", f"127.0.0.1:{port}", "10"]
    process = Process(command, directory / "log", cwd=open_to_all(directory))
    process.wait_for(lambda: listens("127.0.0.1", port), "smtp-sink listens")
    try:
        out = Out()
        (report,) = await out.hop(f"smtp://127.0.0.1:{port}", "bea@dest.test")
        assert report.outcome is Outcome.PASSED_ON
        out.sender.close()
        dumps = lambda: [path for path in directory.iterdir() if path.name[:1].isdigit()]
        await until(lambda: dumps() and content(dumps()[0].read_bytes()).strip(), "it is dumped")
        await until(
            lambda: content(dumps()[0].read_bytes()).strip() == TEXT.strip(), "all of it is there"
        )
    finally:
        process.stop()


@pytest_twisted.ensureDeferred
async def test_smtp_sink_by_lmtp_over_a_unix_socket(directory: Path) -> None:
    need("smtp-sink")
    socket = open_to_all(directory) / "lmtp"
    process = Process(
        ["smtp-sink", "-u", "nobody", "-L", f"unix:{socket}", "10"], directory / "log"
    )
    process.wait_for(socket.exists, "smtp-sink listens")
    try:
        out = Out()
        reports = await out.hop(f"lmtp+unix:{socket}", "a@dest.test", "b@dest.test")
        assert {report.outcome for report in reports} == {Outcome.PASSED_ON}
    finally:
        process.stop()


@pytest.mark.parametrize("when", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("how", ["-f", "-r", "-q"])
@pytest_twisted.ensureDeferred
async def test_smtp_sink_misbehaves(directory: Path, how: str, when: str) -> None:
    """-f: 500 for the command, -r: 450, -q: disconnects."""
    need("smtp-sink")
    port = free_port()
    command = ["smtp-sink", "-u", "nobody", how, when, f"127.0.0.1:{port}", "10"]
    process = Process(command, directory / "log")
    process.wait_for(lambda: listens("127.0.0.1", port), "smtp-sink listens")
    try:
        out = Out()
        (report,) = await out.hop(f"smtp://127.0.0.1:{port}", "bea@dest.test")
        hard = how == "-f" and when in ("MAIL", "RCPT", "DATA", ".")
        hello = how == "-f" and when == "EHLO"  # HELO does
        expected = Outcome.FAILED if hard else Outcome.DEFERRED
        assert report.outcome is (Outcome.RELAYED if hello else expected), report
        out.sender.close()
    finally:
        process.stop()


def rss() -> int:
    """Resident memory in octets."""
    text = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024


@pytest_twisted.ensureDeferred
async def test_50_megabytes_need_no_memory(directory: Path) -> None:
    need("smtp-sink")
    port = free_port()
    process = Process(["smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "10"], directory / "log")
    process.wait_for(lambda: listens("127.0.0.1", port), "smtp-sink listens")
    try:
        out = Out()
        await out.hop(f"smtp://127.0.0.1:{port}", "bea@dest.test")
        peaks: list[int] = []

        class Watched(Source):
            async def read(self, octets: int) -> bytes:
                peaks.append(rss())
                return await super().read(octets)

        class Large(Stored):
            async def open(self) -> Source:
                return Watched(TEXT, self.size)

        before = rss()
        message = Large(TEXT, size=50_000_000)
        (report,) = await out.hop(f"smtp://127.0.0.1:{port}", "bea@dest.test", message=message)
        assert report.outcome is Outcome.PASSED_ON
        assert len(peaks) > 700
        assert max(peaks) - before < 5_000_000
    finally:
        process.stop()


class Inbox:
    """aiosmtpd's handler: keeps what came."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, list[str]]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append((envelope.original_content, envelope.rcpt_options))
        return "250 kept"


@pytest.fixture
def smarthost(directory: Path) -> Iterator[tuple[Any, Inbox, Path]]:
    """aiosmtpd that wants STARTTLS and a login."""
    controller = pytest.importorskip("aiosmtpd.controller")
    smtp = pytest.importorskip("aiosmtpd.smtp")
    certificate, key = self_signed(directory, "hub.dest.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def check(server: Any, session: Any, envelope: Any, mechanism: Any, data: Any) -> Any:
        right = (data.login, data.password) == (b"ann", b"p:ss w\xc3\xb6rd")
        return smtp.AuthResult(success=right, handled=right)

    inbox = Inbox()
    server = controller.Controller(
        inbox,
        hostname=loopback_address(),
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    )
    server.start()
    yield server, inbox, certificate
    server.stop()


@pytest_twisted.ensureDeferred
async def test_a_smarthost_with_tls_and_login(dns: Dns, smarthost: Any) -> None:
    server, inbox, certificate = smarthost
    dns.start({"hub.dest.test": [f"A {server.hostname}"]})
    out = Out(dns, trust=certificate)
    good = f"smtp://ann:p%3Ass%20w%C3%B6rd@hub.dest.test:{server.port}"
    (report,) = await out.hop(good, "bea@dest.test")
    assert report.outcome is Outcome.RELAYED, report
    assert inbox.messages[0][0] == TEXT
    (report,) = await out.hop(good.replace("%20", ""), "bea@dest.test")
    assert report.outcome is Outcome.DEFERRED
    assert "535" in report.reply.text
    (report,) = await Out(dns).hop(good, "bea@dest.test")  # a certificate of nobody we know
    assert report.outcome is Outcome.DEFERRED
    assert len(inbox.messages) == 1


@pytest_twisted.ensureDeferred
async def test_a_real_program(directory: Path, stack: ExitStack) -> None:
    script = directory / "take"
    script.write_text(
        '#!/bin/sh\ncat > "$1/$RECIPIENT"\n[ "$RECIPIENT" = bad@dest.test ] && '
        '{ echo "no such person" >&2; exit 67; }\nexit 0\n'
    )
    script.chmod(0o755)
    pipe: Any = PipeCourier(reactor)  # type: ignore[arg-type]
    sending = pipe.deliver(batch(f"pipe:{script} '{directory}'", "a@dest.test", "bad@dest.test"))
    good, bad = await sending
    assert good.outcome is Outcome.DELIVERED
    assert str(bad.reply) == "550 5.1.1 no such person"
    kept = (directory / "a@dest.test").read_bytes()
    assert kept.endswith(TEXT.replace(b"\r\n", b"\n"))
    assert kept.startswith(b"Return-Path: <ann@sender.test>\nDelivered-To: a@dest.test\n")


@pytest.mark.parametrize("program", ["/bin/false", "/bin/true", "/no/such/program"])
@pytest_twisted.ensureDeferred
async def test_programs_that_do_not_read(program: str) -> None:
    pipe: Any = PipeCourier(reactor)  # type: ignore[arg-type]
    message = Stored(TEXT, size=1_000_000)
    (report,) = await pipe.deliver(batch(f"pipe:{program}", "a@dest.test", message=message))
    expected = Outcome.DELIVERED if program == "/bin/true" else Outcome.DEFERRED
    assert report.outcome is expected


@pytest_twisted.ensureDeferred
async def test_a_program_that_hangs() -> None:
    pipe: Any = PipeCourier(reactor, timeout=0.5)  # type: ignore[arg-type]
    message = Stored(TEXT, size=1_000_000)
    hop = "pipe:/bin/sleep 60"
    (report,) = await pipe.deliver(batch(hop, "a@dest.test", message=message))
    assert report.outcome is Outcome.DEFERRED
    assert "too long" in report.reply.text
