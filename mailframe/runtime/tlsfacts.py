"""What a finished TLS handshake says, as a value, on either side of a connection."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL.SSL import Connection

from mailframe.core.session import TlsFacts


def tls_facts(transport: Any, *, dialled: bool = False) -> TlsFacts | None:
    """The facts of a TLS transport after its handshake; None for a plain one.

    ``dialled``: the connection is one that we made, so the server's certificate is the peer's.
    """
    get_handle = getattr(transport, "getHandle", None)
    connection = get_handle() if get_handle is not None else None
    if not isinstance(connection, Connection):
        return None
    certificate = (
        connection.get_peer_certificate(as_cryptography=True)
        if dialled
        else connection.get_certificate(as_cryptography=True)
    )
    return TlsFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        server_name=(connection.get_servername() or b"").decode("ascii", "replace"),
        channel_bindings=_channel_bindings(connection, certificate),
    )


def _channel_bindings(
    connection: Connection, certificate: x509.Certificate | None
) -> dict[str, bytes]:
    bindings = {}
    if connection.get_protocol_version_name() == "TLSv1.3":
        # RFC 9266 section 2; TLS 1.2 has it only with the extended master secret, which
        # OpenSSL does not tell us about.
        bindings["tls-exporter"] = connection.export_keying_material(
            b"EXPORTER-Channel-Binding", 32, b""
        )
    if certificate is not None:
        bindings["tls-server-end-point"] = _certificate_binding(certificate)
    return bindings


def _certificate_binding(certificate: x509.Certificate) -> bytes:
    """``tls-server-end-point`` of a server certificate (RFC 5929 section 4.1)."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
