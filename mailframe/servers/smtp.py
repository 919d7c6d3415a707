"""SMTP and LMTP listeners: the factory for roles ``mx``, ``submission`` and ``lmtp``.

Thin on purpose. ``protocols.smtp.server`` knows the protocol, ``smtp_session`` makes the
decisions, ``smtp_protocol`` minds transport and time; this puts them together, counts what
is open and empties itself for a shutdown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from mailframe.core.ids import IdSource
from mailframe.core.session import Role
from mailframe.interfaces import (
    IAuthenticator,
    IJournal,
    IMailStore,
    IPolicy,
    IRecipientResolver,
    IRelayPermission,
    ISpool,
    ITlsContexts,
)
from mailframe.protocols.smtp.settings import ServerSettings
from mailframe.runtime.rounds import Rounds
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.smtp_policies import Stages
from mailframe.servers.smtp_protocol import LINGER, SmtpProtocol
from mailframe.servers.smtp_settings import SmtpLimits, SmtpParts
from mailframe.servers.smtp_tarpit import Tarpit

__all__ = ["SmtpFactory", "SmtpLimits"]


class SmtpFactory(Factory):
    """One listener; wrap it for implicit TLS, or give ``tls`` for STARTTLS."""

    noisy = False

    def __init__(
        self,
        hostname: str,
        role: Role,
        listener: str,
        *,
        spool: ISpool,
        resolver: IRecipientResolver,
        permission: IRelayPermission,
        policies: Sequence[IPolicy],
        authenticator: IAuthenticator | None,
        store: IMailStore | None,
        journal: IJournal,
        ids: IdSource,
        tls: ITlsContexts | None,
        connections: ConnectionCounter,
        clock: IReactorTime,
        nonce: Callable[[], str],
        limits: SmtpLimits = SmtpLimits(),  # noqa: B008 - frozen
        authserv_id: str = "",
        without: Collection[str] = (),
    ) -> None:
        """``clock`` gives wall-clock seconds since the epoch and timers (the reactor).

        ``permission`` is asked for every recipient that is not ours, whatever ``policies``
        say. ``tls`` None, or without a certificate: STARTTLS is not offered. ``store`` None:
        quota is left to delivery. ``authserv_id``: our name in Authentication-Results, if it is
        not ``hostname``. ``nonce`` yields fresh unguessable text for SCRAM. ``without``: verbs
        and EHLO keywords that are not offered (``protocols.smtp.verbs.KNOWN``).
        """
        if role not in (Role.MX, Role.SUBMISSION, Role.LMTP):
            raise ValueError(f"no SMTP server has the role {role.value}")
        self.clock = clock
        self.connections = connections
        self.parts = SmtpParts(
            hostname=hostname,
            role=role,
            listener=listener,
            authserv_id=authserv_id or hostname,
            filters_content=any(policy.name == "content" for policy in policies),
            limits=limits,
            spool=spool,
            resolver=resolver,
            permission=permission,
            stages=Stages(policies),
            authenticator=authenticator,
            store=store,
            journal=journal,
            ids=ids,
            tls=tls,
            seconds=clock.seconds,
            nonce=nonce,
        )
        self.settings = ServerSettings(
            hostname=hostname,
            lmtp=role is Role.LMTP,
            login_required=role is Role.SUBMISSION,
            allow_plaintext=limits.allow_plaintext,
            message_size=limits.message_size,
            recipients=limits.recipients,
            transactions=limits.messages,
            without=frozenset(word.upper() for word in without),
            errors=limits.errors,
        )
        self.mechanisms = tuple(self.parts.mechanisms)
        given = [limits.command_idle, limits.data_idle, limits.session_time]
        self.watch: Rounds[SmtpProtocol] = Rounds(
            clock, min(filter(None, given), default=0), SmtpProtocol.look_at_clock
        )
        """Over the limits of time."""
        self.lingering: Rounds[SmtpProtocol] = Rounds(clock, LINGER, SmtpProtocol.cut_off)
        """Those that we have said the last word to."""
        self.open: dict[SmtpProtocol, None] = {}  # in the order of coming
        self.tarpit = Tarpit(limits)
        self.is_draining = False
        self._drained: list[Deferred[None]] = []

    @property
    def can_start_tls(self) -> bool:
        """Asked for each connection: a certificate may be loaded while we run."""
        return self.parts.tls is not None and self.parts.tls.can_serve

    def buildProtocol(self, addr: IAddress | None) -> SmtpProtocol:
        return SmtpProtocol(self)

    def drain(self) -> Deferred[None]:
        """421 to idle clients and newcomers; fires when the last connection has ended.

        Messages in flight are finished. The caller bounds the wait and then lets the
        process go: what was not answered with 250 was not accepted.
        """
        self.is_draining = True
        for protocol in list(self.open):
            protocol.drain()
        if not self.open:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def one_is_gone(self) -> None:
        """A connection has ended."""
        if self.is_draining and not self.open:
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)
