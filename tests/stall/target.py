"""The server that is attacked, with its crowd and the client beside; and what an attacker needs."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.interop.peers.bad_dns import BadDns
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address
from tests.interop.peers.raw_imap import RawImap
from tests.stall.remotes import Remotes
from tests.stall.turns import Inside

VICTIM = "victim@mf.test"
"""Whose mailbox the attacker owns, and fills."""
MANY = 10_000  # messages in the victim's folder Many
HOARDER = "hoarder@mf.test"
"""Whose INBOX has ``DROP`` messages, once ``hoard`` was called."""
DROP = 100_000
_COMMAND = '#!/bin/sh\nexec "{python}" -m tests.stall.served "$@"\n'


class Target:
    def __init__(self, directory: Path, stack: contextlib.ExitStack, *, users: int = 10) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.private, public = _key()
        self.dns = BadDns(f"v=DKIM1; p={public}")
        stack.callback(self.dns.close)
        self.remotes = Remotes(directory)
        stack.callback(self.remotes.close)
        command = directory / "mailframe"
        command.write_text(_COMMAND.format(python=sys.executable))
        command.chmod(0o755)
        self._socket = str(directory / "turns")
        os.environ["STALL_SOCKET"] = self._socket
        self.mailframe = Mailframe(directory, loopback_address(), command=str(command))
        self.users = [f"u{number}@mf.test" for number in range(users)]
        self._stack = stack
        self.mailframe.configure(
            policy={
                "order": list(DEFAULT_ORDER),
                "dkim": {"max_signatures": 50},
                "brake": {"failures_per_hour": 0, "new_recipients_per_day": 0},
            },
            routes=self.remotes.routes,
            queue={"concurrency": 250},
            dns={"servers": [self.dns.server], "timeouts": ["2s"]},
            auth={"allow_plaintext": True, "failures_per_ip": 0, "failures_per_account": 0},
            log={"level": "warn"},
            limits={
                "connections": 6000,
                "imap_connections_per_user": 0,
                "message_size": "52M",
                "tarpit": "0s",
            },
        )
        self.mailframe.add_users(VICTIM, HOARDER, *self.users)
        for user in self.users:
            _fill(self.mailframe.maildir(user), 20)
            _fill(self.mailframe.maildir(user) / ".Quiet", 20)
        stack.callback(self.mailframe.stop)

    def start(self) -> None:
        self.mailframe.configure(log={"level": "info"})
        self.mailframe.start(60)
        self.inside = Inside(self._socket)
        self.learn()
        with self.imap() as client:
            client.ok(b"NOOP")

    def learn(self) -> None:
        """A filter that knows nothing does not even look."""
        for label, words in (("--ham", "minutes of the meeting"), ("--spam", "cheap pills")):
            letter = self.mailframe.directory / f"{label}.eml"
            letter.write_text(f"Subject: {words}\n\n{words}\n" * 20)
            self.mailframe.cli("spam", "learn", label, "--domain", "mf.test", letter)

    def fill(self, folder: str, count: int) -> None:
        """A folder of the victim's, with many messages, before it is looked at."""
        _fill(self.mailframe.maildir(VICTIM) / f".{folder}", count)

    def hoard(self) -> None:
        maildir = self.mailframe.maildir(HOARDER)
        if not (maildir / "cur").is_dir() or len(os.listdir(maildir / "cur")) < DROP:
            _fill(maildir, DROP)

    def mode(self, mode: str) -> None:
        """How its name server behaves."""
        self.dns.mode = mode

    # The ways in

    @property
    def address(self) -> str:
        return self.mailframe.address

    def connect(self, listener: str, source: str = "127.0.0.31") -> socket.socket:
        where = self.address, self.mailframe.ports[listener]
        made = socket.create_connection(where, 60, source_address=(source, 0))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def imap(self, folder: bytes = b"") -> RawImap:
        client = RawImap(self.mailframe, VICTIM, timeout=120)
        if folder:
            client.ok(b"SELECT " + folder)
        return client

    def mail(self, message: bytes, sender: str = "x@big.test", to: str = VICTIM) -> str:
        """Received from a stranger; the reply. Waits until it is stored."""
        with self.mailframe.smtp(source="127.0.0.31", timeout=120) as client:
            client.ehlo("mail.big.test")
            client.docmd("MAIL", f"FROM:<{sender}>")
            client.docmd("RCPT", f"TO:<{to}>")
            client.docmd("DATA")
            assert client.sock is not None
            client.sock.sendall(message.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
            code, reply = client.getreply()
        time.sleep(1)
        return f"{code} {reply.decode()}"

    def send(self, message: bytes, *recipients: str) -> None:
        """To others, as the first of its users; returns when it is in the queue."""
        with self.mailframe.smtp("submission", timeout=120) as client:
            client.login(self.users[0], PASSWORD)
            client.sendmail(self.users[0], recipients, message, ["BODY=8BITMIME"])

    def append(self, message: bytes, folder: bytes = b"INBOX") -> None:
        """Stored by its owner, as is."""
        with self.imap() as client:
            client.command(b"CREATE " + folder)
            done = client.append(folder, message)
            assert done.startswith(b"OK"), done

    def signed(self, message: bytes, **options: Any) -> bytes:
        """The field."""
        return bytes(dkim.sign(message, b"s1", b"big.test", self.private, **options))


class Crowd:
    def __init__(self, target: Target, idle: int, busy: int) -> None:
        ports = target.mailframe.ports
        command = [
            *(sys.executable, "-m", "tests.stall.crowd", target.address),
            *("--smtp", str(ports["mx"]), "--submission", str(ports["submission"])),
            *("--imap", str(ports["imap"]), "--pop3", str(ports["pop3"])),
            *("--idle", str(idle), "--busy", str(busy)),
            *target.users,
        ]
        self._child = _talking(command, 5)
        self._expect("ready")

    def since(self) -> tuple[int, int]:
        """Rounds done, sessions lost."""
        rounds, lost = _ask(self._child).split()
        return int(rounds), int(lost)

    def _expect(self, word: str) -> None:
        assert self._child.stdout is not None
        said = self._child.stdout.readline().strip()
        assert said == word, said

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()


class Beside:
    def __init__(self, target: Target) -> None:
        port = str(target.mailframe.ports["mx"])
        self._child = _talking([sys.executable, "-m", "tests.stall.beside", target.address, port])
        self.since()

    def since(self) -> tuple[float, float]:
        """Milliseconds: the longest answer, the longest oversleeping."""
        worst, overslept = _ask(self._child).split()
        return float(worst), float(overslept)

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()


def _talking(command: list[str], nice: int = 0) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    nicely = ["nice", "-n", str(nice)] if nice else []
    return subprocess.Popen([*nicely, *command], stdin=pipe, stdout=pipe, text=True, bufsize=1)


def _ask(child: subprocess.Popen[str]) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    return child.stdout.readline()


def _key() -> tuple[bytes, str]:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return private, b64encode(public).decode()


def _fill(maildir: Path, count: int) -> None:
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        content = (
            f"From: a{number} <a{number}@example.org>\nTo: b@example.org\n"
            f"Subject: Re: subject {number % 500}\nMessage-ID: <{number}@example.org>\n"
            f"References: <{number // 2}@example.org>\nDate: Wed, 25 Nov 2026 21:00:00 +0000\n"
            f"\nHello {number}\n"
        )
        (maildir / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,").write_text(content)


__all__ = ["DROP", "HOARDER", "MANY", "PASSWORD", "VICTIM", "Beside", "Crowd", "Target"]
