"""Servers that say what a test wants, each connection on a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from mailframe.bench.loop import Loop, Target
from mailframe.bench.processes import Work, perform
from mailframe.bench.tally import Tally

Talk = Callable[["Client"], None]


class Client:
    """The client, seen from the server."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = own.makefile("rb")

    def say(self, *pieces: bytes) -> None:
        """With a pause between the pieces, so that they come one by one."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.005)
            self.own.sendall(piece)

    def line(self) -> bytes:
        """The next line without its end; empty when the client has gone."""
        return self._file.readline().rstrip(b"\r\n")

    def content(self) -> bytes:
        """Up to the dot."""
        lines = []
        while (line := self._file.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def read(self, octets: int) -> bytes:
        return self._file.read(octets)


@contextlib.contextmanager
def serving(talk: Talk) -> Iterator[Target]:
    """``talk`` with each client; it is hung up on afterwards."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    threads: list[threading.Thread] = []

    def meet(own: socket.socket) -> None:
        with own, contextlib.suppress(OSError):
            talk(Client(own))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                own, _ = listening.accept()
                threads.append(threading.Thread(target=meet, args=(own,)))
                threads[-1].start()

    door = threading.Thread(target=accept)
    door.start()
    try:
        yield Target(socket.AF_INET, listening.getsockname())
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in (door, *threads):
            thread.join(10)
            assert not thread.is_alive()


def smtp(
    answers: dict[bytes, Sequence[bytes] | bytes] | None = None, seen: list[bytes] | None = None
) -> Talk:
    """A server that takes everything but what ``answers`` has by verb; ``DOT`` is the end of the
    content. A list is used up one by one, and its last stays. ``421...`` hangs up. What clients
    say is added to ``seen``."""
    left = {verb: list(_listed(given)) for verb, given in (answers or {}).items()}
    seen = [] if seen is None else seen

    def answer(verb: bytes, usual: bytes) -> bytes:
        given = left.get(verb)
        if not given:
            return usual
        return given.pop(0) if len(given) > 1 else given[0]

    def talk(client: Client) -> None:
        greeting = answer(b"GREETING", b"220 fake")
        client.say(greeting + b"\r\n")
        while line := client.line():
            seen.append(line)
            verb = line[:4].upper()
            usual = {b"DATA": b"354 go", b"QUIT": b"221 bye"}.get(verb, b"250 ok")
            said = answer(verb, usual)
            client.say(said + b"\r\n")
            if said.startswith(b"354"):
                seen.append(client.content())
                said = answer(b"DOT", b"250 stored")
                client.say(said + b"\r\n")
            if said.startswith((b"421", b"221")):
                return

    return talk


def _listed(given: Sequence[bytes] | bytes) -> Sequence[bytes]:
    return [given] if isinstance(given, bytes) else given


def performed(work: Work, patience: float = 5.0) -> Tally:
    return perform(work, time.monotonic, patience)


def looped(patience: float = 5.0) -> Loop:
    return Loop(time.monotonic, patience)
