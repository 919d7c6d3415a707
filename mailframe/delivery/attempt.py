"""One attempt: one message, and what the hosts that were asked have said about each recipient.

``sender`` finds the hosts; here is what a session with one of them means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery.content import Content, Prepared, needs_utf8
from mailframe.delivery.host_failed import HostFailed
from mailframe.delivery.hosts import Host
from mailframe.delivery.session import SmtpSession
from mailframe.errors import PermanentFailure
from mailframe.interfaces import Batch
from mailframe.protocols.smtp.client_extensions import Extensions
from mailframe.protocols.smtp.client_transaction import Transaction

_MAX_SESSIONS = 2
_NOBODY = Reply(451, status.NO_ANSWER, "No host to deliver to could be reached")
_CLOSED = Reply(451, status.BAD_CONNECTION, "The host closed the connection early")


_Group = list[tuple[int, Recipient]]
"""Recipients as the server can read them, with their places in the batch."""


class Attempt:
    """The verdicts so far, by the recipient's place in the batch."""

    def __init__(self, batch: Batch, content: Content, group_size: int) -> None:
        self._recipients = batch.recipients
        self._content = content
        self._group_size = group_size
        self._reports: dict[int, DeliveryReport] = {}
        self._open = set(range(len(batch.recipients)))
        self._heard: set[int] = set()
        """Those that a host has said something about."""
        self._sessions = 0
        self._asked: set[Host] = set()
        """That have said what they think of this message, on a connection kept open too."""

    @property
    def goes_on(self) -> bool:
        """Whether another host should be tried."""
        return bool(self._open) and self._sessions < _MAX_SESSIONS

    def was_asked(self, host: Host) -> bool:
        return host in self._asked

    def reports(self) -> list[DeliveryReport]:
        return [
            self._reports.get(index) or DeliveryReport(recipient, Outcome.DEFERRED, _NOBODY)
            for index, recipient in enumerate(self._recipients)
        ]

    def give_up(self, reply: Reply, detail: str) -> None:
        """No host will be tried any more; this is why."""
        outcome = Outcome.FAILED if reply.is_permanent else Outcome.DEFERRED
        for index in self._open:
            recipient = self._recipients[index]
            self._reports[index] = DeliveryReport(recipient, outcome, reply, detail=detail)
        self._open.clear()

    def host_failed(self, host: Host, failure: HostFailed) -> None:
        """The next host may do; should none, these are the words of the last one."""
        for index in self._open - self._heard:
            self._note(
                index, Outcome.DEFERRED, failure.reply, host, failure.detail, heard=failure.heard
            )

    async def talk(
        self, session: SmtpSession, *, reused: bool, said_all: Callable[[], None]
    ) -> None:
        """Send the message on this connection to everybody still open.

        ``said_all`` is called when another message may be begun on it, while this one lacks
        its verdict; not where there was no such moment. A reused connection may have died
        unseen: then it is as if it had not been."""
        offered = session.extensions
        try:
            prepared = await self._content.prepare(offered)
        except PermanentFailure as failure:
            for index in sorted(self._open):
                self._settle(index, Outcome.FAILED, failure.reply, session, heard=False)
            return
        todo = self._readable(session)
        size = min(self._group_size, offered.max_recipients or self._group_size)
        self._sessions += 1
        while todo and session.is_usable:
            group, todo = todo[:size], todo[size:]
            transaction = _transaction(prepared, group, offered)
            failure_here = await self._transact(
                session, transaction, prepared, None if todo else said_all
            )
            if reused and _was_dead(transaction, failure_here):
                self._sessions -= 1
                return
            reused = False
            self._asked.add(session.host)
            todo += self._judge(session, transaction, group, failure_here)

    def _readable(self, session: SmtpSession) -> _Group:
        """Who is open and has an address that this server understands."""
        todo: _Group = []
        for index in sorted(self._open):
            fitting = self._content.recipient(self._recipients[index], session.extensions)
            if isinstance(fitting, Reply):
                self._settle(index, Outcome.FAILED, fitting, session, heard=False)
            else:
                todo.append((index, fitting))
        return todo

    async def _transact(
        self,
        session: SmtpSession,
        transaction: Transaction,
        prepared: Prepared,
        said_all: Callable[[], None] | None,
    ) -> HostFailed | None:
        def content_sent() -> None:
            if said_all is not None and not _some_go_again(transaction):
                said_all()

        try:
            await session.send(transaction, prepared.message, content_sent)
        except HostFailed as failure:
            return failure
        return None

    def _judge(
        self,
        session: SmtpSession,
        transaction: Transaction,
        group: _Group,
        failure: HostFailed | None,
    ) -> _Group:
        """Note every verdict; returns those to try again in another transaction."""
        again: _Group = []
        for place, (index, recipient) in enumerate(group):
            verdict = transaction.verdicts[place]
            if verdict is None:
                self._unheard(session, transaction, index, failure)
            elif verdict.is_positive:
                self._settle(index, _done(session), verdict, session)
            elif _is_crowded(verdict) and _others_were_accepted(transaction, place):
                again.append((index, recipient))
                self._hear(index, verdict, session)
            elif verdict.is_permanent:
                self._settle(index, Outcome.FAILED, verdict, session)
            else:
                self._hear(index, verdict, session)
        return again

    def _unheard(
        self,
        session: SmtpSession,
        transaction: Transaction,
        index: int,
        failure: HostFailed | None,
    ) -> None:
        reply = failure.reply if failure is not None else _CLOSED
        detail = failure.detail if failure is not None else ""
        heard = failure is not None and failure.heard
        if transaction.content_sent:
            # RFC 5321 section 4.5.3.2.6 asks for patience here, since trying again may
            # deliver twice. The queue will have to, but no other host in this attempt.
            text = f"{reply.text}, after the message was sent and before it was confirmed"
            told = reply.with_text(text)
            self._settle(index, Outcome.DEFERRED, told, session, detail, heard=heard)
            return
        self._note(index, Outcome.DEFERRED, reply, session.host, detail, heard=heard)

    def _settle(
        self,
        index: int,
        outcome: Outcome,
        reply: Reply,
        session: SmtpSession,
        detail: str = "",
        *,
        heard: bool = True,
    ) -> None:
        """No other host will be asked about this recipient."""
        said = f"{session.encryption}; {detail}" if detail else session.encryption
        self._note(index, outcome, reply, session.host, said, heard=heard)
        self._open.discard(index)

    def _hear(self, index: int, reply: Reply, session: SmtpSession) -> None:
        """A 4yz: another host may have another opinion."""
        self._note(index, Outcome.DEFERRED, reply, session.host, session.encryption)
        self._heard.add(index)

    def _note(
        self,
        index: int,
        outcome: Outcome,
        reply: Reply,
        host: Host,
        detail: str,
        *,
        heard: bool = True,
    ) -> None:
        """``heard``: the host said ``reply``; otherwise the words are ours."""
        remote = host.name if heard else ""
        self._reports[index] = DeliveryReport(
            self._recipients[index], outcome, reply, remote, host.ip, detail
        )


def _transaction(prepared: Prepared, group: _Group, offered: Extensions) -> Transaction:
    recipients = [recipient for _, recipient in group]
    envelope = prepared.envelope
    if offered.smtputf8 and needs_utf8(envelope, recipients):
        envelope = replace(envelope, smtputf8=True)
    return Transaction(envelope, recipients, prepared.message.size, prepared.body)


def _was_dead(transaction: Transaction, failure: HostFailed | None) -> bool:
    reply = transaction.mail_reply
    return (failure is not None and reply is None) or (reply is not None and reply.code == 421)


def _done(session: SmtpSession) -> Outcome:
    # RFC 3461 section 5.2.2: who offers DSN reports from here on, otherwise we do.
    if session.extensions.dsn:
        return Outcome.PASSED_ON
    return Outcome.DELIVERED if session.is_lmtp else Outcome.RELAYED


def _others_were_accepted(transaction: Transaction, place: int) -> bool:
    """So that each further transaction has fewer to ask for. Who was accepted himself heard 452
    about the content: the server has no room, and would say so for ever."""
    return bool(transaction.accepted) and place not in transaction.accepted


def _some_go_again(transaction: Transaction) -> bool:
    """Whether there is another transaction to come for those who were too many for this one."""
    return any(verdict is not None and _is_crowded(verdict) for verdict in transaction.verdicts)


def _is_crowded(reply: Reply) -> bool:
    """RFC 5321 section 4.5.3.1.10: too many for one transaction; the rest in another."""
    about_mailbox = reply.status is not None and reply.status.subject == 2
    return reply.code == 452 and not about_mailbox
