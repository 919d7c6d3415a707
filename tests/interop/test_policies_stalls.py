"""While a message that is costly to judge comes in, the other sessions are answered.

All checks are on. Another connection says NOOP every 10 ms all the while; the longest wait for
an answer is how long one session kept the others from going on. The bounds are for machines
with neighbours: on a quiet one both are far below 100 ms.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.policed import ANN, Policed, pointer
from tests.interop.peers.process import wait_until

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
    f"From: x@big.test\r\nTo: {ANN}\r\nSubject: {{subject}}\r\n"
    "Date: Wed, 25 Nov 2026 21:00:00 +0000\r\nMessage-ID: <{subject}@big.test>\r\n"
    "MIME-Version: 1.0\r\n"
)


@pytest.fixture(scope="module")
def policed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        policy = {"order": list(DEFAULT_ORDER), "dkim": {"max_signatures": SIGNATURES}}
        made = Policed(stack, policy, RECORDS)
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


def longest_wait(policed: Policed, message: bytes, subject: str) -> float:
    """Of the others, until the message is in the mailbox and a second longer."""
    with policed.mailframe.smtp(source=SOURCE, timeout=60) as client:
        client.ehlo("mail.big.test")
        waits = Waits(policed.mailframe)
        waits.start()
        assert client.docmd("MAIL", "FROM:<x@big.test>")[0] == 250
        assert client.docmd("RCPT", f"TO:<{ANN}>")[0] == 250
        assert client.docmd("DATA")[0] == 354
        assert client.sock is not None
        client.sock.sendall(message)
        client.sock.sendall(b"\r\n.\r\n")
        code, reply = client.getreply()
        assert code == 250, reply
    id = reply.decode().rpartition(" ")[2]
    wait_until(lambda: policed.steps(id, "deliver"), f"{subject} is delivered")
    time.sleep(1)
    waits.end()
    assert waits.number > 20
    print(f"{subject}: longest wait {waits.longest * 1000:.0f} ms of {waits.number}")
    checks = policed.checks(wait_reply(code, reply))
    print(checks)
    return waits.longest
