"""While a message that is costly to judge comes in, the other sessions are answered.

All checks are on. Another connection says NOOP every 10 ms all the while; the longest wait for
an answer is how long one session kept the others from going on. The bounds are for machines
with neighbours: on a quiet one both are far below 100 ms.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.policed import ANN, Policed, pointer
from tests.interop.peers.process import wait_until

dkim = pytest.importorskip("dkim")
pytestmark = pytest.mark.slow

LONGEST = 0.25  # seconds
SOURCE = "127.0.0.31"
SIGNATURES = 50
RECORDS = {
    pointer(SOURCE): ["PTR mail.big.test."],
    "mail.big.test": [f"A {SOURCE}"],
    "big.test": [f'TXT "v=spf1 ip4:{SOURCE} -all"'],
    "_dmarc.big.test": ['TXT "v=DMARC1; p=none"'],
}
HEADER = (
    f"From: x@big.test\r\nTo: {ANN}\r\n"
    "Subject: {subject}\r\n"
    "Date: Wed, 25 Nov 2026 21:00:00 +0000\r\nMessage-ID: <{subject}@big.test>\r\n"
    "MIME-Version: 1.0\r\n"
)


@pytest.fixture(scope="module")
def policed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        policy = {"order": list(DEFAULT_ORDER), "dkim": {"max_signatures": SIGNATURES}}
        made = Policed(stack, policy, RECORDS)
        # a filter that knows nothing does not even look
        for label, words in (("--ham", "minutes of the meeting"), ("--spam", "cheap pills")):
            letter = made.directory / f"{label}.eml"
            letter.write_text(f"Subject: {words}\n\n{words}\n" * 20)
            made.mailframe.cli("spam", "learn", label, "--domain", "mf.test", letter)
        yield made
        assert made.mailframe.tracebacks == []


class Waits(threading.Thread):
    """How long a NOOP takes in a session of its own; ``longest`` in seconds, after ``end``."""

    def __init__(self, server: Mailframe) -> None:
        super().__init__(daemon=True)
        self._client = server.smtp()
        self._ended = threading.Event()
        self.longest, self.number = 0.0, 0

    def run(self) -> None:
        while not self._ended.wait(0.01):
            begun = time.perf_counter()
            self._client.docmd("NOOP")
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.number += 1

    def end(self) -> None:
        self._ended.set()
        self.join()
        self._client.close()


def longest_wait(policed: Policed, message: bytes) -> tuple[float, str]:
    """Of the others, from the first octet of the message until a second after its delivery; and
    the message's id."""
    before = stored(policed)
    waits = Waits(policed.mailframe)
    with policed.mailframe.smtp(source=SOURCE, timeout=60) as client:
        client.ehlo("mail.big.test")
        waits.start()
        assert client.docmd("MAIL", "FROM:<x@big.test>")[0] == 250
        assert client.docmd("RCPT", f"TO:<{ANN}>")[0] == 250
        assert client.docmd("DATA")[0] == 354
        assert client.sock is not None
        client.sock.sendall(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, reply = client.getreply()
    assert code == 250, reply
    wait_until(lambda: stored(policed) > before, "it is delivered")
    time.sleep(1)
    waits.end()
    print(f"longest wait {waits.longest * 1000:.0f} ms of {waits.number}")
    assert waits.number > 20
    return waits.longest, reply.decode().split()[-1]


def stored(policed: Policed) -> int:
    """Messages that ann has not seen, in all folders."""
    return len(list(policed.mailframe.maildir(ANN).glob("**/new/*")))


def test_35_megabytes_with_50_signatures(policed: Policed) -> None:
    message = with_signatures(policed)
    assert 34_000_000 < len(message) < 35 << 20
    longest, id = longest_wait(policed, message)
    (check,) = [each for each in policed.steps(id, "check") if each["result"] == "dkim"]
    assert check["reason"].startswith("pass big.test (rsa 2048), pass big.test")
    assert check["reason"].endswith(f"{SIGNATURES - 5} more")
    assert longest < LONGEST


def with_signatures(policed: Policed) -> bytes:
    """Half of them good, the others for 25 different lengths of the body: each a hash of its own.
    The public key is published."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b64encode(public).decode()
    text = f'"v=DKIM1; p={record[:200]}" "{record[200:]}"'
    policed.publish({"s1._domainkey.big.test": [f"TXT {text}"]})
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    lines = [b64encode(random.Random(seed).randbytes(57)) for seed in range(1000)]
    body = b"".join(b"%b  \r\n" % line for line in lines) * 435
    message = HEADER.format(subject="big").encode() + b"\r\n" + body
    good = dkim.sign(message, b"s1", b"big.test", private, canonicalize=(b"relaxed", b"simple"))
    relaxed = re.sub(rb"c=[a-z/]+;", b"c=relaxed/relaxed;", good)
    half = SIGNATURES // 2
    partial = [
        relaxed.replace(b"q=dns/txt;", b"q=dns/txt; l=%d;" % (len(body) // 2 + number))
        for number in range(half)
    ]
    return good * half + b"".join(partial) + message


@pytest.mark.parametrize("kind", ["parts", "html", "words"])
def test_10_megabytes_of_hostile_mime(policed: Policed, kind: str) -> None:
    longest, id = longest_wait(policed, hostile_mime(kind))
    (check,) = [each for each in policed.steps(id, "check") if each["result"] == "content"]
    assert "bayes" in check["reason"]
    assert longest < LONGEST


def hostile_mime(kind: str) -> bytes:
    """What is dear to read. ``parts``: nested, and without number; ``html``: tags, comments and
    entities that do not end; ``words``: endless ones, encoded ones, charsets that switch."""
    message = HEADER.format(subject=kind).encode()
    message += b"Content-Type: multipart/mixed; boundary=b\r\n"
    message += b"X-Words:\r\n" + b" =?utf-8?q?=CE=B1=E2=80=AE?=\r\n" * 5000 + b"\r\n"
    piece = _HOSTILE[kind]
    message += piece * (1 + (10_000_000 - len(message)) // len(piece))
    return message[:10_000_000] + b"\r\n"


_NESTED = b"".join(
    b"--n%d\r\nContent-Type: multipart/mixed; boundary=n%d\r\n\r\n" % (i, i + 1)
    for i in range(2000)
)
_PART = b"--b\r\nContent-Type: image/x; name*0*=a;" + b" x=y;" * 20 + b"\r\n\r\n.\r\n"
_MESSAGE = b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + b"From: <<<<((((\r\n" * 300
_HTML = b"--b\r\nContent-Type: text/html; charset=utf-7\r\n\r\n"
_TEXT = (
    b"--b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_HOSTILE = {
    "parts": b"--b\r\nContent-Type: multipart/mixed; boundary=n0\r\n\r\n"
    + _NESTED + _PART * 4000 + _MESSAGE * 200,
    "html": _HTML
    + (b"<a href='http://" + b"x.y/" * 200 + b"<" * 150 + b"\r\n") * 300
    + (b"&#x" + b"9" * 900 + b"\r\n") * 100
    + (b"<!--" * 200 + b"<b " * 60 + b"\r\n") * 300,
    "words": _TEXT
    + b"=1B=24B=\r\n" * 20_000
    + (b"a" * 990 + b"=\r\n") * 200
    + (b"\xce\xb1 b" * 240 + b"\r\n") * 200,
}  # fmt: skip
