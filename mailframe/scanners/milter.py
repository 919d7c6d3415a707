"""Milters as a policy: filters that speak sendmail's protocol, asked in their order.

Each has a connection of its own for every SMTP session, and sees all mail: strangers', users',
and what is handed over by LMTP. What becomes of its answers:

=================== ================================================================
accept              it is not asked any more: about the session, from MAIL on the message
reject, tempfail    refused: the client, the recipient or the message
reply               the same in the filter's words
discard, quarantine filed into Junk; refused where a recipient is elsewhere, whom no folder of ours
                    holds back. Nothing that was accepted vanishes, whoever asks for it
add, insert header  on top of the message, whatever the place
everything else     an ``Amendment`` of the message
=================== ================================================================

``accepts_on_error`` says what happens while a filter does not answer, breaks the protocol, or is
not there: mail goes on without it, or is put off with 451 from MAIL on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Tag
from mailframe.core.verdict import Verdict as PolicyVerdict
from mailframe.errors import Failure, PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IConnectPolicy,
    IContent,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
)
from mailframe.protocols.milter.events import Decision, Refuse, Verdict
from mailframe.scanners.milter_connection import (
    MilterAddress,
    MilterConnection,
    MilterFailed,
    open_milter,
    parse_milter,
)
from mailframe.scanners.milter_message import SeenMessage, seen_message
from mailframe.scanners.milter_talk import MilterTalk

REJECTED = Reply(550, status.MESSAGE_REFUSED, "Refused by a filter")
PUT_OFF = Reply(451, status.MESSAGE_REFUSED, "Put off by a filter, please try again later")
UNAVAILABLE = Reply(451, status.SYSTEM_OTHER, "Filter unavailable, please try again later")
_SHUTDOWN = Reply(421, status.MESSAGE_REFUSED, "Closed by a filter, please try again later")
_REPLIES = {
    Decision.REJECT: REJECTED,
    Decision.TEMPFAIL: PUT_OFF,
    Decision.SHUTDOWN: _SHUTDOWN,
}


@implementer(
    IConnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IRecipientPolicy,
    IMessagePolicy,
    IDisconnectPolicy,
)
class MilterPolicy:
    """``milters`` as ``inet:HOST:PORT`` or ``unix:PATH``; ValueError for others. ``timeout`` in
    seconds, for each answer."""

    name = "milter"
    log = Logger()

    def __init__(
        self,
        milters: Sequence[str],
        *,
        reactor: Any,
        hostname: str,
        timeout: float = 30.0,
        accepts_on_error: bool = False,
    ) -> None:
        self._milters = [parse_milter(text) for text in milters]
        self._reactor = reactor
        self._hostname = hostname
        self._timeout = timeout
        self._accepts_on_error = accepts_on_error
        self._sessions: dict[str, list[MilterTalk]] = {}
        self._down: set[str] = set()

    def __len__(self) -> int:
        """How many sessions have talks."""
        return len(self._sessions)

    # the stages

    async def connect(self, session: Session) -> PolicyVerdict:
        for talk in self._talks(session):
            if talk.name in self._down:
                continue  # a silent one must not hold up the greeting again and again
            try:
                verdict = await talk.connect(session)
            except MilterFailed as error:
                # it is tried again at MAIL, where 451 is understood by everybody
                self._note_failure(talk, str(error))
                continue
            if (failure := _refusal(talk, verdict)) is not None:
                raise _at_connect(failure)
            self._note_success(talk)
        return None

    async def helo(self, session: Session) -> PolicyVerdict:
        for talk in self._talks(session):
            try:
                verdict = await talk.helo(session)
            except MilterFailed as error:
                self._note_failure(talk, str(error))
            else:
                _refuse(talk, verdict)
        return None

    async def mail(self, session: Session, envelope: Envelope) -> PolicyVerdict:
        for talk in self._talks(session):
            talk.failure = ""  # another message, another try
        return await self._ask_all(session, lambda talk: talk.mail(session, envelope))

    async def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> PolicyVerdict:
        return await self._ask_all(session, lambda talk: talk.recipient(recipient))

    async def message(
        self, session: Session, envelope: Envelope, content: IContent
    ) -> PolicyVerdict:
        if not self._milters:
            return None
        seen = await seen_message(content)
        skipped = await self._ask_all(session, lambda talk: talk.message(seen))
        return self._outcome(session, envelope, seen, skipped)

    def disconnected(self, session: Session) -> None:
        for talk in self._sessions.pop(session.id, ()):
            talk.close()

    # asking

    def _talks(self, session: Session) -> list[MilterTalk]:
        if session.id not in self._sessions:
            self._sessions[session.id] = [self._talk(each) for each in self._milters]
        return self._sessions[session.id]

    def _talk(self, milter: MilterAddress) -> MilterTalk:
        endpoint = milter.endpoint(self._reactor, self._timeout)

        async def dial() -> MilterConnection:
            return await open_milter(endpoint, self._reactor, self._timeout)

        return MilterTalk(milter.text, dial, self._hostname)

    async def _ask_all(self, session: Session, ask: Any) -> Tag | None:
        """Each in its order. Raises Failure for the first that objects; a Tag names those that
        were left out."""
        left_out = []
        for talk in self._talks(session):
            try:
                if talk.failure:
                    raise MilterFailed(talk.failure)
                answer: Awaitable[Verdict] = ask(talk)
                verdict = await answer
            except MilterFailed as error:
                self._note_failure(talk, str(error))
                talk.failure = str(error)
                if not self._accepts_on_error:
                    raise TransientFailure(UNAVAILABLE, f"{talk.name}: {error}") from None
                left_out.append(f"{talk.name} not asked: {error}")
            else:
                _refuse(talk, verdict)
                self._note_success(talk)
        return Tag("; ".join(left_out)) if left_out else None

    def _outcome(
        self, session: Session, envelope: Envelope, seen: SeenMessage, skipped: Tag | None
    ) -> Tag:
        reasons = [skipped.reason] if skipped is not None else []
        discarding = [talk.name for talk in self._talks(session) if talk.is_discarding]
        reasons += [f"{name} would discard it" for name in discarding]
        if seen.leaves_nobody(envelope.recipients):
            reasons.append("no recipient was left")
        if seen.quarantined:
            reasons.append(f"quarantine: {seen.quarantined}")
        folder = ""
        if discarding or seen.quarantined or seen.leaves_nobody(envelope.recipients):
            if any(recipient.mailbox is None for recipient in envelope.recipients):
                raise PermanentFailure(REJECTED, "; ".join(reasons))
            folder = "Junk"
        fields, amendment = seen.new_fields, seen.amendment()
        if seen.leaves_nobody(envelope.recipients):
            amendment = None
        reasons += [f"added {name}" for name, _ in fields]
        reasons += ["amended"] if amendment is not None else []
        return Tag("; ".join(reasons) or "accepted", fields, folder=folder, amendment=amendment)

    # the log

    def _note_failure(self, talk: MilterTalk, why: str) -> None:
        if talk.name not in self._down:
            self._down.add(talk.name)
            self.log.warn("milter {name} cannot be asked: {why}", name=talk.name, why=why)

    def _note_success(self, talk: MilterTalk) -> None:
        if talk.name in self._down:
            self._down.discard(talk.name)
            self.log.info("milter {name} answers again", name=talk.name)


def _refusal(talk: MilterTalk, verdict: Verdict) -> Failure | None:
    if isinstance(verdict, Refuse):
        reply = verdict.reply
    elif verdict in _REPLIES:
        reply = _REPLIES[verdict]
    else:
        return None
    kind = TransientFailure if reply.is_transient else PermanentFailure
    return kind(reply, f"{talk.name} said so")


def _refuse(talk: MilterTalk, verdict: Verdict) -> None:
    if (failure := _refusal(talk, verdict)) is not None:
        raise failure


def _at_connect(failure: Failure) -> Failure:
    """Instead of a greeting only 421 and 554 make sense (RFC 5321 section 4.3.2)."""
    reply = failure.reply
    code = 421 if reply.is_transient else 554
    return type(failure)(Reply(code, reply.status, reply.text), failure.detail)
