"""Making a session ready for mail: connect, greet, EHLO, STARTTLS, AUTH.

Policy in one place: when plain text will do, when TLS must be, who may see a password. A
host that fails in any of it raises HostFailed and the next one may be tried.

A 5yz greeting or EHLO counts as "not this host, not now", as Postfix has it
(smtp_skip_5xx_greeting): more often than not it is a blocklist or an overload, and the queue
gives up in its own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.delivery.host_failed import HostFailed, TlsFailed
from mailframe.delivery.hosts import Credentials, Encryption, Host, Security, Timeouts
from mailframe.delivery.session import SmtpSession
from mailframe.interfaces import ITlsContexts, IWorkers
from mailframe.protocols.sasl import CLIENT_PREFERENCE, client_mechanism
from mailframe.runtime.dialling import Dialling

_CLEAR = ("PLAIN", "LOGIN")


class LoopsBack(HostFailed):
    """The host turned out to be ourselves."""


class Dialler:
    """``reactor`` provides time, TCP and Unix sockets; ``random`` (a SystemRandom) draws the
    nonces of logins; ``workers`` do their arithmetic."""

    def __init__(
        self,
        reactor: Any,
        tls: ITlsContexts,
        hello_name: str,
        *,
        workers: IWorkers,
        random: Random,
        timeouts: Timeouts,
    ) -> None:
        self.clock = reactor
        self._reactor = reactor
        self._dialling = Dialling(reactor)
        self._tls = tls
        self._hello_name = hello_name
        self._workers = workers
        self._random = random
        self._timeouts = timeouts

    async def open(
        self,
        host: Host,
        security: Security,
        credentials: Credentials | None = None,
        *,
        lmtp: bool = False,
    ) -> SmtpSession:
        """A session that may begin a message. Raises HostFailed."""
        try:
            return await self._open(host, security, credentials, lmtp)
        except TlsFailed:
            if security.encryption is not Encryption.OPPORTUNISTIC:
                raise
        # RFC 7435 section 3: something that nobody could rely on failed; go without.
        return await self._open(host, Security(Encryption.OFF), credentials, lmtp)

    async def _open(
        self, host: Host, security: Security, credentials: Credentials | None, lmtp: bool
    ) -> SmtpSession:
        session = await self._connect(host, lmtp)
        try:
            await self._introduce(session, security)
            if credentials is not None:
                await self._log_in(session, credentials)
        except BaseException:
            session.abort()
            raise
        return session

    async def _connect(self, host: Host, lmtp: bool) -> SmtpSession:
        session = SmtpSession(self._reactor, self._timeouts, host, lmtp=lmtp)
        try:
            await connectProtocol(self._endpoint(host), session)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the endpoint says, no connection
            reply = Reply(451, status.NO_ANSWER, f"No connection to {host}: {_words(error)}")
            raise HostFailed(reply, repr(error)) from None
        return session

    def _endpoint(self, host: Host) -> IStreamClientEndpoint:
        timeout = self._timeouts.connect
        if host.path:
            return UNIXClientEndpoint(self._reactor, host.path, timeout=timeout)
        make = TCP6ClientEndpoint if ":" in host.ip else TCP4ClientEndpoint
        return make(self._dialling, host.ip, host.port, timeout=timeout)

    async def _introduce(self, session: SmtpSession, security: Security) -> None:
        if security.encryption is Encryption.IMPLICIT:
            await self._encrypt(session, security)
        _expect(await session.greeting(), session, "the greeting")
        await self._hello(session)
        if security.encryption in (Encryption.OFF, Encryption.IMPLICIT):
            return
        must = security.encryption is Encryption.REQUIRED
        if "STARTTLS" in session.extensions:
            reply = await session.starttls()
            if reply.is_positive:
                await self._encrypt(session, security)
                await self._hello(session)
                return
            # RFC 3207 section 4: 454, and the client decides whether to go on without.
            if must or not session.is_usable:
                raise HostFailed(_softened(reply), "STARTTLS was refused", heard=True)
        if must:
            text = f"{session.host.name} offers no TLS, which is required here"
            raise HostFailed(Reply(451, status.ENCRYPTION_NEEDED, text))

    async def _encrypt(self, session: SmtpSession, security: Security) -> None:
        await session.handshake(self._tls.client(session.host.name, security.verify))

    async def _hello(self, session: SmtpSession) -> None:
        reply = await session.hello(self._hello_name)
        # RFC 5321 section 3.2: who does not know EHLO is greeted with HELO.
        if reply.is_permanent and not session.is_lmtp and session.is_usable:
            reply = await session.hello(self._hello_name, esmtp=False)
        _expect(reply, session, "EHLO")
        if session.extensions.domain == self._hello_name.lower():
            text = f"{session.host.name} calls itself by our name: mail loops back to us"
            raise LoopsBack(Reply(554, status.ROUTING_LOOP, text))

    async def _log_in(self, session: SmtpSession, credentials: Credentials) -> None:
        bindings = session.tls.channel_bindings if session.tls else {}
        name = _choose(session, credentials, bindings)
        nonce = f"{self._random.getrandbits(192):048x}"
        password = credentials.password.encode()
        mechanism = client_mechanism(name, credentials.login, password, bindings, nonce)
        reply = await session.login(name, mechanism, self._workers)
        if not reply.is_positive:
            # A wrong password is our setting, and no reason to bounce other people's mail.
            why = f"login as {credentials.login} by {name} failed"
            raise HostFailed(_softened(reply), why, heard=True)


def _choose(session: SmtpSession, credentials: Credentials, bindings: Mapping[str, bytes]) -> str:
    """The strongest mechanism that both sides have. Raises HostFailed."""
    offered = session.extensions.mechanisms
    for name in CLIENT_PREFERENCE:
        if name.endswith("-PLUS") and not bindings:
            continue
        if name in _CLEAR and not (session.tls or credentials.allow_plaintext):
            continue
        if name in offered:
            return name
    text = f"{session.host.name} offers no way to log in that is safe here"
    raise HostFailed(Reply(451, status.MECHANISM_TOO_WEAK, text), f"offered: {sorted(offered)}")


def _expect(reply: Reply, session: SmtpSession, what: str) -> None:
    if not reply.is_positive:
        raise HostFailed(_softened(reply), f"{session.host} refused {what}", heard=True)


def _softened(reply: Reply) -> Reply:
    """The host's words with a code that lets the queue try again."""
    if not reply.is_permanent:
        return reply
    return Reply(451, reply.status, f"{reply.code} {reply.text}")


def _words(error: Exception) -> str:
    """``Connection refused`` rather than Twisted's sentence about it."""
    inner = getattr(error, "osError", None)
    number = getattr(inner, "strerror", None)
    return str(number or error).rstrip(".")
