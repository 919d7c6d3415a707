"""Who is at the other end of an HTTPS request: certificates verified, and in doubt refused.

As everywhere that we are a client (``tls_clients``), with the authorities read once and not for
each connection, as Twisted's own policy does. ``hang_up`` ends an answer that nobody wants any
more, whatever its server does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from mailframe.runtime.tls_clients import ClientCreator, client_context, context_trusting


@implementer(IPolicyForHTTPS)
class VerifiedHttps:
    """``authorities``: PEM of those that may have signed; None: those of the system. Raises
    ValueError for what holds no certificate. Blocks while it reads."""

    def __init__(self, authorities: bytes | None = None) -> None:
        if authorities is None:
            self._context = client_context("")
        else:
            self._context = context_trusting(authorities)

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        return ClientCreator(self._context, hostname.decode("ascii"), verify=True)


def hang_up(transport: Any) -> None:
    """At once. ``transport``: of the protocol that reads the body of an answer; None: there is
    none yet.

    What Twisted gives such a protocol can only ``loseConnection`` (``TransportProxyProducer`` of
    26.10). Over TLS that is to wait for the other side to say goodbye: one that does not keeps the
    connection, and one that goes on sending has all of it read."""
    line = getattr(transport, "_producer", transport)
    if line is not None:
        getattr(line, "abortConnection", line.loseConnection)()
