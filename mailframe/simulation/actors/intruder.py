"""Who wants this server to send its mail: no login, every trick of the trade.

Any 250 to a recipient elsewhere is a violation, and so is its mail at a stranger's. The
addresses are those of open-relay tests since the nineties.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater

from mailframe.simulation.actors.sender import _reply
from mailframe.simulation.record import Record
from mailframe.testing.network.talk import Gone, dial

_PATIENCE = 60.0
_LOGINS = ("AUTH PLAIN AGFubgB3cm9uZw==", "AUTH LOGIN", "AUTH PLAIN")


def tricks(own: str, elsewhere: str) -> list[tuple[str, str]]:
    """Reverse-path and forward-path, without their angle brackets."""
    user, _, domain = elsewhere.partition("@")
    return [
        (f"thief@{domain}", elsewhere),
        ("", elsewhere),
        (f"ann@{own}", elsewhere),
        (f"ann@{own}", f"{user}%{domain}@{own}"),
        (f"ann@{own}", f'"{elsewhere}"@{own}'),
        (f"ann@{own}", f"{domain}!{user}@{own}"),
        (f"ann@{own}", f"{domain}!{user}"),
        (f"ann@{own}", f"@{own}:{elsewhere}"),
        (f"ann@{own}", f"{elsewhere}@{own}"),
        (f"ann@{own}", f'"{elsewhere}"'),
        (f"ann@{own}", f"{user}%{domain}"),
        (f"ann@{own}", f"@{domain}:ann@{own}"),
    ]


class Intruder:
    """Every recipient that the server accepts leads to ``elsewhere`` or is a violation."""

    def __init__(self, host: str, reactor: Any, record: Record, ip: str, own: str) -> None:
        self._host = host
        self._reactor = reactor
        self._record = record
        self._ip = ip
        self._own = own

    async def run(self, at: float, elsewhere: str, port: int) -> None:
        await deferLater(self._reactor, at)
        for number, (reverse, forward) in enumerate(tricks(self._own, elsewhere)):
            try:
                await self._try(reverse, forward, port, number)
            except Gone as gone:
                self._record.note(self._host, f"trick {number} broke off: {gone}")

    async def _try(self, reverse: str, forward: str, port: int, number: int) -> None:
        talk = await dial(self._reactor, self._ip, port, _PATIENCE)
        try:
            await _reply(talk)
            talk.send(b"EHLO thief.example\r\n")
            await _reply(talk)
            if number % 4 == 3:
                talk.send(f"{_LOGINS[0]}\r\n".encode())
                await _reply(talk)
            talk.send(f"MAIL FROM:<{reverse}>\r\nRCPT TO:<{forward}>\r\n".encode())
            mail, rcpt = await _reply(talk), await _reply(talk)
            self._record.count("tricks")
            ends_here = forward.rpartition(":")[2] == f"ann@{self._own}"
            if rcpt[0] == "2" and not ends_here:
                self._record.violation(
                    self._host, f"a relay for anybody: {forward}: {mail}, {rcpt}"
                )
                await self._send(talk)
            talk.send(b"QUIT\r\n")
        finally:
            talk.close()

    async def _send(self, talk: Any) -> None:
        talk.send(b"DATA\r\n")
        await _reply(talk)
        talk.send(b"Subject: a stolen relay\r\n\r\n.\r\n")
        await _reply(talk)
