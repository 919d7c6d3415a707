"""One SMTP transaction with a server in memory, and what it answered."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailframe.testing.network.talk import Talk

_ID = re.compile(r"Ok: ([0-9A-Z]+)|\(ref ([0-9A-Z]+)\)")
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3}) ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply that decided: the first refusal, or that to the message."""

    code: int
    """``250``"""
    status: str
    """``5.7.1``; empty where there is none."""
    text: str
    """The rest of it, lines separated by LF."""
    stage: str
    """``greeting``, ``ehlo``, ``auth``, ``mail``, ``rcpt``, ``data`` or ``message``."""
    replies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """All that was said, by stage."""

    @property
    def is_accepted(self) -> bool:
        """Whether the message is kept: 250."""
        return self.code == 250

    @property
    def id(self) -> str:
        """Of the message, or the reference of a refusal; ``trace`` takes either."""
        found = _ID.search(self.text)
        return (found[1] or found[2]) if found else ""

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}".replace("  ", " ")


@dataclass(frozen=True, slots=True)
class Visit:
    helo: str
    sender: str
    recipients: Sequence[str]
    message: bytes
    login: tuple[str, str] | None = None
    verb: str = "EHLO"
    """``LHLO`` for LMTP, which answers for each recipient."""

    @property
    def is_lmtp(self) -> bool:
        return self.verb == "LHLO"


class Refused(Exception):
    """Carries the reply that ended it."""

    def __init__(self, stage: str, reply: str) -> None:
        super().__init__(reply)
        self.stage = stage
        self.reply = reply


class Client:
    """One connection."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._said: dict[str, list[str]] = {}

    async def deliver(self, visit: Visit) -> Answer:
        """Recipients that are refused do not keep the message from the others. Raises Gone
        where the server hangs up without a word."""
        try:
            final = await self._converse(visit)
        except Refused as refused:
            return _answer(refused.stage, refused.reply, self._said)
        return _answer("message", final, self._said)

    async def _converse(self, visit: Visit) -> str:
        await self._hear("greeting")
        hello = await self._ask("ehlo", f"{visit.verb} {visit.helo}")
        if visit.login is not None:
            login = "\0{}\0{}".format(*visit.login).encode()
            await self._ask("auth", f"AUTH PLAIN {base64.b64encode(login).decode()}")
        await self._ask("mail", f"MAIL FROM:<{visit.sender}>{_parameters(visit, hello)}")
        taken = await self._name(visit.recipients)
        await self._ask("data", "DATA", "3")
        self._talk.send(stuffed(visit.message) + b".\r\n")
        replies = [await self._reply("message") for _ in range(taken if visit.is_lmtp else 1)]
        if not self._talk.over:
            self._talk.send(b"QUIT\r\n")
        return next((reply for reply in replies if reply[0] != "2"), replies[0])

    async def _name(self, recipients: Sequence[str]) -> int:
        """How many of them are taken; where none is, the first refusal."""
        replies = []
        for recipient in recipients:
            self._talk.send(f"RCPT TO:<{recipient}>\r\n".encode())
            replies.append(await self._reply("rcpt"))
        taken = sum(reply[0] == "2" for reply in replies)
        if not taken:
            raise Refused("rcpt", replies[0])
        return taken

    async def _ask(self, stage: str, command: str, wanted: str = "2") -> str:
        self._talk.send(f"{command}\r\n".encode())
        return await self._hear(stage, wanted)

    async def _hear(self, stage: str, wanted: str = "2") -> str:
        reply = await self._reply(stage)
        if not reply.startswith(wanted):
            raise Refused(stage, reply)
        return reply

    async def _reply(self, stage: str) -> str:
        lines: list[str] = []
        while True:
            line = (await self._talk.line()).decode("utf-8", "replace")
            lines.append(line[4:] if lines else line)
            if line[3:4] != "-":
                break
        reply = "\n".join(lines)
        self._said.setdefault(stage, []).append(reply)
        return reply


def _parameters(visit: Visit, hello: str) -> str:
    addresses = (visit.sender, *visit.recipients)
    needs_utf8 = not all(map(str.isascii, addresses)) or not _header(visit.message).isascii()
    parameters = ""
    if "8BITMIME" in hello and not visit.message.isascii():
        parameters += " BODY=8BITMIME"
    if "SMTPUTF8" in hello and needs_utf8:
        parameters += " SMTPUTF8"
    return parameters


def _header(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0]


def stuffed(content: bytes) -> bytes:
    """RFC 5321 section 4.5.2."""
    content = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    return (b"." if content.startswith(b".") else b"") + content.replace(b"\r\n.", b"\r\n..")


def _answer(stage: str, reply: str, said: dict[str, list[str]]) -> Answer:
    code, rest = int(reply[:3]), reply[4:]
    found = _STATUS.fullmatch(rest)
    status, text = (found[1], found[2]) if found else ("", rest)
    return Answer(code, status, text, stage, {key: tuple(each) for key, each in said.items()})
