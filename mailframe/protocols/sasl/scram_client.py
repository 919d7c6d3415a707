"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side (RFC 5802, RFC 7677).

The server is not trusted: its nonce must extend ours, the work it may ask of us is bounded,
and the login counts only after its signature has shown that it knows the user.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping

from mailframe.core.scram import ScramKeys, stored_key
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl import scram
from mailframe.protocols.sasl.saslprep import SaslprepError, saslprep

# RFC 7677 section 4 asks for at least 4096; fewer make a stolen exchange cheap to crack.
MIN_ITERATIONS = 4096
# What OWASP asks of PBKDF2-HMAC-SHA256, about a quarter of a second of the caller's thread.
MAX_ITERATIONS = 600_000
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


class ScramClient:
    """``bindings``: with ``plus``, the data to bind to; without, a non-empty mapping tells
    the server that we could have bound and saw no -PLUS offered, which it verifies."""

    def __init__(
        self, login: str, password: bytes, bindings: Mapping[str, bytes], nonce: str, *, plus: bool
    ) -> None:
        if not scram.is_nonce(nonce):
            raise LocalProtocolError("the nonce must be printable, without commas, not empty")
        self._password = prepared_password(password)
        self._nonce = nonce
        self._binding_data = b""
        flag = "y" if bindings else "n"
        if plus:
            chosen = _strongest(bindings)
            flag, self._binding_data = f"p={chosen}", bindings[chosen]
        self._gs2_header = f"{flag},,"
        self._bare = f"n={scram.encode_name(_prepared_login(login))},r={nonce}"
        self._server_signature: bytes | None = None
        self._verified = False

    def initial(self) -> bytes | None:
        return (self._gs2_header + self._bare).encode()

    def respond(self, challenge: bytes) -> bytes:
        message = scram.decode_message(challenge)
        if self._server_signature is None:
            return self._client_final(message)
        if self._verified:
            raise RemoteProtocolError("SCRAM is over")
        self._check_server_final(message, self._server_signature)
        return b""

    def verify_done(self) -> None:
        if not self._verified:
            raise RemoteProtocolError("the server claims success without its SCRAM signature")

    def _client_final(self, server_first: str) -> bytes:
        fields = server_first.split(",")
        scram.refuse_mandatory_extension(fields[0])
        if len(fields) < 3:
            raise RemoteProtocolError("the SCRAM server-first-message is incomplete")
        nonce = scram.nonce_attribute(fields[0])
        # RFC 5802 section 5.1: the client must verify that the nonce begins with its own.
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise RemoteProtocolError("the server's SCRAM nonce does not extend ours")
        salt = scram.base64_attribute(fields[1], "s")
        if not salt:
            raise RemoteProtocolError("the server's SCRAM salt is empty")
        keys = ScramKeys.derive(self._password, salt, _iterations(fields[2]))
        bound = scram.binding_input(self._gs2_header, self._binding_data)
        without_proof = f"c={bound},r={nonce}"
        auth_message = f"{self._bare},{server_first},{without_proof}"
        self._server_signature = scram.signature(keys.server_key, auth_message)
        client_signature = scram.signature(stored_key(keys.client_key), auth_message)
        proof = scram.xor(keys.client_key, client_signature)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def _check_server_final(self, message: str, expected: bytes) -> None:
        field = message.split(",")[0]
        if field.startswith("e="):
            raise RemoteProtocolError("the server reports a SCRAM error")
        if not hmac.compare_digest(scram.base64_attribute(field, "v"), expected):
            raise RemoteProtocolError("the server's SCRAM signature is wrong")
        self._verified = True


def _iterations(field: str) -> int:
    text = scram.attribute(field, "i")
    if not _NUMBER.fullmatch(text):
        raise RemoteProtocolError("the server's SCRAM iteration count is malformed")
    if not MIN_ITERATIONS <= int(text) <= MAX_ITERATIONS:
        raise RemoteProtocolError(f"the server asks for {text} SCRAM iterations")
    return int(text)


def _strongest(bindings: Mapping[str, bytes]) -> str:
    for name in scram.BINDING_PREFERENCE:
        if name in bindings:
            return name
    raise LocalProtocolError("SCRAM-SHA-256-PLUS needs channel binding data")


def _prepared_login(login: str) -> str:
    try:
        return saslprep(login)
    except SaslprepError:
        raise LocalProtocolError("the login holds a character that SASLprep forbids") from None


def prepared_password(password: bytes) -> bytes:
    """SASLprep where it applies; other octets stay as they are, for servers that took them."""
    try:
        return saslprep(password.decode("utf-8")).encode()
    except (UnicodeDecodeError, SaslprepError):
        return password
