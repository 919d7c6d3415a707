"""A foreign mail server and its habits.

What it does with its n-th caller is planned: one habit each, honest from then on. Some
local-parts behave for ever: ``no`` does not exist, ``later-N-LETTER`` is put off N times.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from random import Random
from typing import Any

from mailframe.simulation.letters import recognise
from mailframe.simulation.people import LATER, REFUSED
from mailframe.simulation.record import Asked, Handed, Record
from mailframe.testing.network.talk import Gone, Serving, Talk

PORT = 25
STAGES = ("connect", "hello", "mail", "rcpt", "data", "body", "end", "after")
HABITS = (
    "stall", "cut", "4xx", "421", "5xx", "garbage", "pieces", "late",
    "twice", "swallow", "drop", "silent close",
)  # fmt: skip
_EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
_PATIENCE = 1800.0


@dataclass(frozen=True, slots=True)
class Habit:
    """What to do to caller ``call`` (from 0), at a stage of the conversation."""

    host: str
    call: int
    stage: str
    what: str
    seconds: float = 0.0


@dataclass(slots=True)
class _Mail:
    reverse_path: str = ""
    recipients: tuple[str, ...] = ()
    is_refused: bool = False


class Stranger:
    """``client_of(ip)``: which station calls, and which of its incarnations."""

    def __init__(self, name: str, domain: str, reactor: Any, record: Record) -> None:
        self.name = name
        self.domain = domain
        self.is_calm = False
        """Nobody is treated badly any more."""
        self.habits: dict[int, Habit] = {}
        self.client_of: Any = lambda ip: (ip, 0)
        self._calls = 0
        self._asked: Counter[str] = Counter()
        self._reactor = reactor
        self._record = record
        self._random = Random(f"stranger {name}")

    def listen(self, ip: str) -> None:
        self._reactor.listenTCP(PORT, Serving(self._reactor, self._serve, _PATIENCE), interface=ip)

    def puts_off(self, local: str) -> bool:
        word, _, rest = local.partition("-")
        if word != LATER:
            return False
        self._asked[local] += 1
        return self._asked[local] <= int(rest.partition("-")[0])

    async def _serve(self, talk: Talk) -> None:
        habit = None if self.is_calm else self.habits.get(self._calls)
        self._calls += 1
        await _Conversation(self, talk, habit).run()


class _Conversation:
    def __init__(self, house: Stranger, talk: Talk, habit: Habit | None) -> None:
        self._house = house
        self._talk = talk
        self._habit = habit
        self._record = house._record
        peer: Any = talk.transport
        self._client = house.client_of(peer.getPeer().host)
        self._unconfirmed: list[Handed] = []
        self._untold: deque[Asked] = deque()

    async def run(self) -> None:
        if await self._turn("connect"):
            self._say(f"220 {self._house.name} ESMTP")
        mail = _Mail()
        while True:
            line = (await self._talk.line()).decode("utf-8", "replace")
            self._went_on()
            verb = line[:4].upper()
            if verb in ("MAIL", "RSET", "QUIT"):
                self._heard_verdicts()
            if verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            mail = await self._command(verb, line, mail)

    async def _command(self, verb: str, line: str, mail: _Mail) -> _Mail:
        if verb == "EHLO":
            if await self._turn("hello"):
                words = (self._house.name, *_EXTENSIONS)
                self._say("\r\n".join([f"250-{word}" for word in words] + ["250 SIZE 10000000"]))
        elif verb == "MAIL":
            mail = _Mail(_path(line))
            if await self._turn("mail"):
                self._say("250 2.1.0 ok")
            else:
                mail = _Mail(is_refused=True)
        elif verb == "RCPT":
            await self._rcpt(_path(line), mail)
        elif verb == "DATA":
            await self._data(mail)
            mail = _Mail()
        elif verb in ("RSET", "NOOP", "HELO"):
            self._say("250 2.0.0 ok")
            mail = _Mail()
        else:
            self._say("500 5.5.2 what?")
        return mail

    async def _rcpt(self, recipient: str, mail: _Mail) -> None:
        local, _, domain = recipient.partition("@")
        if mail.is_refused:
            self._say("503 5.5.1 MAIL first")
        elif domain.lower() != self._house.domain:
            self._say("550 5.7.1 no relay here")
        elif local.startswith(f"{REFUSED}-"):
            self._ask(local, recipient)
            self._say("550 5.1.1 there is nobody of that name")
        elif self._house.puts_off(local):
            self._ask(local, recipient)
            self._say("450 4.2.1 later")
        elif await self._turn("rcpt"):
            mail.recipients += (recipient,)
            self._say("250 2.1.5 ok")

    def _ask(self, local: str, recipient: str) -> None:
        letter = int(local.rpartition("-")[2])
        asked = Asked(self._house.name, self._record.now(), letter, recipient, self._client)
        self._record.asked.append(asked)
        self._untold.append(asked)
        self._record.note(self._house.name, f"does not take {recipient}", letter)

    async def _data(self, mail: _Mail) -> None:
        if not mail.recipients:
            self._say("503 5.5.1 nobody to send to")
            return
        if not await self._turn("data"):
            return
        self._say("354 go on")
        if self._does("data", "twice"):
            self._say("354 go on")
        if self._does("body", "stall", "cut", "4xx", "421"):
            await self._talk.octets(10)
            await self._turn("body")
        content = await self._content()
        self._heard_verdicts()
        await self._finish(mail, content)

    async def _content(self) -> bytes:
        """RFC 5321 section 4.5.2."""
        lines = []
        while (line := await self._talk.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(line + b"\r\n" for line in lines)

    async def _finish(self, mail: _Mail, content: bytes) -> None:
        if self._does("end", "drop"):
            self._talk.cut()
            raise Gone("dropped")
        if not await self._turn("end"):
            return
        seen = recognise(content)
        handed = Handed(
            self._house.name,
            self._record.now(),
            seen.number,
            seen.ids,
            mail.recipients,
            content,
            mail.reverse_path,
            incarnation=self._client,
        )
        self._record.handed.append(handed)
        whom = ", ".join(mail.recipients)
        self._record.note(self._house.name, f"has {seen.ids[:1]} for {whom}", seen.number)
        if self._does("end", "swallow"):
            self._talk.cut()
            raise Gone("swallowed")
        if self._does("end", "silent close"):
            self._talk.close()
            raise Gone("closed")
        if self._does("end", "late"):
            assert self._habit is not None
            await self._talk.pause(self._habit.seconds)
        self._unconfirmed.append(handed)
        self._say("250 2.0.0 taken")
        await self._turn("after")

    def _went_on(self) -> None:
        """The client speaks after a final reply: it has heard it."""
        for handed in self._unconfirmed:
            handed.confirmed = True
        self._unconfirmed.clear()

    def _heard_verdicts(self) -> None:
        """The client acts on what it was told about recipients; what was sent together with
        them (RFC 2920) does not show that yet."""
        while self._untold:
            self._untold.popleft().is_confirmed = True

    def _does(self, stage: str, *what: str) -> bool:
        habit = self._habit
        return habit is not None and habit.stage == stage and habit.what in what

    async def _turn(self, stage: str) -> bool:
        """Whether to go on as an honest server would."""
        habit = self._habit
        if habit is None or habit.stage != stage:
            return True
        match habit.what:
            case "stall":
                self._note("stalls")
                await self._talk.pause(habit.seconds)
            case "cut":
                self._note("cuts")
                self._talk.cut()
                raise Gone("cut")
            case "4xx":
                self._say("451 4.3.0 not now")
                return False
            case "5xx":
                self._say("554 5.7.1 not you")
                return False
            case "421":
                self._say("421 4.3.2 closing")
                self._talk.close()
                raise Gone("421")
            case "garbage":
                self._say("\x00\xffwhat 25")
                return False
        return True

    def _say(self, line: str) -> None:
        self._talk.send(line.encode("latin-1") + b"\r\n")

    def _note(self, text: str) -> None:
        assert self._habit is not None
        self._record.count("rudeness")
        self._record.note(self._house.name, f"{text} at {self._habit.stage}")


def _path(line: str) -> str:
    start, end = line.find("<"), line.find(">")
    return line[start + 1 : end] if 0 <= start < end else ""
