"""A POP3 mailbox of 10,000 messages, from login to the last octet, beside Dovecot.

    python -m tests.benchmarks.paired_pop3 [--rounds 5] [--messages 10000] [--against COMMAND]

Both serve a Maildir of the same content: 1 KB messages with ``,S=`` and ``,W=`` in their
names. The client retrieves all of them without deleting, waiting for each answer, and then
with 50 commands on their way. Before the rounds each server is logged into once, so that
Dovecot's index is there. Needs root (Dovecot does) and Debian's dovecot-pop3d.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.paired_servers import MAILBOX
from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import workdir

_ROW = b"All lines of these messages are of one length, and there are fifteen\r\n"
_CONTENT = b"From: <a@bench.test>\nSubject: one of many\n\n" + _ROW.replace(b"\r\n", b"\n") * 14


class Client:
    """Speaks just enough POP3, and as fast as Python can."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._until(b"\r\n")

    def command(self, line: str) -> str:
        self._socket.sendall(line.encode() + b"\r\n")
        answer = self._until(b"\r\n")
        if not answer.startswith(b"+OK"):
            raise RuntimeError(f"{line}: {answer.decode()}")
        return answer.decode()

    def retrieve(self, messages: int, on_their_way: int) -> None:
        sent = 0
        for received in range(messages):
            if sent <= received:
                batch = range(sent + 1, min(sent + on_their_way, messages) + 1)
                self._socket.sendall(b"".join(b"RETR %d\r\n" % number for number in batch))
                sent += len(batch)
            self._until(b"\r\n.\r\n")

    def close(self) -> None:
        self.command("QUIT")
        self._socket.close()

    def _until(self, end: bytes) -> bytes:
        searched = 0
        while (at := self._buffer.find(end, searched)) < 0:
            searched = max(0, len(self._buffer) - len(end))
            data = self._socket.recv(1 << 18)
            if not data:
                raise RuntimeError("the server went away")
            self._buffer += data
        found = bytes(self._buffer[: at + len(end)])
        del self._buffer[: at + len(end)]
        return found


def _fetch(login: Callable[[], Client], messages: int, on_their_way: int) -> float:
    begun = time.perf_counter()
    client = login()
    count = int(client.command("STAT").split()[1])
    if count != messages:
        raise RuntimeError(f"{count} messages instead of {messages}")
    client.retrieve(messages, on_their_way)
    taken = time.perf_counter() - begun
    client.close()
    return taken


def _login(address: tuple[str, int], user: str, password: str) -> Callable[[], Client]:
    def login() -> Client:
        client = Client(address)
        client.command(f"USER {user}")
        client.command(f"PASS {password}")
        return client

    return login


def _fill(maildir: Path, messages: int) -> None:
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, mode=0o700, exist_ok=True)
    wire = len(_CONTENT) + _CONTENT.count(b"\n")
    for number in range(messages):
        name = f"1700000000.M{number:06}P1.bench.test,S={len(_CONTENT)},W={wire}:2,"
        (maildir / "cur" / name).write_bytes(_CONTENT)


def _mailframe(
    ends: contextlib.ExitStack, directory: Path, messages: int, command: str | None
) -> Callable[[], Client]:
    directory.mkdir()
    server = Mailframe(directory, command=command)
    server.configure(auth={"allow_plaintext": True})
    server.add_users(MAILBOX)
    _fill(server.maildir(MAILBOX), messages)
    server.start()
    ends.callback(server.stop)
    return _login(("127.0.0.1", server.ports["pop3"]), MAILBOX, PASSWORD)


def _dovecot(ends: contextlib.ExitStack, directory: Path, messages: int) -> Callable[[], Client]:
    directory.mkdir()
    _fill(directory / "template", messages)
    server = Dovecot(directory)
    server.start(directory / "template")
    ends.callback(server.stop)
    return _login(("127.0.0.1", server.pop3_port), "bench", DOVECOT_PASSWORD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--against", help="command of another mailframe instead of Dovecot")
    options = parser.parse_args()
    with contextlib.ExitStack() as ends:
        directory = ends.enter_context(workdir("pop3"))
        pair = {
            "other": _mailframe(ends, directory / "other", options.messages, options.against)
            if options.against
            else _dovecot(ends, directory / "dovecot", options.messages),
            "mailframe": _mailframe(ends, directory / "mailframe", options.messages, None),
        }
        for login in pair.values():
            _fetch(login, options.messages, 50)
        for on_their_way in (1, 50):
            _rounds(pair, options, on_their_way)


def _rounds(
    pair: dict[str, Callable[[], Client]], options: argparse.Namespace, on_their_way: int
) -> None:
    found: dict[str, list[float]] = {name: [] for name in pair}
    for number in range(options.rounds):
        for name in pair if number % 2 == 0 else reversed(pair):
            found[name].append(_fetch(pair[name], options.messages, on_their_way))
            print(f"{name} {found[name][-1]:.2f} s", file=sys.stderr)
    others, own = found["other"], found["mailframe"]
    ratios = [other / ours for ours, other in zip(own, others, strict=True)]
    print(
        f"{options.messages} messages, {on_their_way} commands on their way: "
        f"{options.against or 'Dovecot'} {options.messages / statistics.median(others):.0f}/s, "
        f"mailframe {options.messages / statistics.median(own):.0f}/s, ratio of each round "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
