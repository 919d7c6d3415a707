"""An IMAP client that says what it likes, and a watch on what that does to everybody else."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

from tests.interop.peers.mailframe import PASSWORD, Mailframe

_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")


class Hangup(Exception):
    """The server ended the connection."""


class RawImap:
    """Plain, without TLS. ``answer`` reads; nothing else does."""

    def __init__(self, server: Mailframe, user: str = "", timeout: float = 30) -> None:
        self._socket = socket.create_connection((server.address, server.ports["imap"]), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._tags = 0
        self.greeting = self.line()
        if user:
            done = self.command(b'LOGIN %b "%b"' % (user.encode(), PASSWORD.encode()))
            assert done.startswith(b"OK"), done

    def __enter__(self) -> RawImap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def say(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say_what_is_taken(self, data: bytes, seconds: float = 2.0) -> int:
        """Octets that the server let in; it may stop to read, and it may hang up."""
        self._socket.settimeout(seconds)
        sent = 0
        view = memoryview(data)
        with contextlib.suppress(OSError):
            while sent < len(data):
                sent += self._socket.send(view[sent : sent + 65536])
        self._socket.settimeout(30)
        return sent

    def line(self) -> bytes:
        """One response: a line with its literals, without the last CRLF. Raises Hangup."""
        whole = b""
        while True:
            whole += self._until_crlf()
            literal = _LITERAL.search(whole[-32:])
            if literal is None:
                return whole[:-2]
            whole += self._octets(int(literal[1]))

    def answer(self, tag: bytes) -> tuple[list[bytes], bytes]:
        """What is untagged before, and the rest of the tagged line. Raises Hangup."""
        untagged: list[bytes] = []
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                return untagged, line[len(tag) + 1 :]
            untagged.append(line)

    def ask(self, command: bytes) -> tuple[list[bytes], bytes]:
        self._tags += 1
        tag = b"r%d" % self._tags
        self.say(tag + b" " + command + b"\r\n")
        return self.answer(tag)

    def command(self, command: bytes) -> bytes:
        return self.ask(command)[1]

    def ok(self, command: bytes) -> list[bytes]:
        untagged, done = self.ask(command)
        assert done.startswith(b"OK"), (command[:200], done)
        return untagged

    def append(self, folder: bytes, message: bytes, before: bytes = b"") -> bytes:
        """The rest of the tagged line."""
        return self.command(b"APPEND %b %b{%d+}\r\n%b" % (folder, before, len(message), message))

    def drained(self, seconds: float = 5.0) -> bytes:
        """Whatever comes until the server hangs up or is silent for so long."""
        data, self._buffer = [self._buffer], b""
        self._socket.settimeout(seconds)
        with contextlib.suppress(OSError):
            while piece := self._socket.recv(1 << 20):
                data.append(piece)
        self._socket.settimeout(30)
        return b"".join(data)

    def _until_crlf(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line + b"\r\n"

    def _octets(self, count: int) -> bytes:
        pieces = [self._buffer]
        have = len(self._buffer)
        while have < count:
            self._buffer = b""
            self._more()
            pieces.append(self._buffer)
            have += len(self._buffer)
        whole = b"".join(pieces)
        self._buffer = whole[count:]
        return whole[:count]

    def _more(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionError as error:
            raise Hangup(self._buffer) from error
        if not data:
            raise Hangup(self._buffer)
        self._buffer += data


class Watch:
    """Somebody else's NOOP, over and over, while a server is attacked."""

    def __init__(self, server: Mailframe, user: str) -> None:
        self._server = server
        self._client = RawImap(server, user, timeout=60)
        self._client.ok(b"SELECT INBOX")
        self._over = threading.Event()
        self._since: float | None = None
        self.worst = 0.0
        """Seconds."""
        self.failure: Exception | None = None
        server.forget_memory_peak()
        self._before = server.memory("VmHWM")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._since = time.monotonic()
                self._client.ok(b"NOOP")
                self.worst = max(self.worst, time.monotonic() - self._since)
                self._since = None
                time.sleep(0.005)
        except Exception as error:
            self.failure = error

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)
        if self._since is not None:
            self.worst = max(self.worst, time.monotonic() - self._since)
        self._client.close()

    @property
    def growth(self) -> int:
        """Kilobytes by which the server's memory peak grew."""
        return self._server.memory("VmHWM") - self._before


@contextlib.contextmanager
def undisturbed(
    server: Mailframe, user: str, what: str, *, megabytes: int, seconds: float = 3.0
) -> Iterator[Watch]:
    """What is done within keeps nobody waiting for ``seconds`` and takes no more memory. By the
    clock of a machine that does other things too: what the server itself needs for a turn is
    held by ``test_server_stalls``."""
    before = len(server.tracebacks)
    watch = Watch(server, user)
    began = time.monotonic()
    try:
        yield watch
        time.sleep(0.05)
    finally:
        watch.stop()
        print(
            f"{what}: NOOP {watch.worst * 1000:.0f} ms, memory +{watch.growth / 1024:.1f} MB,"
            f" {time.monotonic() - began:.1f} s"
        )
    assert watch.failure is None, f"the other client: {watch.failure!r}"
    assert server.tracebacks[before:] == []
    assert watch.worst < seconds, f"NOOP took {watch.worst:.2f} s"
    assert watch.growth < megabytes * 1024, f"memory grew by {watch.growth} kB"


def each_in_a_thread(count: int, work: Callable[[int], None]) -> list[Exception]:
    """``work(number)`` at the same time; what they raised."""
    raised: list[Exception] = []

    def one(number: int) -> None:
        try:
            work(number)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return raised
