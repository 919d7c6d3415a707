"""The facts about one connection, for policies, authenticators and the journal.

The one mutable value in core: the server shell that owns the connection writes it, everybody
else only reads. It outlives no connection.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mailframe.core.verdict import NOTHING_FOUND, Findings


class Role(enum.Enum):
    """What a listener is for (``[listen.*] role``)."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"
    POP3 = "pop3"
    IMAP = "imap"
    MANAGESIEVE = "managesieve"
    HTTP = "http"


@dataclass(slots=True)
class Session:
    """One connection of a peer. To be read only: it is the server that writes it."""

    id: str
    """Names the session in the journal and in ``(ref ID)`` of refusals."""
    role: Role
    """What its listener is for."""
    listener: str
    """The name in ``[listen.NAME]``."""
    peer_ip: str
    """Textual IP address; empty for a Unix socket."""
    peer_port: int = 0
    """0 where there is none."""
    local_ip: str = ""
    """The address that the peer called; empty for a Unix socket."""
    tls: TlsFacts | None = None
    """None: it is not encrypted (yet)."""
    helo: str = ""
    """What the peer said in HELO, EHLO or LHLO, unchecked; empty before that."""
    esmtp: bool = False
    """Whether that was EHLO or LHLO."""
    account: str | None = None
    """Canonical account name once logged in; set and cleared together with ``avatar``."""
    mechanism: str = ""
    """The SASL mechanism of that login."""
    avatar: object | None = None
    """What the login yielded, an ``IMailAccount``; core knows no interfaces."""
    found: Findings = NOTHING_FOUND
    """What policies found out: about the client before MAIL, from then on about the message too.
    Reset to what is known of the client at each MAIL."""
    extra: dict[str, object] = field(default_factory=dict)
    """Room for extensions; keys are ``package.name``."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What is known of the encryption of a connection."""

    version: str
    """``"TLSv1.3"``"""
    cipher: str
    """``"TLS_AES_256_GCM_SHA384"``"""
    server_name: str = ""
    """Whom the client wanted (SNI); empty for none."""
    channel_bindings: dict[str, bytes] = field(default_factory=dict)
    """SASL channel binding type (``tls-exporter``, ``tls-server-end-point``) -> data."""

    def __str__(self) -> str:
        """``TLSv1.3 TLS_AES_256_GCM_SHA384``"""
        return f"{self.version} {self.cipher}"
