"""What an SMTP or LMTP listener is built from: its limits and the parts it talks to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailframe.core.ids import IdSource
from mailframe.core.reply import Reply
from mailframe.core.session import Role
from mailframe.interfaces import (
    IAuthenticator,
    IJournal,
    IMailStore,
    IRecipientResolver,
    IRelayPermission,
    ISpool,
    ITlsContexts,
)
from mailframe.protocols import sasl
from mailframe.servers.smtp_policies import Stages


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """Sizes in octets, times in seconds; 0 means no limit, or for a delay none."""

    message_size: int = 35 << 20
    header_size: int = 256 << 10
    recipients: int = 1000
    messages: int = 0
    """Per connection."""
    received_hops: int = 100  # RFC 5321 section 6.3
    errors: int = 10
    """Bad commands and failed logins per connection."""
    command_idle: float = 300  # RFC 5321 section 4.5.3.2.7
    data_idle: float = 180  # RFC 5321 section 4.5.3.2.5
    session_time: float = 7200
    """A whole connection: what a slow-loris can hold a socket for."""
    greet_delay: float = 0
    """Wait so long for a client that talks before it is greeted. What is there when we are
    about to greet is noticed in any case."""
    tarpit: float = 1
    """Grows by so much with each refusal, after the first few; until then there is none."""
    tarpit_free: int = 3
    tarpit_most: float = 5
    tarpit_places: int = 100
    """Connections of a listener that are delayed at once; further ones are answered right away,
    so that refusals do not fill the server with clients that wait."""
    allow_plaintext: bool = False
    """Offer AUTH without TLS."""


@dataclass(frozen=True, slots=True)
class SmtpParts:
    """The collaborators, shared by every connection of a listener."""

    hostname: str
    role: Role
    listener: str
    authserv_id: str
    """Our name in Authentication-Results."""
    filters_content: bool
    """Whether our own filter writes ``X-Spam-*``, so that nobody else's may be there."""
    limits: SmtpLimits
    spool: ISpool
    resolver: IRecipientResolver
    permission: IRelayPermission
    stages: Stages
    authenticator: IAuthenticator | None
    store: IMailStore | None
    journal: IJournal
    ids: IdSource
    tls: ITlsContexts | None
    seconds: Callable[[], float]
    nonce: Callable[[], str]
    greeting: Reply = field(init=False)
    hello: Reply = field(init=False)
    """Said to each client, hence made once."""

    def __post_init__(self) -> None:
        kind = "LMTP" if self.role is Role.LMTP else "ESMTP"
        object.__setattr__(self, "greeting", Reply(220, None, f"{self.hostname} {kind}"))
        object.__setattr__(self, "hello", Reply(250, None, self.hostname))

    @property
    def mechanisms(self) -> Sequence[str]:
        """SASL mechanisms for AUTH; LMTP has none (its peers are trusted or kept out)."""
        if self.authenticator is None or self.role is Role.LMTP:
            return ()
        return sorted(self.authenticator.mechanisms & sasl.SERVER_MECHANISMS)
