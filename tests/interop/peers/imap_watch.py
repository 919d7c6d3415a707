"""A client that has a folder open and waits to be told, by IDLE or by NOTIFY."""

from __future__ import annotations

import contextlib
import imaplib
import re
import time
from collections.abc import Iterator

from tests.interop.peers.imap import ANN, logged_in
from tests.interop.peers.imap_look import ask
from tests.interop.peers.mailframe import Mailframe

NOTIFY = (
    "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) "
    "(personal (MessageNew MessageExpunge FlagChange))"
)


class Watcher:
    def __init__(self, client: imaplib.IMAP4, name: str) -> None:
        self.name = name
        self._client = client

    def begin(self, command: str) -> None:
        """``command``, until its answer, which is ``+`` for IDLE."""
        self._client.send(f"W {command}\r\n".encode())
        while not (line := self._client.readline()).startswith((b"+", b"W OK")):
            assert line.startswith(b"* "), line

    def hears(self, pattern: str) -> float:
        """Reads until a line has it; seconds (monotonic) when that was."""
        wanted = re.compile(pattern.encode())
        while True:
            try:
                line = self._client.readline()
            except TimeoutError:
                raise AssertionError(f"{self.name} never hears {pattern}") from None
            assert line, f"{self.name}: the connection ended"
            if wanted.search(line):
                return time.monotonic()


@contextlib.contextmanager
def watching(
    server: Mailframe, command: str, folder: str = "INBOX", user: str = ANN
) -> Iterator[Watcher]:
    """``command`` is ``IDLE`` or a NOTIFY command."""
    with logged_in(server, user) as client:
        ask(client, "select", folder)
        client.sock.settimeout(5)
        watcher = Watcher(client, f"{user} with {command[:6]}")
        watcher.begin(command)
        yield watcher
        if command == "IDLE":
            client.send(b"DONE\r\n")
            watcher.hears("^W OK")
