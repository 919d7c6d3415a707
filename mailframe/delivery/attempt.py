"""One attempt: one message, handed to the first host that takes it.

Hosts are tried in order until every recipient has a final verdict: a host that cannot be
reached or will not talk leaves all recipients for the next one, a 4yz for one recipient
leaves that one, as Postfix does it, with at most two hosts that did talk
(smtp_mx_session_limit). Once the content has gone out and no reply came, nobody else is
tried: the host may have taken it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery.content import Content, Prepared, needs_utf8
from mailframe.delivery.dialler import Dialler, LoopsBack
from mailframe.delivery.hosts import IF_OFFERED, Credentials, Host, Security
from mailframe.delivery.idle import IdleSessions
from mailframe.delivery.session import HostFailed, SmtpSession
from mailframe.errors import INTERNAL_ERROR, Failure, MessageGone, PermanentFailure
from mailframe.interfaces import Batch, ISigner, IWorkers
from mailframe.protocols.smtp.client_extensions import Extensions
from mailframe.protocols.smtp.client_transaction import Transaction

_MAX_SESSIONS = 2
_NOBODY = Reply(451, status.NO_ANSWER, "No host to deliver to could be reached")
_CLOSED = Reply(451, status.BAD_CONNECTION, "The host closed the connection early")

Hosts = Callable[[], AsyncGenerator[Host, None]]
"""Yields the hosts to try, best first, looked up only as far as they are needed. May raise
TransientFailure or PermanentFailure."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to talk to every host of one next hop; also names its idle connections."""

    next_hop: str
    security: Security = IF_OFFERED
    credentials: Credentials | None = None
    lmtp: bool = False


class Sender:
    """What the SMTP couriers share: connections, conversions, limits."""

    log = Logger()

    def __init__(
        self,
        dialler: Dialler,
        *,
        workers: IWorkers,
        scratch: str | None = None,
        keep_seconds: float = 5.0,
        keep_total: int = 100,
        messages_per_connection: int = 100,
        recipients_per_transaction: int = 100,
        signer: ISigner | None = None,
    ) -> None:
        """``scratch``: directory for conversions, None the system's; ``signer`` makes good the
        signatures of ours that they break. An idle connection is kept ``keep_seconds``,
        ``keep_total`` of them in all."""
        self._dialler = dialler
        self._workers = workers
        self._scratch = scratch
        self._signer = signer
        self._idle: IdleSessions[Way] = IdleSessions(
            dialler.clock, seconds=keep_seconds, total=keep_total
        )
        self._messages_per_connection = messages_per_connection
        self._recipients_per_transaction = recipients_per_transaction

    async def deliver(self, batch: Batch, way: Way, hosts: Hosts) -> Sequence[DeliveryReport]:
        """Never raises but when cancelled: some recipients may be done already."""
        content = Content(batch.message, self._workers, self._scratch, self._signer)
        attempt = Attempt(batch, content, self._recipients_per_transaction)
        try:
            await self._reuse(attempt, way)
            if attempt.goes_on:
                await self._try(attempt, way, hosts)
        except Failure as failure:
            attempt.give_up(failure.reply, failure.detail)
        except CancelledError:
            raise
        except MessageGone as gone:
            # The operator has removed it meanwhile, or its body is lost: no bug of ours.
            self.log.warn("{queue_id}: {gone}", queue_id=batch.message.queue_id, gone=gone)
            attempt.give_up(INTERNAL_ERROR, str(gone))
        except Exception:  # noqa: BLE001 - our bug is never the sender's bounce
            self.log.failure("{queue_id}: delivery broke", queue_id=batch.message.queue_id)
            attempt.give_up(INTERNAL_ERROR, "internal error, see the log")
        finally:
            content.close()
        return attempt.reports()

    def close(self) -> None:
        """Say goodbye on idle connections."""
        self._idle.close()

    async def _reuse(self, attempt: Attempt, way: Way) -> None:
        session = self._idle.take(way)
        if session is not None:
            await self._use(attempt, way, session, reused=True)

    async def _try(self, attempt: Attempt, way: Way, hosts: Hosts) -> None:
        async with aclosing(hosts()) as found:
            async for host in found:
                if attempt.was_asked(host):
                    continue
                try:
                    session = await self._dialler.open(
                        host, way.security, way.credentials, lmtp=way.lmtp
                    )
                except LoopsBack as failure:
                    attempt.give_up(failure.reply, str(host))
                except HostFailed as failure:
                    attempt.host_failed(host, failure)
                else:
                    await self._use(attempt, way, session, reused=False)
                if not attempt.goes_on:
                    return

    async def _use(self, attempt: Attempt, way: Way, session: SmtpSession, *, reused: bool) -> None:
        try:
            await attempt.talk(session, reused=reused)
        except BaseException:
            session.abort()
            raise
        if session.messages < self._messages_per_connection:
            self._idle.give(way, session)
        else:
            session.quit()


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

    async def talk(self, session: SmtpSession, *, reused: bool) -> None:
        """Send the message on this connection to everybody still open.

        A reused connection may have died unseen: then it is as if it had not been."""
        offered = session.extensions
        try:
            prepared = await self._content.prepare(offered)
        except PermanentFailure as failure:
            for index in sorted(self._open):
                self._settle(index, Outcome.FAILED, failure.reply, session, heard=False)
            return
        todo = self._readable(session)
        size = min(self._group_size, offered.limit("RCPTMAX") or self._group_size)
        self._sessions += 1
        while todo and session.is_usable:
            group, todo = todo[:size], todo[size:]
            transaction = self._transaction(prepared, group, offered)
            failure_here = await self._transact(session, transaction, prepared)
            if reused and _was_dead(transaction, failure_here):
                self._sessions -= 1
                return
            reused = False
            self._asked.add(session.host)
            todo += self._judge(session, transaction, group, failure_here)

    def _readable(self, session: SmtpSession) -> list[int]:
        """Who is open and has an address that this server understands."""
        todo = []
        for index in sorted(self._open):
            fitting = self._content.recipient(self._recipients[index], session.extensions)
            if isinstance(fitting, Reply):
                self._settle(index, Outcome.FAILED, fitting, session, heard=False)
            else:
                todo.append(index)
        return todo

    def _transaction(
        self, prepared: Prepared, group: Sequence[int], offered: Extensions
    ) -> Transaction:
        fitting = [self._content.recipient(self._recipients[index], offered) for index in group]
        recipients = [recipient for recipient in fitting if isinstance(recipient, Recipient)]
        envelope = prepared.envelope
        if "SMTPUTF8" in offered and needs_utf8(envelope, recipients):
            envelope = replace(envelope, smtputf8=True)
        return Transaction(envelope, recipients, prepared.message.size, prepared.body)

    async def _transact(
        self, session: SmtpSession, transaction: Transaction, prepared: Prepared
    ) -> HostFailed | None:
        try:
            await session.send(transaction, prepared.message.open)
        except HostFailed as failure:
            return failure
        return None

    def _judge(
        self,
        session: SmtpSession,
        transaction: Transaction,
        group: Sequence[int],
        failure: HostFailed | None,
    ) -> list[int]:
        """Note every verdict; returns those to try again in another transaction."""
        again = []
        for place, index in enumerate(group):
            verdict = transaction.verdicts[place]
            if verdict is None:
                self._unheard(session, transaction, index, failure)
            elif verdict.is_positive:
                self._settle(index, _done(session), verdict, session)
            elif _is_crowded(verdict) and _others_were_accepted(transaction, place):
                again.append(index)
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
        said = "; ".join(filter(None, (_encryption(session), detail)))
        self._note(index, outcome, reply, session.host, said, heard=heard)
        self._open.discard(index)

    def _hear(self, index: int, reply: Reply, session: SmtpSession) -> None:
        """A 4yz: another host may have another opinion."""
        self._note(index, Outcome.DEFERRED, reply, session.host, _encryption(session))
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


def _was_dead(transaction: Transaction, failure: HostFailed | None) -> bool:
    reply = transaction.mail_reply
    return (failure is not None and reply is None) or (reply is not None and reply.code == 421)


def _done(session: SmtpSession) -> Outcome:
    # RFC 3461 section 5.2.2: who offers DSN reports from here on, otherwise we do.
    if "DSN" in session.extensions:
        return Outcome.PASSED_ON
    return Outcome.DELIVERED if session.is_lmtp else Outcome.RELAYED


def _encryption(session: SmtpSession) -> str:
    return str(session.tls or "plain text")


def _others_were_accepted(transaction: Transaction, place: int) -> bool:
    """So that each further transaction has fewer to ask for. Who was accepted himself heard 452
    about the content: the server has no room, and would say so for ever."""
    return bool(transaction.accepted) and place not in transaction.accepted


def _is_crowded(reply: Reply) -> bool:
    """RFC 5321 section 4.5.3.1.10: too many for one transaction; the rest in another."""
    about_mailbox = reply.status is not None and reply.status.subject == 2
    return reply.code == 452 and not about_mailbox
