"""The bare SMTP engine as a conversation: decisions made by a small table, no Twisted."""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp.events import ENOUGH, NEED_DATA, PAUSED
from mailframe.protocols.smtp.server import SmtpServer
from mailframe.protocols.smtp.settings import ServerSettings

OK = Reply(250, status.OTHER, "Ok")
USER = b"\0ann@local.test\0secret"


class EngineTalk:
    """Feeds the engine and answers it as the server in ``smtp_world`` would."""

    def __init__(self, settings: ServerSettings, *, can_start_tls: bool = True) -> None:
        self.engine = SmtpServer(
            settings,
            reference="SESSION",
            mechanisms=[] if settings.lmtp else ["PLAIN", "LOGIN", "SCRAM-SHA-256"],
            can_start_tls=can_start_tls,
        )
        self.events: list[ev.Event] = []
        self.messages: list[bytes] = []
        self.said = b""
        self._message = b""
        kind = "LMTP" if settings.lmtp else "ESMTP"
        self.engine.greet(Reply(220, None, f"mx.local.test {kind}"))

    def send(self, data: bytes) -> None:
        self.engine.receive(data)
        while (event := self.engine.next_event()) is not NEED_DATA and event is not PAUSED:
            if event is ENOUGH:
                continue
            assert not isinstance(event, ev.Pause)
            self.events.append(event)
            self._answer(event)

    def read(self) -> bytes:
        said = self.engine.take_output()
        self.said += said
        return said

    @property
    def closed(self) -> bool:
        return any(isinstance(event, ev.Close) for event in self.events)

    def _answer(self, event: ev.Event) -> None:
        engine = self.engine
        match event:
            case ev.Hello():
                engine.send(Reply(250, None, "mx.local.test"))
            case ev.MailFrom():
                engine.send(OK)
            case ev.RcptTo(recipient=recipient):
                engine.send(self._recipient(recipient.address.key))
            case ev.BodyStart():
                self._message = b""
                engine.proceed()
            case ev.BodyChunk(data=data):
                self._message += data
            case ev.BodyEnd():
                self.messages.append(self._message)
                engine.send(Reply(250, status.OTHER, "Ok: ID"))
            case ev.BodyFailed(reply=reply):
                engine.send(reply)
            case ev.Verify():
                engine.send(Reply(252, status.OTHER, "Cannot verify"))
            case ev.StartTls():
                engine.send(Reply(454, status.SECURITY_OTHER, "Not now"))
            case ev.AuthStart(initial=None):
                engine.challenge(b"")
            case ev.AuthStart(initial=response) | ev.AuthResponse(data=response):
                engine.send(self._login(response))

    def _login(self, response: bytes) -> Reply:
        if response == USER:
            return Reply(235, status.SECURITY_OTHER, "Welcome")
        if response.count(b"\0") != 2:
            return Reply(501, status.SYNTAX_ERROR, "Malformed")
        return Reply(535, status.BAD_CREDENTIALS, "Wrong")

    def _recipient(self, address: str) -> Reply:
        if address.split("@")[0] in ("ann", "bob", "postmaster"):
            return Reply(250, status.DESTINATION_VALID, "Recipient ok")
        if address.endswith("@local.test"):
            return Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
        if self.engine.authenticated:
            return Reply(250, status.DESTINATION_VALID, "Recipient ok")
        return Reply(550, status.NOT_AUTHORIZED, "Relaying denied")
