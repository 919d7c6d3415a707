"""IMAP for the network: what the shell of every IMAP connection shares.

``ImapFactory`` serves plain connections with STARTTLS as they are; for implicit TLS wrap it in
``twisted.protocols.tls.TLSMemoryBIOFactory``: it notices.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from twisted.internet.interfaces import IAddress, IReactorTime

from mailframe.core.ids import IdSource
from mailframe.interfaces import IAuthenticator, IJournal, IRecentFetches, ITlsContexts, IWorkers
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.imap_annotations import AnnotationEvents
from mailframe.servers.imap_connection import ImapConnection
from mailframe.servers.line_factory import LineFactory


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """Seconds, octets and counts; 0 switches a count off."""

    idle: float = 1_800.0
    """RFC 9051 section 5.4 forbids less than thirty minutes; IDLE is no exception."""
    login: float = 180.0
    """From the greeting to the login, however busy the client is."""
    linger: float = 15.0
    """For a client to take the last reply before it is cut off."""
    progress: float = 10.0
    """A command that takes longer says that it is still at work (RFC 9585), this often."""
    allow_plaintext: bool = False
    """Whether logging in is allowed without TLS."""
    per_user: int = 20
    """Connections of one user from one address (Dovecot has 10; phones open many)."""
    append: int = 0
    """Octets of a message that is put in: APPENDLIMIT (RFC 7889)."""
    messages: int = 1_000_000
    """One command works on so many messages at most: MESSAGELIMIT (RFC 9738)."""
    watched: int = 1_000
    """Folders that NOTIFY watches for one connection."""
    engine: EngineLimits = field(default_factory=EngineLimits)
    """Commands, literals, nesting; mistakes and failed logins."""

    def of_engine(self) -> EngineLimits:
        """With those that the engine has to tell."""
        return _of_engine(self.engine, self.messages)


@functools.lru_cache(maxsize=16)  # one object for thousands of connections
def _of_engine(limits: EngineLimits, messages: int) -> EngineLimits:
    return replace(limits, messages=messages)


class ImapFactory(LineFactory[ImapConnection]):
    """Makes a connection's server; knows which are open, and whose they are.

    ``tls`` None, or without a certificate, means that STARTTLS is not offered. ``recent`` hears
    of logins (POP-before-SMTP). ``nonces`` yields fresh, unguessable printable text without
    commas for SCRAM. ``workers`` do what blocks: reading messages that no folder has read.
    ``clock`` is the reactor.
    """

    refusal = "BYE"

    def __init__(
        self,
        hostname: str,
        listener: str,
        authenticator: IAuthenticator,
        *,
        journal: IJournal,
        ids: IdSource,
        nonces: Callable[[], str],
        clock: IReactorTime,
        connections: ConnectionCounter,
        workers: IWorkers,
        version: str = "",
        tls: ITlsContexts | None = None,
        recent: IRecentFetches | None = None,
        limits: ImapLimits | None = None,
    ) -> None:
        """``version``: what ID tells, beside the name; empty: nothing."""
        super().__init__(journal, connections)
        self.hostname = hostname
        self.listener = listener
        self.authenticator = authenticator
        self.ids = ids
        self.nonces = nonces
        self.clock = clock
        self.workers = workers
        self.version = version
        self.tls = tls
        self.recent = recent
        self.limits = limits if limits is not None else ImapLimits()
        self.annotations = AnnotationEvents()
        self._of_user: Counter[tuple[str, str]] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> ImapConnection:
        return ImapConnection(self)

    def user_entered(self, account: str, address: str) -> bool:
        """Count a login in; False when it is one too many (then do not ``user_left``)."""
        key = (account, address)
        if self.limits.per_user and self._of_user[key] >= self.limits.per_user:
            return False
        self._of_user[key] += 1
        return True

    def user_left(self, account: str, address: str) -> None:
        key = (account, address)
        self._of_user[key] -= 1
        if not self._of_user[key]:
            del self._of_user[key]
