"""Our side of TLS on a connection we made: SNI, and whether the other end has to prove itself.

For couriers, for accounts that others keep, and for whatever else speaks TLS as a client. Twisted's
own check lets a certificate pass whose names cannot be read, such as an IP address that claims to
be a DNS name: what is raised there is logged and forgotten (``_sslverify._verifyCB`` of 26.10).
Here it is no certificate.

Contexts are shared by all connections: reading the system's certificate authorities costs tens of
milliseconds and a megabyte each time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import idna
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

_CIPHERS = AcceptableCiphers.fromOpenSSLCipherString(
    "ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:RSA+AESGCM:RSA+AES:!aNULL:!MD5:!DSS"
)
"""Of TLS 1.2, beside all of 1.3. Without DHE (RFC 9325 section 4.1): there the server chooses the
group, and one of 10,000 bits takes 600 ms of our processor for each handshake, where a curve takes
one."""


def client_context(trust_file: str | None) -> SSL.Context:
    """``trust_file`` None: trusts nothing and checks nothing; empty: the system's certificate
    authorities; else those in that PEM file."""
    options = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2, acceptableCiphers=_CIPHERS)
    context = options.getContext()
    if trust_file:
        context.load_verify_locations(trust_file)
    elif trust_file is not None:
        context.set_default_verify_paths()
    return context


def context_trusting(authorities: bytes) -> SSL.Context:
    """``authorities``: PEM. Raises ValueError for what holds no certificate."""
    try:
        found = x509.load_pem_x509_certificates(authorities)
    except ValueError as error:
        raise ValueError("there is no certificate in it that can be read") from error
    context = client_context(None)
    store = context.get_cert_store()
    assert store is not None  # of every context
    for one in found:
        store.add_cert(X509.from_cryptography(one))
    return context


@implementer(IOpenSSLClientConnectionCreator)
class ClientCreator:
    """``host`` is a name or an IP address; with ``verify`` the certificate must be its own."""

    def __init__(self, context: SSL.Context, host: str, verify: bool) -> None:
        self._context = context
        self._name = _server_name(host)
        self._identity = _identity(host, self._name) if verify else None

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._name:  # RFC 6066 section 3: never an IP address
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        if self._identity is not None:
            connection.set_verify(
                SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
                _checking(tlsProtocol, self._identity),
            )
        return connection


def _server_name(host: str) -> str:
    """A-labels without the final dot; empty for what no SNI can carry."""
    host = host.rstrip(".").lower()
    if _is_ip(host):
        return ""
    try:
        return host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _identity(host: str, name: str) -> ServiceID:
    """Raises ValueError for a host that no certificate can be for."""
    return DNS_ID(name) if name else IPAddress_ID(host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _checking(
    protocol: TLSMemoryBIOProtocol, identity: ServiceID
) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
    def check(_: SSL.Connection, certificate: X509, error: int, depth: int, trusted: int) -> bool:
        if depth or not trusted:
            return bool(trusted)
        try:
            verify_service_identity(
                extract_patterns(certificate), obligatory_ids=[identity], optional_ids=[]
            )
        # What is raised inside OpenSSL's callback would be lost: no certificate is the answer.
        except (VerificationError, ValueError):
            protocol.failVerification(Failure())
            return False
        return True

    return check
