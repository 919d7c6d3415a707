"""Servers that our mail goes to, each with its own way to misbehave.

``Remotes`` binds the doors of all of them before the server is configured, since its routes name
them; a scene serves those of one kind while it lasts.
"""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.interop.peers.certificates import self_signed
from tests.interop.peers.process import loopback_address

HOSTS = 40  # of each kind; a destination begins with five connections
_LINES = 100_000
_OFFERS = b"250-far.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"


class Talk:
    """One connection. ``hear`` ends with EOFError where the client has hung up."""

    def __init__(self, line: socket.socket, tls: Tls) -> None:
        self.line = line
        self.tls = tls
        self._held = b""

    def say(self, data: bytes) -> None:
        self.line.sendall(data)

    def hear(self) -> bytes:
        while b"\r\n" not in self._held:
            got = self.line.recv(1 << 16)
            if not got:
                raise EOFError
            self._held += got
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def hear_content(self) -> None:
        while self.hear() != b".":
            pass

    def greet(self, *offers: bytes) -> None:
        self.say(b"220 far.test\r\n")
        self.answer_hello(*offers)

    def answer_hello(self, *offers: bytes) -> None:
        self.hear()
        self.say(_OFFERS + b"".join(b"250-%b\r\n" % offer for offer in offers) + b"250 HELP\r\n")

    def commands(self) -> Iterator[bytes]:
        """The verbs, in capitals, until the client hangs up."""
        with contextlib.suppress(EOFError):
            while True:
                yield self.hear()[:4].upper()


class Tls:
    """What a server with TLS needs; ``dear`` asks of each client to calculate with numbers of so
    many bits (TLS 1.2, RFC 5246 section 7.4.3)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._files = self_signed(directory, "far.test", with_rsa=True)
        self._group = directory / "group.pem"
        self._group.write_bytes(_group(10_000))

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*self._files)
        return made

    def dear(self) -> ssl.SSLContext:
        made = self.context()
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
        made.load_dh_params(str(self._group))
        return made


def _group(bits: int) -> bytes:
    """Of Diffie and Hellman, as PKCS #3 has it; no client looks whether the number is prime."""
    prime = random.getrandbits(bits) | 1 | 3 << bits - 2
    sequence = _der(0x30, _der(2, prime.to_bytes(bits // 8 + 1, "big")) + _der(2, b"\2"))
    text = base64.encodebytes(sequence)
    return b"-----BEGIN DH PARAMETERS-----\n%b-----END DH PARAMETERS-----\n" % text


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


Kind = Callable[[Talk], object]


def long_banner(talk: Talk) -> None:
    talk.say(b"220-welcome\r\n" * _LINES)


def long_hello(talk: Talk) -> None:
    talk.say(b"220 far.test\r\n")
    talk.hear()
    talk.say(b"".join(b"250-X-%d AUTH PLAIN\r\n" % number for number in range(_LINES)))


def endless_line(talk: Talk) -> None:
    for _ in range(50):
        talk.say(b"220 " + b"x" * (1 << 20))


def drip(talk: Talk) -> None:
    for octet in b"220 far.test is glad to see you\r\n":
        talk.say(bytes([octet]))
        time.sleep(1)


def everything_twice(talk: Talk) -> None:
    talk.greet()
    for verb in talk.commands():
        talk.say(b"354 go on\r\n" * 2 if verb == b"DATA" else b"250 so be it\r\n")


def thousand_replies(talk: Talk) -> None:
    """For each that is awaited."""
    talk.greet()
    for _ in talk.commands():
        talk.say(b"250 so be it\r\n" * _LINES)


_STAGES = (b"", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"content", b"half a reply", b"QUIT")


def hang_up(talk: Talk) -> None:
    """At one of the stages, each as often as the others."""
    stage = random.choice(_STAGES)
    if not stage:
        return
    talk.say(b"220 far.test\r\n")
    for verb in talk.commands():
        if verb == stage:
            return
        if verb == b"EHLO":
            talk.say(_OFFERS + b"250 HELP\r\n")
        elif verb == b"DATA":
            talk.say(b"354 go on\r\n")
            if stage == b"content":
                talk.hear()
                return
            talk.hear_content()
            talk.say(b"25" if stage == b"half a reply" else b"250 ok\r\n")
            if stage == b"half a reply":
                return
        else:
            talk.say(b"250 ok\r\n")


def garbage_for_tls(talk: Talk) -> None:
    talk.greet(b"STARTTLS")
    if talk.hear() == b"STARTTLS":
        talk.say(b"220 go on\r\n")
        talk.line.recv(1 << 16)
        talk.say(random.randbytes(1 << 20) * 10)


def plain_text_for_tls(talk: Talk) -> None:
    talk.greet(b"STARTTLS")
    if talk.hear() == b"STARTTLS":
        talk.say(b"220 go on\r\n" + b"250 injected\r\n" * _LINES)


def dear_tls(talk: Talk) -> None:
    _tls(talk, talk.tls.dear())


def long_banner_in_tls(talk: Talk) -> None:
    """What TLS packs is taken out by the client's reactor."""
    _tls(talk, talk.tls.context())
    talk.say(b"".join(b"250-X-%d\r\n" % number for number in range(_LINES)) * 20)


def _tls(talk: Talk, context: ssl.SSLContext) -> None:
    talk.greet(b"STARTTLS")
    if talk.hear() == b"STARTTLS":
        talk.say(b"220 go on\r\n")
        talk.line = context.wrap_socket(talk.line, server_side=True)
        talk.hear()


def long_refusals(talk: Talk) -> None:
    """Of every recipient, with as much text as a reply may have, none of it fit to be shown."""
    reply = b"550-" + b"\xff" * 600 + b"\r\n"
    talk.greet()
    for verb in talk.commands():
        talk.say(reply * 99 + b"550 no\r\n" if verb == b"RCPT" else b"250 ok\r\n")


def mute(talk: Talk) -> None:
    """After the content, until the client has had enough."""
    talk.greet()
    for verb in talk.commands():
        if verb == b"DATA":
            talk.say(b"354 go on\r\n")
            talk.hear_content()
            time.sleep(60)
        talk.say(b"250 ok\r\n")


def full(talk: Talk) -> None:
    """Wants the content and does not take it."""
    talk.greet()
    for verb in talk.commands():
        if verb == b"DATA":
            talk.say(b"354 go on\r\n")
            time.sleep(60)
        talk.say(b"250 ok\r\n")


def many_rounds(talk: Talk) -> None:
    """The most that a client does for a password (SCRAM, RFC 5802 section 5.1)."""
    talk.greet(b"AUTH SCRAM-SHA-256")
    words = talk.hear().split()
    nonce = base64.b64decode(words[2]).rpartition(b"r=")[2]
    first = b"r=%bfar,s=c2FsdHNhbHQ=,i=600000" % nonce
    talk.say(b"334 " + base64.b64encode(first) + b"\r\n")
    talk.hear()
    talk.say(b"334 " + base64.b64encode(b"v=" + base64.b64encode(b"x" * 32)) + b"\r\n")


def questions_without_end(talk: Talk) -> None:
    talk.greet(b"AUTH LOGIN")
    for _ in talk.commands():
        talk.say(b"334 VXNlcm5hbWU6\r\n" * 1_000)


KINDS: dict[str, Kind] = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        *(long_banner, long_hello, endless_line, drip, everything_twice, thousand_replies),
        *(hang_up, garbage_for_tls, plain_text_for_tls, dear_tls, long_banner_in_tls),
        *(long_refusals, mute, full, many_rounds, questions_without_end),
    )
}
_WITH_LOGIN = {"many-rounds", "questions-without-end"}


class Remotes:
    def __init__(self, directory: Path) -> None:
        self._tls = Tls(directory / "remotes")
        self.address = loopback_address()
        self._doors = {name: [self._door() for _ in range(HOSTS)] for name in KINDS}

    def _door(self) -> socket.socket:
        door = socket.socket()
        door.bind((self.address, 0))
        door.listen(50)
        return door

    def close(self) -> None:
        for doors in self._doors.values():
            for door in doors:
                door.close()

    @property
    def routes(self) -> dict[str, str]:
        """Domain -> next hop, for the configuration."""
        return {
            domain: f"smtp://{'u:p@' * (name in _WITH_LOGIN)}{self.address}:{port}"
            for name, doors in self._doors.items()
            for domain, port in zip(
                self.domains(name), (door.getsockname()[1] for door in doors), strict=True
            )
        }

    def domains(self, name: str) -> list[str]:
        return [f"h{number}.{name}.test" for number in range(HOSTS)]

    def serve(self, name: str) -> None:
        """From now on, in this process; each connection in a thread of its own."""
        for door in self._doors[name]:
            threading.Thread(target=self._accept, args=(door, KINDS[name]), daemon=True).start()

    def _accept(self, door: socket.socket, kind: Kind) -> None:
        while True:
            line, _ = door.accept()
            threading.Thread(target=self._talk, args=(line, kind), daemon=True).start()

    def _talk(self, line: socket.socket, kind: Kind) -> None:
        talk = Talk(line, self._tls)
        with contextlib.suppress(OSError, EOFError):
            line.settimeout(60)
            kind(talk)
        talk.line.close()
