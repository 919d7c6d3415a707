"""Name servers that are slow, dead, lying or talkative cost a session its own time, and no mail.

One server with every check on, and one fake name server whose manners change from test to test.
Each mode has a domain of its own, so that no answer comes from the cache. Messages are signed and
sealed, of a domain that asks for rejection.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import smtplib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.peers.bad_dns import MODES, BadDns
from tests.interop.peers.maildir import messages
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.policed import ANN, BOB, message, results, with_subject
from tests.interop.peers.process import loopback_address, wait_until, workdir

PROMPT = 0.1  # seconds
_clients = itertools.count(1)


class Trouble:
    def __init__(self, directory: Path) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.dns = BadDns(f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")
        self.mailframe = Mailframe(directory, loopback_address())

    def start(self) -> None:
        server = self.mailframe
        server.configure(
            dns={"servers": [self.dns.server], "timeouts": ["1s"]},
            limits={"tarpit": "0s"},
            relay={"networks": ["127.0.0.1/32"]},
            policy={
                "order": [
                    *("relay", "rate", "dnsbl", "iprev", "helo", "spf"),
                    *("dkim", "arc", "dmarc", "greylist"),
                ],
                "dnsbl": {
                    "lists": ["bl.test", "wl.test*-1"],
                    "domain_lists": ["names.test"],
                    "timeout": "2s",
                },
                "spf": {"on_fail": "reject", "timeout": "20s"},
                "dkim": {"timeout": "5s"},
                "iprev": {"on_fail": "tag"},
                "helo": {"on_fail": "reject"},
                "arc": {"trusted_sealers": ["sealer.sealer-only.test"]},
            },
        )
        server.add_users(ANN, BOB)
        server.start()

    def signed(self, domain: str, subject: str, change: bytes = b"") -> bytes:
        """Signed by the author's domain, and sealed by somebody who changed and forwarded it."""
        text = message(f"x@{domain}", subject).encode()
        names = [b"from", b"to", b"subject", b"date", b"message-id"]
        text = dkim.sign(text, b"s1", domain.encode(), self._private, include_headers=names) + text
        seen = f"Authentication-Results: sealer.{domain}; dmarc=pass header.from={domain}\r\n"
        text = seen.encode() + text + change
        sealer = f"sealer.{domain}".encode()
        fields = dkim.arc_sign(text, b"s1", sealer, self._private, sealer, names)
        return b"".join(fields) + text

    def send(
        self, domain: str, subject: str, text: bytes = b"", sender: str = ""
    ) -> tuple[int, str, float]:
        """From a client that was never here: the reply, and the seconds it took."""
        number = next(_clients)
        began = time.monotonic()
        with contextlib.ExitStack() as ends:
            client = self.mailframe.smtp("mx", f"127.0.4.{number}", timeout=120)
            ends.callback(client.close)
            client.ehlo(f"mail.{domain}")
            code, reply = client.mail(sender or f"x@{domain}")
            if code == 250:
                code, reply = client.rcpt(ANN)
            if code == 250:
                code, reply = client.data(text or self.signed(domain, subject))
            return code, reply.decode(), time.monotonic() - began


@pytest.fixture(scope="module")
def trouble() -> Iterator[Trouble]:
    with workdir("trouble") as path:
        made = Trouble(path)
        made.start()
        try:
            yield made
            made.mailframe.stop()
            assert made.mailframe.tracebacks == []
        finally:
            made.mailframe.stop()
            made.dns.close()


class Pulse:
    """While it is open, another session says NOOP all the time, and a host of ours sends mail."""

    def __init__(self, server: Mailframe) -> None:
        self.waits: list[float] = []
        self.mails: list[float] = []
        self._server = server
        self._is_over = threading.Event()
        self._beating = threading.Thread(target=self._beat)

    def __enter__(self) -> Pulse:
        self._client = self._server.smtp("mx", "127.0.0.1")
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._beating.join()
        self._client.close()

    def _beat(self) -> None:
        while not self._is_over.wait(0.02):
            began = time.monotonic()
            assert self._client.noop()[0] == 250
            self.waits.append(time.monotonic() - began)
            if len(self.waits) % 20 == 1:
                began = time.monotonic()
                self._client.sendmail(BOB, [BOB], message(BOB, "of ours").encode())
                self.mails.append(time.monotonic() - began)

    def check(self) -> None:
        """The machine may be busy elsewhere; a reactor that waits for DNS shows every time."""
        waits = sorted(self.waits)
        assert waits[int(len(waits) * 0.95)] < PROMPT
        assert sorted(self.mails)[len(self.mails) // 2] < 5 * PROMPT


FAILS = {"spf": "temperror", "dkim": "temperror", "dmarc": "temperror"}
PASSES = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
EXPECTED = {
    "honest": PASSES,
    "slow": PASSES,
    "full": PASSES,
    "nothing-exists": {"spf": "none", "dmarc": "none"},
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_costs_only_its_own_session(trouble: Trouble, mode: str) -> None:
    trouble.dns.mode = mode
    with Pulse(trouble.mailframe) as pulse:
        code, text, seconds = trouble.send(f"{mode}.test", f"mode {mode}")
    print(f"{mode}: {code} {text} after {seconds:.2f} s, NOOP {max(pulse.waits) * 1000:.0f} ms")
    assert code == 250, text
    pulse.check()
    inbox = trouble.mailframe.maildir(ANN)
    wait_until(lambda: with_subject(messages(inbox), f"mode {mode}"), "it arrives")
    (found,) = with_subject(messages(inbox), f"mode {mode}")
    said = results(found)
    print(said)
    for method, result in EXPECTED.get(mode, FAILS).items():
        assert f" {method}={result} " in f" {said} ".replace(";", " ").replace("\t", " ")
    # each policy has its own patience, and with none of them a session waits for ever
    assert seconds < 120


LIST = "bounces@list.example"
PARTS = {
    # names that are not answered; who sends; what was done to the message; the reply
    "nothing": ((), LIST, b"changed\r\n", 550),
    "spf-only": (("spf-only.test", "mail.spf-only.test"), "", b"changed\r\n", 250),
    "key-only": (("s1._domainkey.key-only.test",), LIST, b"", 250),
    "record-only": (("_dmarc.record-only.test",), LIST, b"changed\r\n", 250),
    "sealer-only": (("s1._domainkey.sealer.sealer-only.test",), LIST, b"changed\r\n", 451),
}


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_only_a_part_is_not_answered(trouble: Trouble, part: str) -> None:
    """By what can be seen the message fails; what cannot be seen might save it, so it is not
    refused for good. (Where all can be seen, it is.)"""
    names, sender, change, expected = PARTS[part]
    domain = f"{part}.test"
    trouble.dns.mode, trouble.dns.mute = "honest", names
    text = trouble.signed(domain, part)
    # of the signature and the seal, only the seal is right
    text = text + change if part != "sealer-only" else trouble.signed(domain, part, change)
    try:
        code, reply, _ = trouble.send(domain, part, text, sender)
    finally:
        trouble.dns.mute = ()
    assert code == expected, reply


@pytest.mark.slow
def test_nobody_there(trouble: Trouble, directory: Path) -> None:
    """Neither a server nor a host that could say so: the port is closed."""
    other = Trouble(directory)
    other.dns.close()
    other.start()
    try:
        with Pulse(other.mailframe) as pulse:
            code, text, seconds = other.send("dead.test", "dead")
        assert code == 250, text
        pulse.check()
        assert seconds < 10
        assert other.mailframe.tracebacks == []
    finally:
        other.mailframe.stop()


@pytest.mark.slow
def test_thirty_at_once_while_nobody_answers(trouble: Trouble) -> None:
    trouble.dns.mode = "silent"
    answers: list[tuple[int, str, float]] = []

    def send(number: int) -> None:
        answers.append(trouble.send(f"crowd{number}.test", f"crowd {number}"))

    crowd = [threading.Thread(target=send, args=(number,)) for number in range(30)]
    with Pulse(trouble.mailframe) as pulse:
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
    assert [code for code, _, _ in answers] == [250] * 30
    pulse.check()


@pytest.mark.slow
def test_clients_that_leave_while_names_are_looked_up(trouble: Trouble) -> None:
    trouble.dns.mode = "silent"
    clients = []
    for number in range(20):
        client = smtplib.SMTP(timeout=10, source_address=(f"127.0.5.{number + 1}", 0))
        client.sock = client._get_socket(  # type: ignore[attr-defined]
            trouble.mailframe.address, trouble.mailframe.ports["mx"], 10
        )
        clients.append(client)
    for client in clients:
        client.close()
    with Pulse(trouble.mailframe) as pulse:
        time.sleep(1)
    pulse.check()
