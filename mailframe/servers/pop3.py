"""POP3 for the network: what the shell of every POP3 connection shares.

``Pop3Factory`` serves plain connections with STLS as they are; for implicit TLS wrap it in
``twisted.protocols.tls.TLSMemoryBIOFactory``: it notices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IAddress, IReactorTime

from mailframe.core.ids import IdSource
from mailframe.interfaces import IAuthenticator, IJournal, IRecentFetches, ITlsContexts
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.line_factory import LineFactory
from mailframe.servers.pop3_connection import Pop3Connection


@dataclass(frozen=True, slots=True)
class Pop3Limits:
    """Seconds and counts; 0 switches a count off."""

    idle: float = 600.0
    """RFC 1939 section 3 forbids less than ten minutes."""
    login: float = 180.0
    """From the greeting to the login, however busy the client is (Dovecot has the same)."""
    session: float = 14_400.0
    """The whole session: nobody needs to hold a maildrop's lock for more than four hours."""
    linger: float = 15.0
    """For a client to take the last reply before it is cut off."""
    errors: int = 10
    login_failures: int = 3
    allow_plaintext: bool = False
    """Whether logging in is allowed without TLS."""


class Pop3Factory(LineFactory[Pop3Connection]):
    """Makes a connection's server; knows which are open.

    ``tls`` None, or without a certificate, means that STLS is not offered. ``recent`` hears of
    logins (POP-before-SMTP). ``nonces`` yields fresh, unguessable printable text without
    commas for SCRAM. ``clock`` is the reactor.

    When it drains, a message under way is sent to its end and a QUIT is carried out. Deletions
    without a QUIT are forgotten, as RFC 1939 section 6 has it.
    """

    refusal = "-ERR"

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
        tls: ITlsContexts | None = None,
        recent: IRecentFetches | None = None,
        limits: Pop3Limits | None = None,
    ) -> None:
        super().__init__(journal, connections)
        self.hostname = hostname
        self.listener = listener
        self.authenticator = authenticator
        self.ids = ids
        self.nonces = nonces
        self.clock = clock
        self.tls = tls
        self.recent = recent
        self.limits = limits if limits is not None else Pop3Limits()
        self._serial = itertools.count(1)

    def buildProtocol(self, addr: IAddress | None) -> Pop3Connection:
        return Pop3Connection(self)

    def timestamp(self) -> str:
        """RFC 1939 section 7: never the same twice, for APOP."""
        micros = int(self.clock.seconds() * 1_000_000)
        return f"<{next(self._serial)}.{micros}@{self.hostname}>"
