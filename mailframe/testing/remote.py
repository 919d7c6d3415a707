"""The rest of the world: hosts that take what the server sends, or refuse it as a test says.

A script has one answer for each attempt, the last one for all that follow::

    250                        takes everything
    "421 4.3.2 too busy"       at the greeting (421 and 554), else at RCPT
    {"rcpt": "550 5.1.1 no"}   at that command: greeting, ehlo, mail, rcpt, data, message
    "drop"                     hangs up when the message has been sent, before its reply
    "stall"                    says nothing any more after the greeting
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint

from mailframe.testing.letters import Received
from mailframe.testing.network.host import Host
from mailframe.testing.network.talk import Serving, Talk

Answer = int | str | Mapping[str, str]
"""What a host says to one attempt; see above."""
STAGES = ("greeting", "ehlo", "mail", "rcpt", "data", "message")
"""Where it may say it."""
_PATIENCE = 3600.0
_AT_GREETING = ("421", "554")


class RemoteHost:
    """Listens at port 25 of its host. ``messages`` are those that it took, ``attempts`` how often
    it was called."""

    def __init__(
        self, name: str, host: Host, script: Sequence[Answer] = (250,), *, port: int = 25
    ) -> None:
        """Raises ValueError for what is no answer."""
        self.name = name
        """What it calls itself."""
        self.script = [_answer(each) for each in script]
        """The replies to each attempt by stage; empty where it takes everything."""
        self.messages: list[Received] = []
        """That it took, in order."""
        self.attempts = 0
        """How often it was called."""
        self.took: Callable[[Received], None] = self.messages.append
        """Called with each message that it takes."""
        self._host = host
        factory = Serving(host.reactor, self._serve, _PATIENCE)
        TCP4ServerEndpoint(host.reactor, port, interface=host.ips[0]).listen(factory)

    def _next(self) -> Mapping[str, str]:
        number = min(self.attempts, len(self.script) - 1)
        self.attempts += 1
        return self.script[number]

    async def _serve(self, talk: Talk) -> None:
        script = self._next()
        _say(talk, script.get("greeting", f"220 {self.name} ESMTP"))
        if "greeting" in script:
            return
        if "stall" in script:
            await talk.pause(_PATIENCE)
        sender = ""
        recipients: list[str] = []
        while True:
            line = (await talk.line()).decode("utf-8", "replace")
            verb = line[:4].upper()
            if verb in ("EHLO", "HELO"):
                extensions = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000")
                hello = "".join(f"250-{each}\r\n" for each in (self.name, *extensions))
                _say(talk, script.get("ehlo", f"{hello}250 ENHANCEDSTATUSCODES"))
            elif verb == "MAIL":
                sender, recipients = _path(line), []
                _say(talk, script.get("mail", "250 2.1.0 Ok"))
            elif verb == "RCPT":
                if "rcpt" not in script:
                    recipients.append(_path(line))
                _say(talk, script.get("rcpt", "250 2.1.5 Ok"))
            elif verb == "DATA":
                await self._data(talk, script, sender, recipients)
            elif verb == "QUIT":
                _say(talk, "221 2.0.0 Bye")
                return
            else:  # RSET, NOOP, and whatever else a client may try
                _say(talk, "250 2.0.0 Ok")

    async def _data(
        self, talk: Talk, script: Mapping[str, str], sender: str, recipients: list[str]
    ) -> None:
        if "data" in script or not recipients:
            _say(talk, script.get("data", "554 5.5.1 No recipients"))
            return
        _say(talk, "354 Go on")
        raw = b"\r\n" + await talk.until(b"\r\n.\r\n") + b"\r\n"
        raw = raw.replace(b"\r\n..", b"\r\n.")[2:]  # RFC 5321 section 4.5.2
        if "drop" in script:
            talk.cut()
        if "message" not in script:
            self.took(Received(raw, sender=sender, to=recipients))
        _say(talk, script.get("message", "250 2.0.0 Ok: taken"))


def _answer(given: Any) -> Mapping[str, str]:
    """By stage; empty where everything is taken."""
    if isinstance(given, Mapping):
        unknown = set(given) - set(STAGES)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no stage (known: {', '.join(STAGES)})")
        return {stage: _reply(reply) for stage, reply in given.items()}
    if given in ("drop", "stall"):
        return {given: ""}
    reply = _reply(given)
    if reply[0] == "2":
        return {}
    return {"greeting" if reply[:3] in _AT_GREETING else "rcpt": reply}


def _reply(given: object) -> str:
    text = str(given)
    if not text[:3].isdigit() or text[:1] not in "245" or text[3:4] not in ("", " "):
        raise ValueError(f"{given!r} is neither a reply nor drop nor stall")
    return text if len(text) > 3 else f"{text} {text[0]}.0.0 as the test says"


def _say(talk: Talk, reply: str) -> None:
    talk.send(f"{reply}\r\n".encode())


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
