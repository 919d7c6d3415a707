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
    """Proves the password to a server. Secret."""
    server_key: bytes
    """Proves the server to a client. Secret."""

    @classmethod
    def derive(cls, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        """``password`` is already prepared (SASLprep). Blocks for ~``iterations``/2 µs."""
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        return cls(
            client_key=hmac.digest(salted, b"Client Key", "sha256"),
            server_key=hmac.digest(salted, b"Server Key", "sha256"),
        )


def stored_key(client_key: bytes) -> bytes:
    """What a server compares proofs with; the client key cannot be found from it."""
    return hashlib.sha256(client_key).digest()


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What is kept of a password. Who has it can check logins, and cannot log in."""

    salt: bytes
    """This user's own; public."""
    iterations: int
    """Of PBKDF2; public. RFC 7677 wants 4096 at least."""
    stored_key: bytes
    """As of the function of that name."""
    server_key: bytes
    """As of ``ScramKeys``."""

    @classmethod
    def derive(cls, password: bytes, salt: bytes, iterations: int) -> ScramVerifier:
        """As of ``ScramKeys.derive``."""
        keys = ScramKeys.derive(password, salt, iterations)
        return cls(salt, iterations, stored_key(keys.client_key), keys.server_key)
