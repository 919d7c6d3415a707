"""TLS contexts for STARTTLS and implicit TLS, shared by every listener and courier."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from zope.interface import Attribute, Interface


class ITlsContexts(Interface):
    """The certificates of this server, and how it looks at those of others."""

    can_serve: bool = Attribute("Whether a certificate is loaded: STARTTLS may be offered.")

    def server() -> IOpenSSLServerConnectionCreator:
        """For an accepted connection: chooses the certificate by SNI, always the newest."""

    def client(host: str, verify: bool) -> IOpenSSLClientConnectionCreator:
        """For a connection we made. SNI carries ``host``; ``verify`` False accepts any
        certificate, as opportunistic TLS must (RFC 7435 section 3)."""
