"""Odd mail through the whole server: what SMTP took comes back by POP3 octet for octet.

Sent are all message files of the MIME suite, with CRLF line ends, by DATA and again by BDAT.
Those with a NUL or a lone CR may come by BDAT with BODY=BINARYMIME only (RFC 3030); a
mailbox holds lines, so their parts come back encoded, and decode to the same octets.
"""

from __future__ import annotations

import email
import itertools
import os
import re
import smtplib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.pop3 import take, without_trace
from tests.interop.peers.process import loopback_address, wait_until, workdir

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared/suites")) / "06-mime"
NO_MESSAGES = (".json", ".md", ".jpg", ".png", ".gif", ".tiff", ".zip", ".pub", ".html", ".pdf")
ANN, BOB = "ann@mf.test", "bob@mf.test"  # who receives, who sends

needs_suite = pytest.mark.skipif(
    not SUITE.is_dir(), reason="the MIME suite is not here (set MAILFRAME_SUITES)"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("mime") as path:
        made = Mailframe(path, loopback_address())
        made.configure(limits={"errors_per_session": 0, "tarpit": "0s"})
        made.add_users(ANN, BOB)
        made.start()
        yield made
        made.stop()
        assert made.tracebacks == []


def wire(data: bytes) -> bytes:
    """Every line ends with CRLF; lone CRs stay."""
    lines = re.sub(rb"\r?\n", b"\r\n", data)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def is_binary(data: bytes) -> bool:
    return re.search(rb"\0|\r(?!\n)|(?<!\r)\n", data) is not None


def corpus() -> list[bytes]:
    files = sorted(path for path in SUITE.rglob("*") if path.is_file())
    return [wire(path.read_bytes()) for path in files if path.suffix not in NO_MESSAGES]


def begin(client: smtplib.SMTP, recipient: str, body: str) -> None:
    client.mail(BOB, [f"BODY={body}"])
    client.rcpt(recipient)


def by_data(client: smtplib.SMTP, recipient: str, message: bytes) -> tuple[int, bytes]:
    begin(client, recipient, "8BITMIME")
    return client.data(message)


def by_bdat(
    client: smtplib.SMTP,
    recipient: str,
    message: bytes,
    sizes: Iterable[int],
    body: str = "8BITMIME",
) -> tuple[int, bytes]:
    """In chunks of the sizes, one after the other and over again."""
    begin(client, recipient, body)
    lengths = itertools.cycle(sizes)
    at = 0
    while at < len(message):
        chunk = message[at : at + next(lengths)]
        at += len(chunk)
        client.send(f"BDAT {len(chunk)}\r\n".encode() + chunk)
        reply = client.getreply()
        if reply[0] != 250:
            return reply
    client.send(b"BDAT 0 LAST\r\n")
    return client.getreply()


def arrived(server: Mailframe, user: str, count: int) -> list[bytes]:
    """All messages once there are so many; the mailbox is empty then."""
    new = server.maildir(user) / "new"
    wait_until(lambda: new.is_dir() and len(list(new.iterdir())) == count, "all arrive", 60)
    return take(server, user)


def compare(sent: Iterable[bytes], received: Iterable[bytes]) -> None:
    expected = Counter(sent)
    expected.subtract(Counter(map(without_trace, received)))
    assert [text[:500] for text, count in expected.items() if count] == []


@needs_suite
@pytest.mark.slow
@pytest.mark.parametrize("sizes", [None, (1, 2, 3, 251, 65537)], ids=["data", "bdat"])
def test_all_of_the_suite_comes_back_unchanged(
    server: Mailframe, sizes: tuple[int, ...] | None
) -> None:
    sent = [message for message in corpus() if not is_binary(message)]
    assert len(sent) > 800
    with server.smtp() as client:
        for message in sent:
            if sizes is None:
                reply = by_data(client, ANN, message)
            else:
                reply = by_bdat(client, ANN, message, sizes)
            assert reply[0] == 250, (reply, message[:500])
    compare(sent, arrived(server, ANN, len(sent)))


def decoded(message: bytes) -> list[object]:
    """What the leaves hold."""
    leaves = email.message_from_bytes(message).walk()
    return [one.get_payload(decode=True) for one in leaves if not one.is_multipart()]


@needs_suite
def test_binary_mail_of_the_suite_is_encoded_or_refused(server: Mailframe) -> None:
    """In a body anything goes; a header section has lines and nothing else, also that of a
    message within: one of the suite has such an attachment, which nothing may encode
    (RFC 2046 section 5.2.1), and is returned."""
    odd = [message for message in corpus() if is_binary(message)]
    taken: list[bytes] = []
    lost: list[bytes] = []
    with server.smtp() as client:
        for message in odd:
            assert by_bdat(client, ANN, message, (61, 4096))[0] == 550
            header, end, content = message.partition(b"\r\n\r\n")
            code, text = by_bdat(client, ANN, message, (61, 4096), "BINARYMIME")
            if not end or is_binary(header + end):
                assert (code, text[:6]) == (550, b"5.6.11"), (text, message[:500])
                continue
            assert code == 250, (text, message[:500])
            within = b"message/rfc822" in header and b"\0" in content.partition(b"\r\n\r\n")[0]
            (lost if within else taken).append(message)
    assert (len(taken), len(lost)) == (2, 1)
    received = [without_trace(one) for one in arrived(server, ANN, 2)]
    assert not any(map(is_binary, received))
    assert sorted(map(decoded, received)) == sorted(map(decoded, taken))
    (report,) = arrived(server, BOB, 1)
    assert b"Status: 5.6.3" in report


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        (b"\r\nlo\nne\r\n.\r\n", b"lo\nne\r\n.\r\n"),
        (b"\r\nnul\0 and \r\xe9\r\n", b"nul\0 and \r\xe9\r\n"),
        (b"\r\nnothing binary, \xce\xb1\r\n", b"nothing binary, \xce\xb1\r\n"),
        (b"\r\nno end", b"no end\r\n"),
        (b"\r\nhalf an end\r", b"half an end\r"),
        (b"\r\n" + b"long" * 5000 + b"\r\n", b"long" * 5000 + b"\r\n"),
    ],
)
def test_binary_mail_decodes_to_what_it_was(
    server: Mailframe, message: bytes, stored: bytes
) -> None:
    head = b"Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: application/x\r\n"
    head += b"Content-Transfer-Encoding: binary\r\n"
    with server.smtp() as client:
        assert by_bdat(client, ANN, head + message, (3, 50), "BINARYMIME")[0] == 250
    (received,) = arrived(server, ANN, 1)
    (payload,) = decoded(received)
    assert payload in (stored, stored.replace(b"\r\n", b"\n"))
    file = without_trace(received).partition(b"\r\n\r\n")[2]
    assert not is_binary(file)


def test_a_message_without_its_last_line_end_is_completed(server: Mailframe) -> None:
    """The size that LIST tells has it too: ``everything`` checks that."""
    with server.smtp() as client:
        assert by_bdat(client, ANN, b"Subject: x\r\n\r\nno end", (7,))[0] == 250
        assert by_bdat(client, ANN, b"Subject: only a header", (7,))[0] == 250
    received = sorted(without_trace(one) for one in arrived(server, ANN, 2))
    assert received == [b"Subject: only a header\r\n", b"Subject: x\r\n\r\nno end\r\n"]


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\nb\r\n--b\r\n"
        b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: message/rfc822\r\n\r\nSubject: a\0b\r\n\r\nx\r\n",
    ],
)
def test_what_no_encoding_can_save_bounces(server: Mailframe, part: bytes) -> None:
    with server.smtp() as client:
        message = b"Subject: sealed\r\nMIME-Version: 1.0\r\n" + part
        assert by_bdat(client, ANN, message, (40,), "BINARYMIME")[0] == 250
    (report,) = arrived(server, BOB, 1)
    assert b"Status: 5.6.3" in report
    assert b"Subject: sealed" in report
    assert not is_binary(report)
    assert list((server.maildir(ANN) / "new").iterdir()) == []
