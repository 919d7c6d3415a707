"""What tests of IMAP clients need besides the client: messages, and a look at the server."""

from __future__ import annotations

import contextlib
import imaplib
import socket
from collections.abc import Iterator

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate

ANN, BOB = "ann@mf.test", "bob@mf.test"
BODY = "body {} Αναφορά για τον Αύγουστο"


def message(number: int, subject: str = "", body: str = "text") -> bytes:
    lines = (
        f"From: Sender {number} <s{number}@example.org>",
        f"To: <{ANN}>",
        f"Subject: {subject or f'message {number}'}",
        f"Message-ID: <{number}@example.org>",
        "Date: Mon, 1 Jan 2024 10:00:00 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        body,
        "",
    )
    return "\r\n".join(lines).encode()


def stored(content: bytes) -> bytes:
    """As a Maildir has it."""
    return content.replace(b"\r\n", b"\n")


@contextlib.contextmanager
def logged_in(server: Mailframe, user: str = ANN) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=20)
    # It writes a literal and the end of the line apart: 40 ms for each APPEND otherwise.
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.starttls(any_certificate())
    client.login(user, PASSWORD)
    try:
        yield client
    finally:
        with contextlib.suppress(imaplib.IMAP4.abort, OSError):
            client.logout()


def fill(client: imaplib.IMAP4, folder: str, numbers: range, body: str = BODY) -> None:
    """Append ``message(number)`` for each."""
    for number in numbers:
        content = message(number, body=body.format(number))
        status, answer = client.append(folder, "", None, content)  # type: ignore[arg-type]
        assert status == "OK", answer


def numbers(client: imaplib.IMAP4, *criteria: str) -> list[int]:
    """SEARCH's answer."""
    status, answer = client.search(None, *criteria)
    assert status == "OK", answer
    return [int(word) for word in answer[0].split()]


def count(client: imaplib.IMAP4, folder: str) -> int:
    """How many messages a folder has now, which is selected with that."""
    status, answer = client.select(folder)
    assert status == "OK", answer
    return int(answer[0] or b"0")
