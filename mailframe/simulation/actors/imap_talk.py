"""IMAP as a small client needs it: commands with their untagged answers, literals included."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailframe.testing.network.talk import Gone, Talk, dial

PORT = 143
_LITERAL = re.compile(rb"\{(\d+)\}$")
_FETCH = re.compile(rb"\* (\d+) FETCH ")
_UID = re.compile(rb"[( ]UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_IGNORED = frozenset({"\\Recent"})


class Refusal(Exception):
    """NO or BAD: the words of the server."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response: its text without the literals, and those."""

    text: bytes
    literals: tuple[bytes, ...] = ()

    def number(self, pattern: bytes) -> int | None:
        found = re.search(pattern, self.text)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Fetched:
    uid: int
    flags: frozenset[str] | None
    content: bytes | None


class ImapTalk:
    """Logged in. ``told`` hears every untagged response, whenever it comes."""

    def __init__(self, talk: Talk, told: Callable[[Response], None]) -> None:
        self.talk = talk
        self._told = told
        self._tags = 0
        self._is_leaving = False

    async def ask(self, command: str, literal: bytes | None = None) -> list[Response]:
        """The untagged answers and last the tagged one. Raises Gone and Refusal."""
        self._tags += 1
        self._is_leaving = command == "LOGOUT"
        tag = b"t%d" % self._tags
        size = f" {{{len(literal)}}}" if literal is not None else ""
        self.talk.send(tag + f" {command}{size}\r\n".encode())
        heard = []
        while True:
            response = await self._response()
            if response.text.startswith(b"+ ") and literal is not None:
                self.talk.send(literal + b"\r\n")
            elif response.text.startswith(tag + b" "):
                heard.append(response)
                break
            else:
                heard.append(response)
                self._told(response)
        if not response.text.startswith(tag + b" OK"):
            raise Refusal(f"{command[:60]}: {response.text[:120].decode('ascii', 'replace')}")
        return heard

    async def idle(self, seconds: float) -> None:
        """RFC 2177, for so long."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.talk.send(tag + b" IDLE\r\n")
        while not (response := await self._response()).text.startswith(b"+ "):
            self._told(response)
        await self.talk.pause(seconds)
        self.talk.send(b"DONE\r\n")
        while not (response := await self._response()).text.startswith(tag):
            self._told(response)

    async def _response(self) -> Response:
        text, literals = b"", []
        while True:
            line = await self.talk.line()
            text += line
            found = _LITERAL.search(line)
            if found is None:
                break
            literals.append(await self.talk.octets(int(found[1])))
        if text.startswith(b"* BYE") and not self._is_leaving:
            raise Gone(text[:80].decode("ascii", "replace"))
        return Response(text, tuple(literals))


async def log_in(
    reactor: Any, ip: str, account: str, patience: float, told: Callable[[Response], None]
) -> ImapTalk:
    """Raises Gone and Refusal."""
    talk = await dial(reactor, ip, PORT, patience)
    try:
        await talk.line()
        imap = ImapTalk(talk, told)
        await imap.ask(f"LOGIN {account} secret")
    except BaseException:
        talk.close()
        raise
    return imap


def fetched(responses: list[Response]) -> list[Fetched]:
    """What FETCH responses with a UID say."""
    found = []
    for response in responses:
        uid = _UID.search(response.text)
        if _FETCH.match(response.text) and uid is not None:
            flags = _FLAGS.search(response.text)
            found.append(
                Fetched(
                    int(uid[1]),
                    None if flags is None else _words(flags[1]),
                    response.literals[0] if response.literals else None,
                )
            )
    return found


def _words(flags: bytes) -> frozenset[str]:
    return frozenset(flags.decode("ascii").split()) - _IGNORED
