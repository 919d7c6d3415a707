"""Passwords and handshakes."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from tests.interop.peers.mailframe import any_certificate
from tests.stall.scenes.scene import pour, scene
from tests.stall.target import PASSWORD, VICTIM, Target


def _plain(user: str, password: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{password}".encode())


@scene("login: 200 connections guess by SMTP", quick=True)
def guessing(target: Target) -> None:
    def guess(number: int) -> None:
        source = f"127.7.{number}.1"
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client = target.mailframe.smtp("submission", source=source)
            for attempt in range(5):
                user = VICTIM if attempt % 2 else f"nobody{number}@mf.test"
                client.docmd("AUTH PLAIN", _plain(user, f"wrong {number} {attempt}").decode())
            client.close()

    with ThreadPoolExecutor(200) as threads:
        list(threads.map(guess, range(200)))


@scene("login: 100 connections guess by IMAP and POP3")
def guessing_imap(target: Target) -> None:
    def guess(number: int) -> None:
        line = target.connect("imap" if number % 2 else "pop3", f"127.7.{number}.2")
        command = (
            b'a LOGIN u1@mf.test "x%d"\r\n' if number % 2 else b"USER u1@mf.test\r\nPASS x%d\r\n"
        )
        pour(line, b"".join(command % n for n in range(5)), 8)

    with ThreadPoolExecutor(100) as threads:
        list(threads.map(guess, range(100)))


@scene("login: passwords of 1 MB")
def long_passwords(target: Target) -> None:
    for listener, data in (
        ("submission", b"EHLO x\r\nAUTH PLAIN " + _plain(VICTIM, "x" * 1_000_000) + b"\r\n"),
        ("submission", b"EHLO x\r\nAUTH PLAIN " + _plain(VICTIM, "\u0345" * 3_000) + b"\r\n"),
        ("submission", b"EHLO x\r\nAUTH PLAIN " + _plain("x" * 8_000, "x") + b"\r\n"),
        ("imap", b"a LOGIN x {1000000+}\r\n" + b"x" * 1_000_000 + b"\r\n"),
        ("imap", b"a LOGIN x {60000+}\r\n" + "\u0345".encode() * 30_000 + b"\r\n"),
        ("pop3", b"USER u1@mf.test\r\nPASS " + b"x" * 1_000_000 + b"\r\n"),
    ):
        line = target.connect(listener)
        line.recv(4096)
        pour(line, data * 3, 3)


@scene("login: SCRAM begun 2,000 times")
def scram(target: Target) -> None:
    first = base64.b64encode(f"n,,n={VICTIM},r={'r' * 1000}".encode())
    for number in range(200):
        line = target.connect("submission", f"127.7.{number}.3")
        line.sendall(b"EHLO x\r\n" + (b"AUTH SCRAM-SHA-256 " + first + b"\r\n*\r\n") * 10)
        with contextlib.suppress(OSError):
            line.settimeout(0.05)
            line.recv(65536)
        line.close()


@scene("login: 2,000 right ones at once")
def right(target: Target) -> None:
    line = target.connect("imap")
    login = f'a LOGIN {VICTIM} "{PASSWORD}"\r\nb UNAUTHENTICATE\r\n'.encode()
    pour(line, login * 2_000, 10)


@scene("tls: 200 handshakes at once", quick=True)
def handshakes(target: Target) -> None:
    context = any_certificate()

    def shake(number: int) -> None:
        for _ in range(5):
            with (
                contextlib.suppress(OSError),
                target.connect("imaps", f"127.6.{number}.1") as line,
                context.wrap_socket(line) as secured,
            ):
                secured.recv(1024)

    with ThreadPoolExecutor(200) as threads:
        list(threads.map(shake, range(200)))


@scene("tls: 2,000 hellos that are not gone on with")
def half_handshakes(target: Target) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = any_certificate().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        made.do_handshake()
    hello = outgoing.read()
    lines: list[socket.socket] = []
    for number in range(2_000):
        line = target.connect("submissions", f"127.6.{number % 250}.2")
        line.sendall(hello)
        lines.append(line)
        if len(lines) > 300:
            lines.pop(0).close()
    for line in lines:
        line.close()


@scene("tls: renegotiation and key updates, junk inside")
def records(target: Target) -> None:
    context = any_certificate()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(target.connect("imaps")) as line:
        line.recv(1024)
        end = time.monotonic() + 5
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                line.sendall(b"a NOOP\r\n" * 8_000)
                line.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    while line.recv(65536):
                        pass
                line.settimeout(5)


@scene("tls: STARTTLS 300 times")
def starttls(target: Target) -> None:
    for number in range(300):
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client = target.mailframe.smtp("submission", source=f"127.6.{number % 250}.3")
            client.starttls(context=any_certificate())
            client.close()
