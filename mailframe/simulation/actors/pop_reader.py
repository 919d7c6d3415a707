"""Who fetches mail by POP3 and removes it, and remembers what was promised.

What a session removed counts from its +OK to QUIT on: it must never come back. Without that
answer nobody knows, and both are right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.task import deferLater

from mailframe.simulation.letters import Sighting, recognise
from mailframe.simulation.record import Record
from mailframe.testing.network.talk import Gone, Talk, dial

PORT = 110
CALM_THINK = 200.0
_PATIENCE = 60.0


@dataclass(slots=True)
class PopMailbox:
    """What the reader knows of an INBOX, by unique-id."""

    seen: dict[str, Sighting] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


class PopReader:
    def __init__(
        self, account: str, host: str, reactor: Any, record: Record, ip: str, *, keeps: float
    ) -> None:
        """``keeps``: the share of messages that stay on the server."""
        self.account = account
        self.mailbox = PopMailbox()
        self._host = host
        self._reactor = reactor
        self._record = record
        self._ip = ip
        self._keeps = keeps
        self._random = Random(f"pop reader {account} {keeps}")
        self.is_calm = False
        """Comes rarely."""
        self._stopped = False

    def stop(self) -> None:
        """No further session."""
        self._stopped = True

    async def run(self, think: float) -> None:
        while not self._stopped:
            think = CALM_THINK if self.is_calm else think
            await deferLater(self._reactor, self._random.uniform(0.3, 1.7) * think)
            if self._stopped:
                return
            try:
                await self.visit()
            except Gone as gone:
                self._note(f"session broke off: {gone}")

    async def visit(self) -> None:
        """One session. Raises Gone."""
        talk = await dial(self._reactor, self._ip, PORT, _PATIENCE)
        try:
            await self._visit(talk)
        finally:
            talk.close()

    async def _visit(self, talk: Talk) -> None:
        await _ok(talk)
        await self._say(talk, f"USER {self.account}")
        await self._say(talk, "PASS secret")
        await self._say(talk, "UIDL")
        listed = (await _lines(talk)).decode("ascii", "replace").split("\r\n")
        pairs = [line.split(" ") for line in listed if line]
        removed = []
        for number, uid in pairs:
            if uid in self.mailbox.removed:
                self._record.violation(
                    self._host, f"{self.account}: {uid} was removed, and is back"
                )
            if uid not in self.mailbox.seen:
                await self._fetch(talk, number, uid)
            if self._random.random() >= self._keeps:
                await self._say(talk, f"DELE {number}")
                removed.append(uid)
        await self._quit(talk, removed)

    async def _fetch(self, talk: Talk, number: str, uid: str) -> None:
        await self._say(talk, f"RETR {number}")
        content = _unstuffed(await _lines(talk))
        self.mailbox.seen[uid] = seen = recognise(content)
        self._note(f"{self.account} has {seen.ids[:1]} as {uid}", seen.number)

    async def _quit(self, talk: Talk, removed: list[str]) -> None:
        self.mailbox.unsure.update(removed)
        talk.send(b"QUIT\r\n")
        line = await talk.line()
        if line.startswith(b"+OK"):
            self.mailbox.unsure.difference_update(removed)
            self.mailbox.removed.update(removed)
            self._record.count("deletions", len(removed))
        for uid in removed:
            self._note(f"removed {uid}: {line[:40].decode('ascii', 'replace')}")

    async def _say(self, talk: Talk, command: str) -> None:
        talk.send(f"{command}\r\n".encode())
        await _ok(talk)

    def _note(self, text: str, letter: int = 0) -> None:
        self._record.note(self._host, text, letter)


async def _ok(talk: Talk) -> None:
    line = await talk.line()
    if not line.startswith(b"+OK"):
        raise Gone(line[:80].decode("ascii", "replace"))


async def _lines(talk: Talk) -> bytes:
    """All lines of a multi-line answer, each with its CRLF, stuffed as they came."""
    lines = []
    while (line := await talk.line()) != b".":
        lines.append(line + b"\r\n")
    return b"".join(lines)


def _unstuffed(data: bytes) -> bytes:
    data = data[1:] if data.startswith(b".") else data
    return data.replace(b"\r\n.", b"\r\n")
