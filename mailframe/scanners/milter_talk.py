"""What one milter is told of one SMTP session, and what it has said so far.

The milter hears connect and HELO once each, and every transaction from MAIL to the end of the
data or an abort. One that cannot be reached when the client connects is tried again at each MAIL,
and told then what it missed. Every method returns the verdict, CONTINUE where there is nothing
to ask; MilterFailed leaves the talk in order, without a connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from mailframe.core.envelope import Body, Envelope, Recipient
from mailframe.core.ip import plain_ip
from mailframe.core.session import Session
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.milter import Command
from mailframe.protocols.milter.events import Decision, Verdict
from mailframe.protocols.milter.wire import string, strings
from mailframe.scanners.milter_connection import MilterConnection, MilterFailed, Said
from mailframe.scanners.milter_message import SeenField, SeenMessage

Dial = Callable[[], Awaitable[MilterConnection]]


class MilterTalk:
    """``dial`` opens a connection, negotiated."""

    def __init__(self, name: str, dial: Dial, hostname: str) -> None:
        self.name = name
        self.is_discarding = False
        """The filter wants the message under way to vanish."""
        self.failure = ""
        """Why it is not asked about the message under way; empty: it is."""
        self._dial = dial
        self._hostname = hostname
        self._connection: MilterConnection | None = None
        self._is_content = False  # with the whole connection: nothing more to ask
        self._is_message_over = True
        self._is_in_message = False

    # the session

    async def connect(self, session: Session) -> Verdict:
        self._connection = await self._dial()
        verdict = await self._ask(Command.CONNECT, _connect(session), self._of_client(session))
        self._is_content = verdict is Decision.ACCEPT
        return verdict

    async def helo(self, session: Session) -> Verdict:
        self.abort()
        if self._connection is None or self._is_content:
            return Decision.CONTINUE
        return await self._helo(session)

    async def _helo(self, session: Session) -> Verdict:
        tls = session.tls
        macros = {"{tls_version}": tls.version, "{cipher}": tls.cipher} if tls else {}
        verdict = await self._ask(Command.HELO, string(session.helo), macros)
        self._is_content = verdict is Decision.ACCEPT
        return verdict

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # the transaction

    async def mail(self, session: Session, envelope: Envelope) -> Verdict:
        self.abort()
        self.is_discarding, self.failure = False, ""
        self._is_message_over = True
        if self._connection is None or self._connection.failure:
            verdict = await self._begin_again(session)
            if verdict is not Decision.CONTINUE and verdict is not Decision.ACCEPT:
                return verdict
        if self._is_content:
            return Decision.CONTINUE
        self._is_in_message, self._is_message_over = True, False
        path = f"<{envelope.reverse_path or ''}>"
        words = strings([path, *_mail_parameters(envelope)])
        return await self._in_message(Command.MAIL, words, _of_sender(session, envelope))

    async def _begin_again(self, session: Session) -> Verdict:
        self._is_content = False
        verdict = await self.connect(session)
        if verdict is Decision.CONTINUE and session.helo:
            verdict = await self._helo(session)
        return verdict

    async def recipient(self, recipient: Recipient) -> Verdict:
        if self._is_message_over:
            return Decision.CONTINUE
        words = strings([f"<{recipient.address}>", *_recipient_parameters(recipient)])
        return await self._in_message(Command.RECIPIENT, words, _of_recipient(recipient))

    async def message(self, seen: SeenMessage) -> Verdict:
        """The whole message; ``seen`` has been changed as the filter wished."""
        if self._is_message_over:
            return Decision.CONTINUE
        macros = {"i": seen.queue_id}
        verdict = await self._in_message(Command.DATA, b"", macros)
        if not self._is_message_over and verdict is Decision.CONTINUE:
            verdict = await self._header(seen, macros)
        if not self._is_message_over and verdict is Decision.CONTINUE:
            verdict = await self._body(seen)
        if self._is_message_over or verdict is not Decision.CONTINUE:
            self.abort()
            return verdict
        return await self._end(seen, macros)

    async def _header(self, seen: SeenMessage, macros: Mapping[str, str]) -> Verdict:
        connection = self._connected()
        leading = connection.engine.has_leading_space
        if connection.engine.wants(Command.HEADER):
            for field in list(seen.fields):
                verdict = await self._in_message(Command.HEADER, _header(field, leading), {})
                if verdict is not Decision.CONTINUE:
                    return verdict
        return await self._in_message(Command.END_OF_HEADER, b"", macros)

    async def _body(self, seen: SeenMessage) -> Verdict:
        if not self._connected().engine.wants(Command.BODY):
            return Decision.CONTINUE
        async for chunk in seen.body():
            verdict = await self._in_message(Command.BODY, chunk, {})
            if verdict is Decision.SKIP:
                break
            if verdict is not Decision.CONTINUE:
                return verdict
        return Decision.CONTINUE

    async def _end(self, seen: SeenMessage, macros: Mapping[str, str]) -> Verdict:
        said = await self._said(Command.END_OF_BODY, b"", macros)
        self._is_in_message, self._is_message_over = False, True
        self.is_discarding = said.verdict is Decision.DISCARD
        try:
            seen.change(said.changes, said.body)
        except RemoteProtocolError as error:
            self._fail(str(error))
            raise MilterFailed(self.failure) from None
        return said.verdict

    def abort(self) -> None:
        """Forget the message under way, if there is one."""
        if self._is_in_message and self._connection is not None:
            self._connection.tell(Command.ABORT)
        self._is_in_message, self._is_message_over = False, True

    # asking

    async def _in_message(
        self, command: Command, data: bytes, macros: Mapping[str, str]
    ) -> Verdict:
        verdict = await self._ask(command, data, macros)
        if verdict is Decision.ACCEPT or verdict is Decision.DISCARD:
            self.is_discarding = verdict is Decision.DISCARD
            self.abort()
            return Decision.CONTINUE
        return verdict

    async def _ask(self, command: Command, data: bytes, macros: Mapping[str, str]) -> Verdict:
        return (await self._said(command, data, macros)).verdict

    async def _said(self, command: Command, data: bytes, macros: Mapping[str, str]) -> Said:
        try:
            return await self._connected().ask(command, data, macros)
        except MilterFailed as error:
            self._fail(str(error))
            raise

    def _connected(self) -> MilterConnection:
        assert self._connection is not None  # or nothing would be under way
        return self._connection

    def _fail(self, why: str) -> None:
        self.failure = why
        self.close()
        self._is_in_message, self._is_message_over = False, True

    def _of_client(self, session: Session) -> dict[str, str]:
        name = _client_name(session)
        return {
            "j": self._hostname,
            "v": "mailframe",
            "_": f"{name} [{session.peer_ip}]",
            "{daemon_name}": session.listener,
            "{daemon_addr}": session.local_ip,
            "{if_addr}": session.local_ip,
            "{client_name}": name,
            "{client_addr}": session.peer_ip,
            "{client_port}": str(session.peer_port),
        }


def _client_name(session: Session) -> str:
    iprev = session.found.auth.iprev
    return iprev.name if iprev is not None and iprev.name else f"[{session.peer_ip}]"


def _connect(session: Session) -> bytes:
    """Name, family, port, address; ``L`` is a Unix socket, which has no port."""
    port = session.peer_port.to_bytes(2, "big")
    name = string(_client_name(session))
    address = plain_ip(session.peer_ip)
    if address is None:
        return string("localhost") + b"L\0\0" + string("")
    return name + str(address.version).encode() + port + string(str(address))


def _of_sender(session: Session, envelope: Envelope) -> dict[str, str]:
    sender = envelope.reverse_path
    macros = {
        "{mail_addr}": str(sender or ""),
        "{mail_host}": sender.domain if sender else "",
        "{mail_mailer}": "smtp",
    }
    if session.account is not None:
        # filters know by these that the message is a user's, and sign it
        macros |= {
            "{auth_authen}": session.account,
            "{auth_type}": session.mechanism or "LOGIN",
        }
    return macros


def _mail_parameters(envelope: Envelope) -> list[str]:
    words = []
    if envelope.declared_size is not None:
        words.append(f"SIZE={envelope.declared_size}")
    if envelope.body is not Body.SEVEN_BIT:
        words.append(f"BODY={envelope.body.value}")
    if envelope.smtputf8:
        words.append("SMTPUTF8")
    return words


def _of_recipient(recipient: Recipient) -> dict[str, str]:
    return {
        "{rcpt_addr}": str(recipient.address),
        "{rcpt_host}": recipient.address.domain,
        "{rcpt_mailer}": "local" if recipient.mailbox is not None else "smtp",
    }


def _recipient_parameters(recipient: Recipient) -> list[str]:
    if recipient.notify is None:
        return []
    return ["NOTIFY=" + ",".join(sorted(each.value for each in recipient.notify))]


def _header(field: SeenField, leading: bool) -> bytes:
    """Lines end with LF in this protocol."""
    value = field.value.replace(b"\r\n", b"\n")
    return string(field.name) + string(value if leading else value.lstrip(b" \t"))
