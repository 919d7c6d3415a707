"""Errors that ``mailframe dev`` makes on demand, so that a program can be seen to bear them.

Three sources, asked in this order at MAIL, at each RCPT, at the end of the data and after a
login:

* *magic local-parts*, of the sender at MAIL and of a recipient at RCPT: ``550@``, ``ann+452@``
  (any code from 400 to 599), ``permerror@``, ``temperror@``, ``delay5@`` (seconds, then it is
  accepted), ``timeout@`` (no answer until the client gives up), ``drop@`` (the connection is gone).
  With ``data-`` before it, of any recipient, at the end of the data: ``data-552@``,
  ``ann+data-timeout@``. After 421 the connection ends;
* *faults and triggers*, which the API sets (``web.faults``);
* *chaos*: a share of all commands is refused for now, loses the connection, or is answered late.

A policy of the house like any other, and put in by ``mailframe dev`` only: what is here refused is
in the journal as refused by ``dev``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.status import Status
from mailframe.core.verdict import Verdict
from mailframe.interfaces import (
    IAuthPolicy,
    IContent,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.web.faults import Faults

FOREVER = 3_600.0
"""Seconds; no client waits as long (RFC 5321 section 4.5.3.2 has ten minutes at most)."""
MAX_DELAY = 600
_LAST_WORDS = 0.05
"""Seconds between a 421 and the end: the reply leaves first."""
CHAOS_DELAYS = (0.2, 3.0)
_MAGIC = re.compile(
    r"(?:.*\+)?(data-)?(?:([45][0-9]{2})|(permerror|temperror|timeout|drop)|delay([0-9]{1,3}))",
    re.IGNORECASE,
)
_STATUSES = {
    421: status.SYSTEM_NOT_ACCEPTING,
    450: status.MAILBOX_DISABLED,
    451: status.SYSTEM_OTHER,
    452: status.MAILBOX_FULL,
    454: status.SECURITY_OTHER,
    503: status.INVALID_COMMAND,
    530: status.SECURITY_OTHER,
    535: status.BAD_CREDENTIALS,
    550: status.BAD_DESTINATION_MAILBOX,
    551: status.MAILBOX_MOVED,
    552: status.MAILBOX_FULL,
    553: status.BAD_DESTINATION_SYNTAX,
    554: status.MESSAGE_REFUSED,
}
_WORDS = {"permerror": 550, "temperror": 451}


def refusal(code: int, text: str = "") -> Reply:
    return Reply(code, _STATUSES.get(code, Status(0, 0)), text or "This error was asked for")


@dataclass(frozen=True, slots=True)
class Chaos:
    """A share of commands that goes wrong."""

    percent: int
    random: Random
    """Seeded, where a run is to be repeated."""

    def word(self) -> str:
        """What happens now: ``temperror``, ``drop``, ``delay``; empty: nothing."""
        if self.random.uniform(0, 100) >= self.percent:
            return ""
        return self.random.choice(("temperror", "drop", "delay"))

    def delay(self) -> float:
        return self.random.uniform(*CHAOS_DELAYS)


HangUp = Callable[[Session, bool], None]
"""End the session's connection; true: without a word, and what is not sent yet is lost."""


@implementer(IMailPolicy, IRecipientPolicy, IMessagePolicy, IAuthPolicy, IRefusedPolicy)
class DevErrors:
    name = "dev"

    def __init__(
        self,
        clock: IReactorTime,
        faults: Faults,
        hang_up: HangUp,
        *,
        magic: bool,
        chaos: Chaos | None,
    ) -> None:
        """``magic``: whether local-parts mean anything."""
        self._clock = clock
        self._faults = faults
        self._hang_up = hang_up
        self._magic = magic
        self._chaos = chaos

    def auth(self, session: Session) -> Verdict | Awaitable[Verdict]:
        return self._verdict(session, "auth", [session.account or ""], [])

    def mail(self, session: Session, envelope: Envelope) -> Verdict | Awaitable[Verdict]:
        sender = envelope.reverse_path
        magic = [sender.local_part] if sender is not None else []
        return self._verdict(session, "mail", [_text(sender)], magic)

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict | Awaitable[Verdict]:
        return self._verdict(
            session, "rcpt", [_text(recipient.address)], [recipient.address.local_part]
        )

    def message(
        self, session: Session, envelope: Envelope, content: IContent
    ) -> Verdict | Awaitable[Verdict]:
        addresses = [recipient.address for recipient in envelope.recipients]
        return self._verdict(
            session,
            "data",
            [_text(each) for each in addresses],
            [each.local_part for each in addresses],
        )

    def refused(self, session: Session, stage: str, reply: Reply) -> None:
        # RFC 5321 section 3.8: whoever says 421 closes the connection.
        if reply.code == 421 and stage != "connect":
            self._clock.callLater(_LAST_WORDS, self._hang_up, session, False)

    def _verdict(
        self, session: Session, stage: str, addresses: list[str], local_parts: list[str]
    ) -> Verdict | Awaitable[Verdict]:
        if self._magic:
            for local_part in local_parts:
                found = _MAGIC.fullmatch(local_part)
                if found and bool(found[1]) == (stage == "data"):
                    return self._perform(session, found)
        for address in addresses:
            if taken := self._faults.take(stage, address):
                return refusal(*taken)
        if self._chaos is None or not (word := self._chaos.word()):
            return None
        if word == "delay":
            return self._later(self._chaos.delay())
        return self._by_word(session, word)

    def _perform(self, session: Session, found: re.Match[str]) -> Verdict | Awaitable[Verdict]:
        _, code, word, delay = found.groups()
        if code:
            return refusal(int(code))
        if delay:
            return self._later(min(int(delay), MAX_DELAY))
        return self._by_word(session, word.lower())

    def _by_word(self, session: Session, word: str) -> Verdict | Awaitable[Verdict]:
        if word in _WORDS:
            return refusal(_WORDS[word])
        if word == "drop":
            self._hang_up(session, True)
        return self._later(FOREVER)

    async def _later(self, seconds: float) -> Verdict:
        await deferLater(self._clock, seconds)
        return None


def _text(address: Address | None) -> str:
    return str(address) if address is not None else ""
