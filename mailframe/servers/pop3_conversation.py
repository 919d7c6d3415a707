"""What a POP3 server does about each event of the engine: log in, read, remove, tell.

Knows the engine, the maildrop and the journal, but no transport: whoever owns that provides a
``Channel``. Whatever goes wrong inside is answered with ``-ERR [SYS/TEMP]`` and logged with
its traceback; where an answer would lie (in the middle of a message) the channel is cut.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mailframe.core.session import Session, TlsFacts
from mailframe.errors import INTERNAL_ERROR, MessageGone
from mailframe.errors import Failure as RefusedByService
from mailframe.interfaces import IMessageSource
from mailframe.protocols.pop3 import (
    ApopOffered,
    Closing,
    Event,
    IdentityProved,
    MessageWanted,
    PasswordOffered,
    Pause,
    Pop3Engine,
    ProofWrong,
    StartTls,
    TokenOffered,
    UpdateWanted,
    VerifierWanted,
)
from mailframe.servers.channel import Channel, Nothing, PeerGone
from mailframe.servers.login_failures import last_words, no_entry
from mailframe.servers.pop3_login import CODES, Attempt, authenticate
from mailframe.servers.pop3_maildrop import OpenMaildrop

if TYPE_CHECKING:
    from mailframe.servers.pop3 import Pop3Factory

_CHUNK = 128 * 1024  # one hop to a worker thread for so much of a message


class Conversation:
    log = Logger()

    def __init__(
        self, factory: Pop3Factory, session: Session, channel: Channel, facts: TlsFacts | None
    ) -> None:
        limits = factory.limits
        self.session = session
        self._factory = factory
        self._channel = channel
        self._maildrop: OpenMaildrop | None = None
        apop = "APOP" in factory.authenticator.mechanisms
        self.engine = Pop3Engine(
            factory.hostname,
            factory.authenticator.mechanisms,
            factory.nonces,
            tls_available=factory.tls is not None and factory.tls.can_serve,
            allow_plaintext=limits.allow_plaintext,
            channel_bindings=facts.channel_bindings if facts is not None else None,
            timestamp=factory.timestamp() if apop else "",
            max_errors=limits.errors,
            max_login_failures=limits.login_failures,
        )

    def draw(self) -> Coroutine[Any, Any, None] | Nothing:
        """The next event, to be served; or why there is none."""
        event = self.engine.next_event()
        if isinstance(event, Pause):
            return Nothing.FLUSH if event is Pause.OUTPUT else Nothing.WAIT
        if isinstance(event, MessageWanted) and self._sent_at_once(event):
            return Nothing.DONE
        return self.serve(event)

    def shut_down(self, text: str) -> None:
        """RFC 1939 has no word for it: the text is the engine's own."""
        self.engine.shut_down()

    async def serve(self, event: Event) -> None:
        """Do what one event asks and tell the engine. Never raises."""
        try:
            await _SERVES[type(event)](self, event)
        except PeerGone:
            pass  # ``finish`` cleans up
        except Exception:  # noqa: BLE001 - our bug must not leave the client without an end
            self._log_bug()
            self._channel.abort("internal error")

    async def finish(self) -> None:
        """The connection is gone and nothing is under way: give back what is held."""
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is not None:
            await self._release(maildrop)

    def _record(self, step: str, result: str = "", **detail: Any) -> None:
        self._factory.journal.record(self.session.id, step, result, **detail)

    def _log_bug(self) -> None:
        self.log.failure("POP3 session {session}: unexpected error", session=self.session.id)

    # One method an event

    async def _start_tls(self, event: StartTls) -> None:
        facts = await self._channel.start_tls()
        self.engine.tls_started(facts.channel_bindings if facts is not None else {})

    async def _find_verifier(self, event: VerifierWanted) -> None:
        authenticator = self._factory.authenticator
        try:
            verifier = await authenticator.scram_verifier(event.login, self.session)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._refuse_login(event.login, event.mechanism, error)
        else:
            self.engine.verifier(verifier)

    async def _log_in(self, event: Attempt) -> None:
        try:
            account = await authenticate(event, self._factory.authenticator, self.session)
            self._maildrop = await OpenMaildrop.open(account)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._refuse_login(event.login, event.mechanism, error)
            return
        self.session.account = self._maildrop.name
        self.session.avatar = account
        self._record("login", "ok", account=account.name, mechanism=event.mechanism)
        self._note_fetch(self._maildrop)
        self.engine.logged_in(self._maildrop.messages)

    def _refuse_login(self, login: str, mechanism: str, error: Exception) -> None:
        answer = no_entry(error)
        if not answer.expected:
            self._log_bug()
        self._record("login", "failed", account=login, mechanism=mechanism, reason=answer.reason)
        said = last_words(answer.why, mechanism, self._factory.authenticator)
        self.engine.login_failed(answer.text, CODES[answer.why], said)

    def _sent_at_once(self, event: MessageWanted) -> bool:
        """A small message that is in memory already needs no coroutine."""
        assert self._maildrop is not None
        content = self._maildrop.at_hand(event.uid)
        if content is None:
            return False
        self.engine.whole_message(content)
        if event.body_lines is None:
            self._maildrop.handed_out(len(content))
        return True

    async def _send_message(self, event: MessageWanted) -> None:
        assert self._maildrop is not None
        try:
            source = await self._maildrop.message(event.uid)
        except Exception as error:  # noqa: BLE001 - the other messages must stay reachable
            self._message_unavailable(event, error)
            return
        try:
            await self._stream(event, source, self._maildrop)
        finally:
            source.close()

    async def _stream(
        self, event: MessageWanted, source: IMessageSource, maildrop: OpenMaildrop
    ) -> None:
        try:
            # Before the +OK, so that an unreadable file is an -ERR and not a broken connection.
            chunk = await source.read(_CHUNK)
        except Exception as error:  # noqa: BLE001 - the other messages must stay reachable
            self._message_unavailable(event, error)
            return
        self.engine.begin_message(source.size)
        octets = 0
        while chunk:
            octets += len(chunk)
            if not self.engine.message_chunk(chunk):
                break
            if octets != source.size:  # else that was all, most likely
                await self._channel.room()
            try:
                chunk = await source.read(_CHUNK)
            except MessageGone:
                # The end of the message must not be told: it would be a lie.
                self._record("refuse", "message broke off", rule="retr", uid=event.uid)
                self._channel.abort("message broke off")
                return
        self.engine.end_message()
        if event.body_lines is None:
            maildrop.handed_out(octets)

    def _message_unavailable(self, event: MessageWanted, error: Exception) -> None:
        text, reason = INTERNAL_ERROR.text, "internal error"
        if isinstance(error, MessageGone):
            text, reason = "That message is not there any more", "gone"
        elif isinstance(error, RefusedByService):
            text, reason = "That message cannot be read now, please try again later", str(error)
        else:
            self._log_bug()
        self._record("refuse", "-ERR", rule="retr", uid=event.uid, reason=reason)
        self.engine.message_unavailable(text)

    async def _update(self, event: UpdateWanted) -> None:
        maildrop, self._maildrop = self._maildrop, None
        assert maildrop is not None
        try:
            left = await maildrop.remove(event.uids)
        except Exception:  # noqa: BLE001 - the maildrop has to be given back all the same
            self._log_bug()
            left = len(event.uids)
        if left:
            self._record("refuse", "-ERR", rule="update", left=left)
        # Before the reply: whoever hears it may come back at once.
        await self._release(maildrop)
        self.engine.updated(left)

    async def _close(self, event: Closing) -> None:
        self._channel.close(event.reason)

    async def _release(self, maildrop: OpenMaildrop) -> None:
        self._record(
            "fetch",
            account=maildrop.name,
            retrieved=maildrop.retrieved,
            removed=maildrop.removed,
            size=maildrop.octets,
        )
        self._note_fetch(maildrop)
        await maildrop.release()

    def _note_fetch(self, maildrop: OpenMaildrop) -> None:
        """POP-before-SMTP counts from the login and again from the end."""
        if self._factory.recent is not None and self.session.peer_ip:
            self._factory.recent.note(self.session.peer_ip, maildrop.name)


_SERVES: dict[type[Event], Callable[[Conversation, Any], Awaitable[None]]] = {
    StartTls: Conversation._start_tls,
    VerifierWanted: Conversation._find_verifier,
    PasswordOffered: Conversation._log_in,
    ApopOffered: Conversation._log_in,
    TokenOffered: Conversation._log_in,
    IdentityProved: Conversation._log_in,
    ProofWrong: Conversation._log_in,
    MessageWanted: Conversation._send_message,
    UpdateWanted: Conversation._update,
    Closing: Conversation._close,
}
