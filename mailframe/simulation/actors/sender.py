"""Who sends a letter: keeps it until a 250, and sends it again when unsure.

An honest client: each recipient is acknowledged, refused for good, or tried again later. What
it does not know it repeats, under the same Message-ID; that makes a transaction of its own,
whose copy is nobody's fault but the lost reply's.
"""

from __future__ import annotations

import base64
import re
from random import Random
from typing import Any

from twisted.internet.task import deferLater

from mailframe.simulation.letters import Letter
from mailframe.simulation.record import Accepted, Record, Refused
from mailframe.testing.network.talk import Gone, Talk, dial

_OK = re.compile(r"250 2\.\d+\.\d+ Ok: ([A-Z0-9]+)")
_PATIENCE = 90.0
_CHUNK = 20_000


class Sender:
    """One letter on its way. ``login`` empty: another server rather than a user."""

    def __init__(
        self, letter: Letter, reactor: Any, record: Record, address: tuple[str, int], login: str
    ) -> None:
        self.letter = letter
        self.open = list(letter.recipients)
        """Of whom nothing final is known."""
        self.is_calm = False
        """A mailbox that is full now will stay so: there is no use in waiting for it."""
        self.contents_sent = 0
        """How often the content went out as a whole, so that it may have been taken."""
        self._reactor = reactor
        self._record = record
        self._address = address
        self._login = login
        self._random = Random(f"sender of {letter.number}")
        self._content = letter.content()

    async def run(self) -> None:
        """Until nobody is open any more."""
        await deferLater(self._reactor, self.letter.at)
        while self.open:
            try:
                await self._try()
            except Gone as gone:
                self._note(f"unsure: {gone}")
            if self.open:
                await deferLater(self._reactor, self._random.uniform(3.0, 30.0))

    async def _try(self) -> None:
        talk = await dial(self._reactor, *self._address, _PATIENCE)
        try:
            await self._transact(talk)
            if self._random.random() < 0.7:
                talk.send(b"QUIT\r\n")
        finally:
            talk.close()

    async def _transact(self, talk: Talk) -> None:
        greeting = await _reply(talk)
        if greeting[0] != "2":
            self._judge(self.open, greeting, "the greeting")
            return
        if not await self._ask(talk, f"EHLO {self.letter.desk}.example"):
            return
        if self._login and not await self._ask(talk, _plain(self._login)):
            return
        if self.letter.pipelining and not self.letter.chunking:
            await self._in_one_go(talk)
        else:
            await self._step_by_step(talk)

    async def _step_by_step(self, talk: Talk) -> None:
        if not await self._ask(talk, self._mail()):
            return
        taken = []
        for recipient in list(self.open):
            talk.send(f"RCPT TO:<{recipient}>\r\n".encode())
            if self._judge([recipient], await _reply(talk), "RCPT"):
                taken.append(recipient)
        if not taken:
            return
        if self.letter.chunking:
            await self._by_chunks(talk, taken)
        elif await self._ask(talk, "DATA", "3"):
            self.contents_sent += 1
            talk.send(_stuffed(self._content) + b".\r\n")
            self._acknowledged(taken, await _reply(talk))

    async def _in_one_go(self, talk: Talk) -> None:
        """RFC 2920: MAIL, every RCPT and DATA at once, then all the replies."""
        asked = list(self.open)
        commands = [self._mail(), *(f"RCPT TO:<{one}>" for one in asked), "DATA"]
        talk.send("".join(f"{command}\r\n" for command in commands).encode())
        mail = await _reply(talk)
        taken = [one for one in asked if self._judge([one], await _reply(talk), "RCPT", mail)]
        go = await _reply(talk)
        if go[0] != "3":
            if taken:
                self._judge(taken, go, "DATA")
            return
        # Nobody was taken: an empty message is all that is left to say.
        self.contents_sent += bool(taken)
        talk.send((_stuffed(self._content) if taken else b"") + b".\r\n")
        reply = await _reply(talk)
        if taken:
            self._acknowledged(taken, reply)

    async def _by_chunks(self, talk: Talk, taken: list[str]) -> None:
        pieces = [
            self._content[start : start + _CHUNK] for start in range(0, len(self._content), _CHUNK)
        ]
        for number, piece in enumerate(pieces, 1):
            last = " LAST" if number == len(pieces) else ""
            self.contents_sent += bool(last)
            talk.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
            reply = await _reply(talk)
            if last:
                self._acknowledged(taken, reply)
            elif not self._judge(taken, reply, "BDAT"):
                return

    def _mail(self) -> str:
        body = " BODY=8BITMIME" if self.letter.flavour == "eight" else ""
        return f"MAIL FROM:<{self.letter.sender}>{body}"

    async def _ask(self, talk: Talk, command: str, wanted: str = "2") -> bool:
        talk.send(f"{command}\r\n".encode())
        reply = await _reply(talk)
        if reply[0] == wanted:
            return True
        self._judge(self.open, reply, command.split()[0])
        return False

    def _judge(self, whom: list[str], reply: str, what: str, mail: str = "2") -> bool:
        """Whether the reply is positive; who is refused for good is not tried again. After a
        refused MAIL a refused RCPT says nothing by itself."""
        if reply[0] == "2":
            return True
        if mail[0] != "2":
            reply = mail
        self._note(f"{what}: {reply[:120]}")
        if self.is_calm and " 4.2.2 " in reply:
            self.open = [one for one in self.open if one not in whom]
        if reply[0] == "5":
            for one in list(whom):
                self._record.refused.append(Refused(self.letter, one, reply, self.letter.to, what))
                if one in self.open:
                    self.open.remove(one)
        return False

    def _acknowledged(self, taken: list[str], reply: str) -> None:
        if not self._judge(taken, reply, "the message"):
            return
        found = _OK.match(reply)
        queue_id = found[1] if found else ""
        self.open = [one for one in self.open if one not in taken]
        accepted = Accepted(self.letter, self.letter.to, queue_id, tuple(taken), reply)
        self._record.acknowledge(accepted)

    def _note(self, text: str) -> None:
        self._record.note(self.letter.desk, text, letter=self.letter.number)


async def _reply(talk: Talk) -> str:
    """All lines of a reply, joined: ``250 2.0.0 Ok: ID``."""
    lines: list[str] = []
    while True:
        line = (await talk.line()).decode("utf-8", "replace")
        lines.append(line[4:] if lines else line)
        if line[3:4] != "-":
            return " | ".join(lines)


def _plain(login: str) -> str:
    word = base64.b64encode(f"\0{login}\0secret".encode()).decode()
    return f"AUTH PLAIN {word}"


def _stuffed(content: bytes) -> bytes:
    """RFC 5321 section 4.5.2."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")
