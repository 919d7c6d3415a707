"""What a connection is made to, and how: addresses, encryption, credentials, patience."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from operator import attrgetter

from mailframe.protocols.smtp.client import Step


class Encryption(enum.Enum):
    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    """STARTTLS where offered, any certificate; plain text where it fails (RFC 7435)."""
    REQUIRED = "required"
    """STARTTLS or nothing."""
    IMPLICIT = "implicit"
    """TLS from the first octet (RFC 8314 section 3)."""


@dataclass(frozen=True, slots=True)
class Security:
    encryption: Encryption = Encryption.OPPORTUNISTIC
    verify: bool = False
    """Whether the certificate must be valid and name the host."""


IF_OFFERED = Security()


@dataclass(frozen=True, slots=True)
class Credentials:
    login: str
    password: str = field(repr=False)
    allow_plaintext: bool = False
    """Whether PLAIN and LOGIN may be used without TLS: on this machine only."""


@dataclass(frozen=True, slots=True)
class Host:
    """One address of one host; ``path`` is a Unix socket, then ``ip`` is empty."""

    name: str
    ip: str = ""
    port: int = 25
    path: str = ""

    def __str__(self) -> str:
        return self.path or f"{self.name}[{self.ip}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; the defaults are those of RFC 5321 section 4.5.3.2."""

    connect: float = 30.0
    """Ours; a host that is up answers SYN sooner."""
    handshake: float = 60.0
    greeting: float = 300.0
    hello: float = 300.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    chunk: float = 180.0
    """For the peer to take the next block of content."""
    end: float = 600.0
    auth: float = 120.0
    quit: float = 5.0
    """Ours; nothing depends on the answer."""

    def of(self, step: Step) -> float:
        """How long the reply to this step may take."""
        seconds: float = _PATIENCE[step](self)
        return seconds


_PATIENCE = {
    Step.GREETING: attrgetter("greeting"),
    Step.HELLO: attrgetter("hello"),
    Step.STARTTLS: attrgetter("hello"),
    Step.AUTH: attrgetter("auth"),
    Step.RSET: attrgetter("mail"),
    Step.MAIL: attrgetter("mail"),
    Step.RCPT: attrgetter("rcpt"),
    Step.DATA: attrgetter("data"),
    Step.CHUNK: attrgetter("chunk"),
    Step.END: attrgetter("end"),
    Step.QUIT: attrgetter("quit"),
}
