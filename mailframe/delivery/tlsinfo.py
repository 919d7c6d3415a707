"""What a client may know of its TLS connection: the version, and data to bind SASL to."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import hashes
from OpenSSL.SSL import Connection


def describe(transport: Any) -> str:
    """``TLSv1.3 TLS_AES_256_GCM_SHA384``; empty for a plain connection."""
    connection = _connection(transport)
    if connection is None:
        return ""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"


def channel_bindings(transport: Any) -> dict[str, bytes]:
    """By SASL channel binding type; empty for a plain connection."""
    connection = _connection(transport)
    if connection is None:
        return {}
    bindings = {}
    if connection.get_protocol_version_name() == "TLSv1.3":
        # RFC 9266 section 2; in TLS 1.2 it needs the extended master secret, which OpenSSL
        # does not tell us about.
        bindings["tls-exporter"] = connection.export_keying_material(
            b"EXPORTER-Channel-Binding", 32, b""
        )
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is not None:
        algorithm = certificate.signature_hash_algorithm
        # RFC 5929 section 4.1
        if algorithm is None or algorithm.name in ("md5", "sha1"):
            algorithm = hashes.SHA256()
        bindings["tls-server-end-point"] = certificate.fingerprint(algorithm)
    return bindings


def _connection(transport: Any) -> Connection | None:
    get_handle = getattr(transport, "getHandle", None)
    handle = get_handle() if get_handle is not None else None
    return handle if isinstance(handle, Connection) else None
