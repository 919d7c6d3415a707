"""A POP3 server in a process of its own, over a mailbox in memory: for real clients.

``python -m tests.interop.pop3_server CERTIFICATE COUNT SIZE`` prints the ports of STLS and of
implicit TLS, then serves until its standard input ends. The mailbox of ``ann`` (password
``secret``) holds ``sample(COUNT, SIZE)``; sessions share it, so deletions are seen.
"""

from __future__ import annotations

import itertools
import os
import secrets
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.stdio import StandardIO
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailframe.core.ids import IdSource
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.pop3 import Pop3Factory, Pop3Limits
from tests.unit.servers.pop3_house import Authenticator, Journal, Recent, Store

reactor: Any = _reactor

ODD_BODIES = (
    b"",
    b".\r\n",
    b"..\r\n.\r\n.\r\n\r\n",
    b"x" * 1900 + b"\r\n",
    b"\xce\x95\xce\xbb\xff\x80 8-bit\r\n",
    b"\r\n" * 100,
    b"From the start\r\n.",
)


def sample(count: int, size: int) -> list[bytes]:
    """Messages in wire format, the odd ones first."""
    bodies = itertools.chain(ODD_BODIES, itertools.repeat(b"0123456789abcde\r\n" * (size // 17)))
    messages = []
    for number, body in zip(range(1, count + 1), bodies, strict=False):
        head = (
            f"From: sender@example.test\r\nTo: ann@example.test\r\nSubject: message {number}\r\n"
            f"Message-ID: <{number}@example.test>\r\n"
            "Date: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\n"
        ).encode()
        message = head + body
        messages.append(message if message.endswith(b"\r\n") else message + b"\r\n")
    return messages


class Tls:
    can_serve = True

    def __init__(self, pem: str) -> None:
        with open(pem, "rb") as file:
            certificate = PrivateCertificate.loadPEM(file.read())
        key = certificate.privateKey.original
        self._options = CertificateOptions(privateKey=key, certificate=certificate.original)

    def server(self) -> CertificateOptions:
        return self._options


class UntilEnd(Protocol):
    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()


def main(pem: str, count: str, size: str) -> None:
    store = Store(*sample(int(count), int(size)))
    tls = Tls(pem)
    factory = Pop3Factory(
        "mail.example.test",
        "pop3",
        Authenticator(store, "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "APOP"),
        journal=Journal(),
        ids=IdSource(reactor.seconds, os.getpid()),
        nonces=lambda: secrets.token_urlsafe(24),
        clock=reactor,
        connections=ConnectionCounter(0, 0),
        tls=tls,
        recent=Recent(),
        limits=Pop3Limits(allow_plaintext=True),
    )
    plain = reactor.listenTCP(0, factory, interface="127.0.0.1")
    wrapped = TLSMemoryBIOFactory(tls.server(), False, factory)
    implicit = reactor.listenTCP(0, wrapped, interface="127.0.0.1")
    print(plain.getHost().port, implicit.getHost().port, flush=True)
    StandardIO(UntilEnd())
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
