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


# SCRAM (RFC 5802): how an exchange is begun with a first message, by protocol
_BEGIN = {
    "submission": (b"EHLO x\r\n", b"AUTH SCRAM-SHA-256 %b\r\n"),
    "imap": (b"", b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n"),
    "pop3": (b"", b"AUTH SCRAM-SHA-256 %b\r\n"),
}


def _first(login: str, nonce: str) -> bytes:
    return base64.b64encode(f"n,,n={login},r={nonce}".encode())


def _scram(name: str, listener: str, answer: bytes, *, quick: bool = False) -> None:
    """From 50 connections at once as much as they can send of exchanges that are begun, and what
    the server says to that answered with this line."""

    @scene(f"login: SCRAM by {listener}, {name}", quick=quick)
    def attack(target: Target) -> None:
        hello, begin = _BEGIN[listener]

        def play(number: int) -> None:
            login = VICTIM if number % 2 else f"nobody{number}@mf.test"
            one = begin % _first(login, "r" * 1000) + answer + b"\r\n"
            many = 1 + 2_000_000 // len(one)
            for again in range(5):
                line = target.connect(listener, f"127.7.{number}.{3 + again}")
                pour(line, hello + one * many, 2)

        with ThreadPoolExecutor(50) as threads:
            list(threads.map(play, range(50)))


for _listener in _BEGIN:
    _scram("begun and aborted", _listener, b"*", quick=_listener == "submission")
    _scram("a wrong proof", _listener, base64.b64encode(b"c=biws,r=x,p=" + b"A" * 44))
    _scram("an answer of 1 MB", _listener, b"QUFB" * 250_000)


@scene("login: SCRAM, a first message of 1 MB")
def long_scram(target: Target) -> None:
    for listener, (hello, begin) in _BEGIN.items():
        for first in (
            _first(VICTIM, "r" * 1_000_000),
            _first("x" * 1_000_000, "r"),
            _first("=2C" * 2_000, "r"),
            _first("\u0345" * 1_000, "r"),
            _first("\u212b\u1e9b\u0323" * 400, "r"),
            base64.b64encode(b"," * 3_000),
        ):
            pour(target.connect(listener), hello + begin % first * 5, 2)
            asked = begin.replace(b" %b", b"") + first + b"\r\n"
            pour(target.connect(listener), hello + asked * 5, 2)


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
