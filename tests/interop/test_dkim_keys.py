"""Keys from their making to their retirement, with a real name server holding the records, and
signatures verified by dkimpy and by OpenDKIM."""

from __future__ import annotations

import contextlib
import email.message
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailframe.message.headers import named
from tests.interop.peers.dns import Dns
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import need, privately, run, wait_until
from tests.interop.peers.sink import Sink

GREEK = "Καλημέρα, κόσμε.\r\n" * 50


class Bench:
    """mailframe for mf.test, Knot with what it asks for, and a server for far.test."""

    def __init__(self, mailframe: Mailframe, dns: Dns, sink: Sink) -> None:
        self.mailframe, self.dns, self.sink = mailframe, dns, sink
        mailframe.configure(
            policy={"order": ["relay", "dkim"]},
            dns={"servers": [dns.server]},
            relay={"port": sink.port},
            postmaster="ann@mf.test",
        )
        self._is_up = False

    def publish(self) -> None:
        """What ``dns show --zone`` says, word for word, beside what is others' affair."""
        zone = self.mailframe.cli(
            "dns", "show", "mf.test", "--zone", "--address", self.mailframe.address
        )
        records: dict[str, list[str]] = {
            "far.test": ["MX 10 mx.far.test."],
            "mx.far.test": [f"A {self.sink.address}"],
            self._reverse(): [f"PTR {self.mailframe.hostname}."],
        }
        for line in zone.splitlines():
            if not line.startswith(";"):
                name, rest = line.split(". ", 1)
                records.setdefault(name, []).append(rest)
        if self._is_up:
            self.dns.change(records)
        else:
            self.dns.start(records)
            self._is_up = True

    def _reverse(self) -> str:
        return ".".join(reversed(self.mailframe.address.split("."))) + ".in-addr.arpa"

    def send(self, text: str = "Hello.\r\n", to: str = "bea@far.test") -> None:
        message = email.message.EmailMessage()
        message["From"], message["To"] = "Ann <ann@mf.test>", to
        message["Subject"] = "a signed message"
        message.set_content(text, cte="8bit" if not text.isascii() else "7bit")
        with self.mailframe.submission("ann@mf.test") as client:
            client.send_message(message, mail_options=["BODY=8BITMIME"])

    def received(self, number: int) -> bytes:
        wait_until(lambda: len(self.sink.messages) >= number, f"message {number} arrives")
        return self.sink.messages[number - 1].content

    def texts(self, name: bytes | str, timeout: float = 5) -> bytes | None:
        """TXT for dkimpy, asked of Knot."""
        asked = name.decode() if isinstance(name, bytes) else name
        answer = run(["kdig", f"@{self.dns.address}", "+short", "TXT", asked]).stdout.strip()
        return "".join(answer.strip('"').split('" "')).encode() or None

    def selectors(self, state: str) -> set[str]:
        lines = self.mailframe.cli("dkim", "show", "mf.test", "--json").splitlines()
        return {key["selector"] for key in map(json.loads, lines) if key["state"] == state}

    def verify(self, message: bytes) -> set[str]:
        """The selectors of its signatures, each of which dkimpy and OpenDKIM believe."""
        dkim = pytest.importorskip("dkim")
        selectors = set()
        for place, field in enumerate(named(message, "DKIM-Signature")):
            assert dkim.DKIM(message).verify(idx=place, dnsfunc=self.texts), field.text
            tags = dict(re.findall(r"\b([ds])=([^;\s]+)", field.text))
            assert tags["d"] == "mf.test"
            selectors.add(tags["s"])
        need("opendkim-testmsg")
        view = privately({"/etc/resolv.conf": self.dns.resolv_conf})
        done = run([*view, "opendkim-testmsg"], input=message.decode("latin-1"), encoding="latin-1")
        assert done.returncode == 0, done.stderr
        return selectors


@pytest.fixture
def bench(mailframe: Mailframe, dns: Dns, stack: contextlib.ExitStack) -> Iterator[Bench]:
    sink = Sink()
    stack.callback(sink.stop)
    yield Bench(mailframe, dns, sink)
    assert mailframe.tracebacks == []


def findings(mailframe: Mailframe) -> dict[str, str]:
    done = mailframe.cli_result("check", "--domain", "mf.test", "--json")
    rows = map(json.loads, done.stdout.splitlines())
    return {row["id"]: row["mark"] for row in rows if row["id"].startswith("dns.")}


def test_what_dns_show_says_is_what_check_wants(bench: Bench) -> None:
    bench.mailframe.cli("dkim", "new", "mf.test")
    bench.dns.start({"test": ["TXT nothing"]})
    bench._is_up = True
    before = findings(bench.mailframe)
    assert before["dns.mf.test.spf"] == before["dns.mf.test.mx"] == "fail"
    assert before["dns.mf.test.dmarc"] == "warn"

    bench.publish()
    after = findings(bench.mailframe)
    assert {id: mark for id, mark in after.items() if mark != "ok"} == {}
    assert len(after) >= 7
    bench.mailframe.cli("dkim", "check", "mf.test")


def test_mail_signed_before_during_and_after_a_rotation(bench: Bench) -> None:
    mailframe = bench.mailframe
    mailframe.start()
    mailframe.cli("dkim", "new", "mf.test")
    bench.publish()
    old = bench.selectors("signing")
    bench.send()
    assert bench.verify(bench.received(1)) == old

    mailframe.cli("dkim", "rotate", "mf.test")
    new = bench.selectors("waiting")
    assert len(old) == len(new) == 2
    bench.send()
    assert bench.verify(bench.received(2)) == old
    assert mailframe.cli_result("dkim", "activate", "mf.test").returncode == 1

    bench.publish()
    mailframe.cli("dkim", "activate", "mf.test")
    bench.send()
    assert bench.verify(bench.received(3)) == new
    bench.publish()  # the retired ones are still asked for
    for number, selectors in enumerate((old, old, new), 1):
        assert bench.verify(bench.received(number)) == selectors
    assert bench.selectors("retired") == old


@pytest.mark.parametrize("text", ["Hello.\r\n", GREEK], ids=["ascii", "greek"])
def test_what_is_converted_on_the_way_is_signed_again(
    mailframe: Mailframe, dns: Dns, stack: contextlib.ExitStack, text: str
) -> None:
    sink = Sink(eight_bit=False)
    stack.callback(sink.stop)
    bench = Bench(mailframe, dns, sink)
    mailframe.start()
    mailframe.cli("dkim", "new", "mf.test")
    bench.publish()
    bench.send(text)
    message = bench.received(1)
    assert message.isascii()
    assert bench.verify(message) == bench.selectors("signing")


def test_a_stranger_who_names_our_key_is_not_signed_for(
    mailframe: Mailframe, dns: Dns, stack: contextlib.ExitStack
) -> None:
    """Forged mail that an alias sends on, and that must be converted, stays forged."""
    sink = Sink(eight_bit=False)
    stack.callback(sink.stop)
    bench = Bench(mailframe, dns, sink)
    mailframe.start()
    mailframe.cli("dkim", "new", "mf.test")
    mailframe.cli("alias", "add", "bea@mf.test", "bea@far.test")
    bench.publish()
    selector = min(bench.selectors("signing"))
    forged = (
        f"DKIM-Signature: v=1; a=rsa-sha256; d=mf.test; s={selector}; h=from; bh=AAAA; b=AAAA\r\n"
        "From: ann@mf.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{GREEK}"
    ).encode()
    with mailframe.smtp() as client:
        options = ["BODY=8BITMIME"]
        client.sendmail("eve@evil.test", ["bea@mf.test"], forged, mail_options=options)
    message = bench.received(1)
    assert message.isascii()
    assert message.lower().count(b"dkim-signature:") == 1
    assert not pytest.importorskip("dkim").verify(message, dnsfunc=bench.texts)


def test_bounces_are_signed(bench: Bench) -> None:
    bench.mailframe.start()
    bench.mailframe.cli("dkim", "new", "mf.test")
    bench.publish()
    bench.send(to="refuse@far.test")
    inbox = bench.mailframe.inbox
    wait_until(lambda: inbox("ann@mf.test"), "the bounce arrives")
    [bounce] = inbox("ann@mf.test")
    head, _, returned = bounce.partition(b"message/delivery-status")
    assert b"Undelivered" in head or b"MAILER-DAEMON" in head
    assert b"d=mf.test" in head.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
    assert returned
    own = pytest.importorskip("dkim").DKIM(_wire(bounce))
    assert own.verify(idx=0, dnsfunc=bench.texts)


def _wire(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_the_zone_is_one_that_knot_loads_as_it_is(bench: Bench, directory: Path) -> None:
    need("knotc")
    bench.mailframe.cli("dkim", "new", "mf.test")
    zone = bench.mailframe.cli(
        "dns", "show", "mf.test", "--zone", "--address", bench.mailframe.address
    )
    start = "@ 3600 SOA ns none.invalid. 1 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n"
    (directory / "mf.test.zone").write_text(start + zone)
    config = directory / "knot.conf"
    config.write_text(f'zone:\n  - domain: mf.test\n    file: "{directory}/mf.test.zone"\n')
    done = run(["knotc", "-c", config, "zone-check", "mf.test"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
