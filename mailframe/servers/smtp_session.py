"""What an SMTP session decides: each event of the engine, answered.

No transport, no timer: it asks policies, resolver, spool and authenticator, keeps the
transaction, writes the journal. Whatever goes wrong in here that is no refusal is our bug
and becomes 451 4.3.0, logged with its traceback under the session's id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as ExceptionFailure

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session, TlsFacts
from mailframe.core.verdict import NOTHING_FOUND
from mailframe.errors import INTERNAL_ERROR, Failure, LoginFailed, LoginThrottled
from mailframe.interfaces import IIncoming, IMailAccount
from mailframe.message import headers
from mailframe.protocols import sasl
from mailframe.protocols.smtp import events as ev
from mailframe.runtime.aio import is_awaitable, result_of
from mailframe.servers import smtp_recipients
from mailframe.servers.smtp_amend import amend
from mailframe.servers.smtp_content import Content
from mailframe.servers.smtp_header import check_header, kept_header
from mailframe.servers.smtp_login import Login
from mailframe.servers.smtp_policies import Mark, Refusal, consult
from mailframe.servers.smtp_prefix import arrival_of, received, results
from mailframe.servers.smtp_settings import SmtpParts
from mailframe.servers.smtp_story import SessionStory, forward_paths, reverse_path
from mailframe.servers.smtp_transaction import Transaction
from mailframe.servers.smtp_verify import verify

_LOGGED_IN = Reply(235, status.SECURITY_OTHER, "Authentication successful")
_SENDER_OK = Reply(250, status.OTHER, "Sender ok")
_READY_FOR_TLS = Reply(220, status.OTHER, "Ready to start TLS")
_NO_TLS = Reply(454, status.SECURITY_OTHER, "TLS is not available")

_COSTLY = frozenset({"rate", "brake", "login"})
"""Rules whose 4yz count for the tarpit."""

Answer = Reply | bytes | None
"""A reply; a challenge to the client; or None: let the message come."""


class SmtpSession:
    log = Logger()

    expn_answered = False
    """Whether EXPN gets real answers; decided at each Hello."""
    is_committing = False
    _transaction: Transaction | None = None
    _login: Login | None = None
    _refused_by = ""
    """The rule that refused the last decision; empty: none did."""

    def __init__(self, parts: SmtpParts, session: Session) -> None:
        self.session = session
        self._parts = parts
        self._story = SessionStory(parts.journal, session)
        self._connect_marks: list[Mark] = []
        self._hello_marks: list[Mark] = []

    # --- the connection -----------------------------------------------------------------

    async def greeting(self) -> Reply:
        """Ask the connect policies; 220 or what refuses."""
        parts = self._parts
        try:
            asked = consult(parts.stages.connect, self._connect_marks, self.session)
            if asked is not None:
                await asked
        except Refusal as refusal:
            return self._refused("connect", refusal)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - whatever a policy raises is our bug
            return self._bug("connect")
        return parts.greeting

    def encrypted(self, facts: TlsFacts) -> None:
        """TLS is up: what was said in the clear never was (RFC 3207 section 4.2)."""
        session = self.session
        self.drop_transaction()
        self._log_out()
        session.tls, session.helo, session.esmtp = facts, "", False
        self._hello_marks = []
        self._login = None
        self._story.record("tls", "ok", version=facts.version, cipher=facts.cipher)

    def lost(self) -> None:
        """The connection is gone. A commit under way goes on: it cannot be taken back."""
        if not self.is_committing:
            self.drop_transaction()
        for policy in self._parts.stages.disconnect:
            self._tell("disconnect", policy.disconnected)
        self._log_out()

    def drop_transaction(self) -> None:
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    def rejected(self, event: ev.Rejected) -> None:
        """The engine refused by itself."""
        self._story.refusal("protocol", event.reply, "protocol", verb=event.verb)

    def auth_cancelled(self) -> None:
        self._login = None

    def costs_time(self, reply: Reply) -> bool:
        """Whether the refusal of the last decision counts for the tarpit: what is refused for good,
        failed logins, and what is over a limit. To be put off for another reason, as by
        greylisting, is nobody's fault. LMTP's peers are servers of our own."""
        if reply.is_positive or self._parts.role is Role.LMTP:
            return False
        return reply.is_permanent or self._refused_by in _COSTLY

    # --- decisions ----------------------------------------------------------------------

    async def decide(self, event: ev.Decision) -> Answer:
        """The answer to a decision; never fails but by cancellation."""
        stage, decide = _DECISIONS[type(event)]
        self._refused_by = ""
        try:
            answer: Answer = await decide(self, event)
            return answer
        except CancelledError:
            raise
        except Refusal as refusal:
            reply = self._refused(stage, refusal, **self._envelope_of(event))
        except Failure as failure:
            failed = Refusal(failure.reply, "failure", failure.detail)
            reply = self._refused(stage, failed, **self._envelope_of(event))
        except Exception:  # noqa: BLE001 - our bug must not become the sender's bounce
            reply = self._bug(stage, **self._envelope_of(event))
        if isinstance(event, ev.BodyStart):
            self._give_up_message()
        elif isinstance(event, ev.BodyEnd):
            self.drop_transaction()
        return reply

    async def _hello(self, event: ev.Hello) -> Reply:
        session, parts = self.session, self._parts
        session.helo, session.esmtp = event.name, event.verb != "HELO"
        if parts.stages.helo:
            self._forget_transaction_and_hello()
            asked = consult(parts.stages.helo, self._hello_marks, session)
            if asked is not None:
                await asked
        self.expn_answered = parts.permission.may_relay(session) is not None
        return parts.hello

    async def _mail(self, event: ev.MailFrom) -> Reply:
        session, envelope = self.session, event.envelope
        marks = self._known_of_client()
        asked = consult(self._parts.stages.mail, marks, session, envelope)
        if asked is not None:
            await asked
        self._transaction = Transaction(envelope, marks, self._parts.limits.header_size)
        return _SENDER_OK

    async def _rcpt(self, event: ev.RcptTo) -> Reply:
        transaction = self._current()
        try:
            await smtp_recipients.admit(self._parts, self.session, transaction, event.recipient)
        except Refusal as refusal:
            return self._refused(
                "rcpt",
                refusal,
                reverse_path=reverse_path(transaction.envelope),
                forward_path=str(event.recipient.address),
            )
        return smtp_recipients.ACCEPTED

    async def _verify(self, event: ev.Verify) -> Reply:
        trusted = self._parts.permission.may_relay(self.session) is not None
        return await verify(self._parts, event, trusted)

    async def _starttls(self, event: ev.StartTls) -> Reply:
        tls = self._parts.tls
        return _READY_FOR_TLS if tls is not None and tls.can_serve else _NO_TLS

    # --- AUTH ---------------------------------------------------------------------------

    async def _auth_start(self, event: ev.AuthStart) -> Answer:
        authenticator = self._parts.authenticator
        assert authenticator is not None  # or the mechanism would not have been offered
        bindings = self.session.tls.channel_bindings if self.session.tls else {}
        plus_offered = bool(bindings) and any(
            name.endswith("-PLUS") for name in self._parts.mechanisms
        )
        mechanism = sasl.server_mechanism(
            event.mechanism, bindings, self._parts.nonce(), plus_offered
        )
        self._login = Login(event.mechanism, mechanism, authenticator, self.session)
        return await self._auth_step(event.initial)

    async def _auth_response(self, event: ev.AuthResponse) -> Answer:
        return await self._auth_step(event.data)

    async def _auth_step(self, response: bytes | None) -> Answer:
        login = self._login
        assert login is not None
        try:
            outcome = await login.answer(response)
        except (Failure, Refusal) as error:
            self._login = None
            if isinstance(error, LoginThrottled):
                self._refused_by = "login"
            if login.failure is None:
                self._record_failed_login(login, error)
            # The journal has it; the peer hears the same whatever was wrong.
            return LoginFailed().reply if isinstance(error, LoginFailed) else error.reply
        if isinstance(outcome, bytes):
            if login.failure is not None:
                # Now: the client may go away without its last answer.
                self._record_failed_login(login, login.failure)
            return outcome
        self._login = None
        return await self._welcome(login, outcome)

    def _record_failed_login(self, login: Login, error: Failure | Refusal) -> None:
        self._story.record(
            "login",
            "failed",
            account=login.login,
            mechanism=login.name,
            reason=error.detail,
            reply=str(error.reply),
        )

    async def _welcome(self, login: Login, avatar: IMailAccount) -> Reply:
        self.session.avatar = avatar
        self.session.account = avatar.name
        self.session.mechanism = login.name
        try:
            asked = consult(self._parts.stages.auth, self._connect_marks, self.session)
            if asked is not None:
                await asked
        except BaseException:
            self._log_out()
            raise
        self._story.record("login", "ok", account=avatar.name, mechanism=login.name)
        return _LOGGED_IN

    def _log_out(self) -> None:
        avatar, self.session.avatar = self.session.avatar, None
        self.session.account = None
        self.session.mechanism = ""
        if avatar is not None:
            try:
                avatar.logout()  # type: ignore[attr-defined]
            except Exception:  # noqa: BLE001 - a realm's bug must not keep a session open
                self._bug("logout")

    # --- the message --------------------------------------------------------------------

    async def _body_start(self, event: ev.BodyStart) -> Answer:
        transaction = self._current()
        transaction.queue_id = self._parts.ids()
        incoming: Any = self._parts.spool.begin(transaction.queue_id)
        transaction.incoming = await incoming if is_awaitable(incoming) else incoming
        return None

    def write(self, chunk: bytes) -> Deferred[None] | None:
        """Pass a chunk on. Raises Refusal when the message cannot be taken; a Deferred asks
        to wait, and its failure is one as well."""
        transaction = self._current()
        header = transaction.header
        if not header.is_complete:
            chunk = header.feed(chunk)
            if header.is_complete or header.is_too_long:
                check_header(self._parts, transaction)
            if not header.is_complete:
                return None
            chunk = kept_header(self._parts, transaction) + chunk
        return self._spool(transaction, chunk)

    def _spool(self, transaction: Transaction, chunk: bytes) -> Deferred[None] | None:
        assert transaction.incoming is not None
        waited: Deferred[None] | None = transaction.incoming.write(chunk)
        return waited

    def write_failed(self, failure: ExceptionFailure) -> Reply:
        """Why ``write`` did not work, as the reply at the end of the message."""
        error = failure.value
        if isinstance(error, Refusal):
            self._current().spoilt_by = error.rule
            return error.reply
        self._current().spoilt_by = "spool"
        if isinstance(error, Failure):
            return error.reply
        self.log.failure(
            "writing a message failed in session {session_id}",
            failure,
            session_id=self.session.id,
        )
        return INTERNAL_ERROR

    async def _body_failed(self, event: ev.BodyFailed) -> Reply:
        transaction = self._current()
        self._story.refusal(
            "data",
            event.reply,
            transaction.spoilt_by,
            reverse_path=reverse_path(transaction.envelope),
            forward_path=forward_paths(transaction.envelope),
        )
        self.drop_transaction()
        return event.reply

    async def _body_end(self, event: ev.BodyEnd) -> Reply:
        transaction = self._current()
        incoming = transaction.incoming
        assert incoming is not None
        if not transaction.header.is_complete:
            check_header(self._parts, transaction)
            # no empty line: all of it is header
            await result_of(self._spool(transaction, kept_header(self._parts, transaction)))
        header = transaction.header.header
        if self._parts.stages.message:
            asked_for = transaction.envelope
            incoming = await self._ask_about(transaction, incoming)
            if not transaction.recipients:
                return self._discard(transaction, asked_for, incoming.size)
        envelope = transaction.final_envelope()
        tagged = transaction.tag_fields()
        message_id = headers.message_id(header) or headers.message_id(tagged)
        arrival = arrival_of(self._parts, self.session, envelope, message_id)
        prefix = (
            tagged
            + results(self._parts, self.session)
            + received(self._parts, self.session, transaction, envelope, arrival)
        )
        size = incoming.size + len(prefix)
        self.is_committing = True
        try:
            await incoming.commit(envelope, arrival, prefix)
        finally:
            self.is_committing = False
        reply = _accepted(transaction)
        self._story.acceptance(transaction, envelope, arrival, size, reply)
        for policy in self._parts.stages.accepted:
            self._tell("accepted", policy.accepted, envelope)
        self._transaction = None
        return reply

    def _discard(self, transaction: Transaction, asked_for: Envelope, size: int) -> Reply:
        """A policy wants it taken and forgotten."""
        reply = _accepted(transaction)
        message_id = headers.message_id(transaction.header.header)
        arrival = arrival_of(self._parts, self.session, asked_for, message_id)
        self._story.discarding(transaction, asked_for, arrival, size, reply)
        for policy in self._parts.stages.accepted:
            self._tell("accepted", policy.accepted, transaction.envelope)
        self.drop_transaction()
        return reply

    async def _ask_about(self, transaction: Transaction, incoming: IIncoming) -> IIncoming:
        """Ask the policies about the whole message; what has it after the changes they made."""
        content = Content(transaction, incoming)
        facts = (self.session, transaction.envelope, content)
        asked = consult(self._parts.stages.message, transaction.marks, *facts)
        if asked is not None:
            await asked
        if transaction.marks:
            await amend(self._parts, transaction)
        assert transaction.incoming is not None
        return transaction.incoming

    def _known_of_client(self) -> list[Mark]:
        """A new list; what was found out about earlier messages of the session is forgotten."""
        marks = self._connect_marks + self._hello_marks
        tags = [mark.tag for mark in marks] if marks else ()
        self.session.found = NOTHING_FOUND.plus(tags)
        return marks

    def _forget_transaction_and_hello(self) -> None:
        self._hello_marks = []
        self._known_of_client()

    def _current(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _give_up_message(self) -> None:
        """DATA was refused; the envelope stays for another try."""
        if self._transaction is not None:
            self._transaction.abort()

    # --- the journal --------------------------------------------------------------------

    def connected(self) -> None:
        self._story.record("connect", peer=self.session.peer_ip, listener=self.session.listener)

    def disconnected(self, reason: str) -> None:
        self._story.record("disconnect", reason=reason)

    def _refused(self, stage: str, refusal: Refusal, **detail: str | list[str]) -> Reply:
        self._refused_by = refusal.rule
        marks = self._transaction.marks if self._transaction is not None else []
        found = [f"{mark.rule}: {mark.tag.reason}" for mark in marks]
        self._story.refusal(
            stage, refusal.reply, refusal.rule, reason=refusal.detail, found=found, **detail
        )
        return self._and_tell(stage, refusal.reply)

    def _envelope_of(self, event: ev.Decision) -> dict[str, str | list[str]]:
        """By which a refusal can be found in the journal beside its id."""
        if isinstance(event, ev.MailFrom):
            return {"reverse_path": reverse_path(event.envelope)}
        transaction = self._transaction
        if transaction is None or not isinstance(event, ev.BodyStart | ev.BodyEnd):
            return {}
        return {
            "reverse_path": reverse_path(transaction.envelope),
            "forward_path": forward_paths(transaction.envelope),
            "message_id": headers.message_id(transaction.header.header),
        }

    def _and_tell(self, stage: str, reply: Reply) -> Reply:
        for policy in self._parts.stages.refused:
            self._tell("refused", policy.refused, stage, reply)
        return reply

    def _tell(self, what: str, listener: Callable[..., None], *facts: object) -> None:
        """What comes after a decision: nothing that goes wrong there changes it."""
        try:
            listener(self.session, *facts)
        except Exception:  # noqa: BLE001 - a policy's bug
            self.log.failure(
                "a policy failed at {what} in session {session_id}",
                what=what,
                session_id=self.session.id,
            )

    def _bug(self, stage: str, **detail: str | list[str]) -> Reply:
        """In an ``except`` block: log it in full, tell the peer to come again."""
        self.log.failure(
            "unexpected error in session {session_id} at {stage}",
            session_id=self.session.id,
            stage=stage,
        )
        self._story.refusal(stage, INTERNAL_ERROR, "internal error", **detail)
        return self._and_tell(stage, INTERNAL_ERROR)


def _accepted(transaction: Transaction) -> Reply:
    return Reply(250, status.OTHER, f"Ok: {transaction.queue_id}")


_DECISIONS: dict[type, tuple[str, Callable[[SmtpSession, Any], Awaitable[Answer]]]] = {
    ev.Hello: ("helo", SmtpSession._hello),
    ev.AuthStart: ("auth", SmtpSession._auth_start),
    ev.AuthResponse: ("auth", SmtpSession._auth_response),
    ev.MailFrom: ("mail", SmtpSession._mail),
    ev.RcptTo: ("rcpt", SmtpSession._rcpt),
    ev.BodyStart: ("data", SmtpSession._body_start),
    ev.BodyEnd: ("message", SmtpSession._body_end),
    ev.BodyFailed: ("data", SmtpSession._body_failed),
    ev.Verify: ("vrfy", SmtpSession._verify),
    ev.StartTls: ("starttls", SmtpSession._starttls),
}
