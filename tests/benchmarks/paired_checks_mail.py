"""Honest mail of 10 KB for ``paired_checks``: signed, and no two messages alike; and who sends it.

All of it comes from 127.0.0.1, whose name, SPF, DKIM and DMARC records are ``RECORDS``.
"""

from __future__ import annotations

import random
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from itertools import islice

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

DOMAIN, SELECTOR, HOST = "client.test", "s1", "mail.client.test"
KEY_NAME = f"{SELECTOR}._domainkey.{DOMAIN}"
SENDER = f"source@{DOMAIN}"
_PATIENCE = 60.0
_TRIES = 10
_SUBSTANCE = "aeioubcdfghklmnprstvw"


@dataclass(frozen=True, slots=True)
class Author:
    """A key, and the zone that vouches for it."""

    private_pem: bytes
    record: str

    @property
    def zone(self) -> dict[str, list[str]]:
        """For ``peers.dns.Dns``; answers live for an hour, as they do elsewhere."""
        text = " ".join(f'"{self.record[i : i + 200]}"' for i in range(0, len(self.record), 200))
        return {
            DOMAIN: [
                "3600 A 127.0.0.1",
                f"3600 MX 10 {HOST}.",
                '3600 TXT "v=spf1 ip4:127.0.0.1 -all"',
            ],
            HOST: ["3600 A 127.0.0.1", '3600 TXT "v=spf1 a -all"'],
            KEY_NAME: [f"3600 TXT {text}"],
            f"_dmarc.{DOMAIN}": ['3600 TXT "v=DMARC1; p=reject"'],
            "1.0.0.127.in-addr.arpa": [f"3600 PTR {HOST}."],
        }


def new_author() -> Author:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Author(private, f"v=DKIM1; k=rsa; p={b64encode(public).decode()}")


class Letters:
    """Text and HTML of words that somebody seeded; the same words come again, as in a language."""

    def __init__(self, seed: int, to: str) -> None:
        self._random = random.Random(seed)
        letters = self._random.choices
        self._words = ["".join(letters(_SUBSTANCE, k=3 + i % 7)) for i in range(4000)]
        self._to = to

    def __call__(self, octets: int) -> bytes:
        """About as many, wire format, not signed."""
        paragraphs = [self._paragraph() for _ in range(max(1, octets // 1000))]
        message = EmailMessage(policy=SMTP)
        message["From"] = Address("A Sender", addr_spec=SENDER)
        message["To"] = self._to
        message["Subject"] = " ".join(self._random.choices(self._words, k=6))
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{self._random.randbytes(12).hex()}@{HOST}>"
        message.set_content("\n\n".join(paragraphs))
        markup = "".join(f"<p class='text'>{each}</p>\n" for each in paragraphs)
        link = f'<a href="https://www.{DOMAIN}/{self._random.randbytes(6).hex()}">More</a>'
        message.add_alternative(f"<html><body>\n{markup}{link}\n</body></html>", subtype="html")
        return bytes(message)

    def _paragraph(self) -> str:
        words = iter(self._random.choices(self._words, k=60))
        lines = []
        while line := list(islice(words, 10)):
            lines.append(" ".join(line))
        return "\n".join(lines)


def signed(message: bytes, author: Author, times: int = 1) -> bytes:
    """By dkimpy: whoever verifies it is somebody else."""
    import dkim

    for _ in range(times):
        field = dkim.sign(
            message,
            SELECTOR.encode(),
            DOMAIN.encode(),
            author.private_pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[b"from", b"to", b"subject", b"date", b"message-id", b"mime-version"],
        )
        message = field + message
    return message


class Deferred(RuntimeError):
    """The system put a message off with 4yz."""


class Sender:
    """A connection for every message, ``sessions`` at a time. What is put off is tried again at
    once, as some milters do now and then; ``deferred`` is how often."""

    def __init__(self, port: int, recipient: str, sessions: int) -> None:
        self._port, self._recipient, self._sessions = port, recipient, sessions
        self.deferred = 0

    def send(self, messages: Sequence[bytes], number: int) -> None:
        """``number`` of them, from the beginning again where there are fewer. Raises RuntimeError
        for the first that is refused."""
        waiting = iter(range(number))
        lock = threading.Lock()
        errors: list[Exception] = []

        def work() -> None:
            while not errors:
                with lock:
                    index = next(waiting, None)
                if index is None:
                    return
                try:
                    self._until_taken(messages[index % len(messages)])
                except (OSError, RuntimeError) as error:
                    errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(self._sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError(f"port {self._port}: {errors[0]}")

    def _until_taken(self, message: bytes) -> None:
        for _ in range(_TRIES):
            try:
                self._one(message)
            except Deferred:
                self.deferred += 1
            else:
                return
        raise RuntimeError(f"put off {_TRIES} times")

    def _one(self, message: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self._port), _PATIENCE) as connection:
            replies = self._replies(connection)
            _expect(replies, b"220")
            connection.sendall(b"EHLO %b\r\n" % HOST.encode())
            _expect(replies, b"250")
            envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{self._recipient}>\r\nDATA\r\n"
            connection.sendall(envelope.encode())
            for code in (b"250", b"250", b"354"):
                _expect(replies, code)
            connection.sendall(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            _expect(replies, b"250")
            connection.sendall(b"QUIT\r\n")
            _expect(replies, b"221")

    @staticmethod
    def _replies(connection: socket.socket) -> Iterator[bytes]:
        with connection.makefile("rb") as lines:
            for line in lines:
                if line[3:4] != b"-":
                    yield line


def _expect(replies: Iterator[bytes], code: bytes) -> None:
    reply = next(replies, b"(closed)")
    if not reply.startswith(code):
        if reply.startswith(b"4"):
            raise Deferred(reply.decode(errors="replace"))
        raise RuntimeError(f"expected {code.decode()}, got {reply.decode(errors='replace')}")
