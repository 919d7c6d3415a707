"""What a server keeps to let a user log in by SCRAM without keeping the password.

RFC 5802 section 3 with SHA-256 (RFC 7677). The exchange itself is in ``protocols.sasl``.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a password becomes (RFC 5802 section 3)."""

    client_key: bytes
    server_key: bytes

    @classmethod
    def derive(cls, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        """``password`` is already prepared (SASLprep). Blocks for ~``iterations``/2 µs."""
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        return cls(
            client_key=hmac.digest(salted, b"Client Key", "sha256"),
            server_key=hmac.digest(salted, b"Server Key", "sha256"),
        )


def stored_key(client_key: bytes) -> bytes:
    return hashlib.sha256(client_key).digest()


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def derive(cls, password: bytes, salt: bytes, iterations: int) -> ScramVerifier:
        """As of ``ScramKeys.derive``."""
        keys = ScramKeys.derive(password, salt, iterations)
        return cls(salt, iterations, stored_key(keys.client_key), keys.server_key)
