"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677).

The password never reaches the server: it keeps a ``ScramVerifier``, learns that the client
knows the password, and proves in turn that it knows the verifier.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from mailframe.core.scram import ScramVerifier, stored_key
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl import scram
from mailframe.protocols.sasl.steps import (
    MAX_FIELD,
    Challenge,
    NeedVerifier,
    Proved,
    Rejected,
    Step,
    decode_login,
)


@dataclass(frozen=True, slots=True)
class _ClientFirst:
    gs2_header: str
    binding: str
    """``n``, ``y`` or ``p=NAME``."""
    authzid: str
    bare: str
    login: str
    nonce: str


class ScramServer:
    """``bindings`` is the connection's channel binding data by type; without ``plus`` it is
    not used. ``plus_offered``: whether -PLUS was among the mechanisms offered."""

    def __init__(
        self, bindings: Mapping[str, bytes], nonce: str, *, plus: bool, plus_offered: bool
    ) -> None:
        if not scram.is_nonce(nonce):
            raise LocalProtocolError("the nonce must be printable, without commas, not empty")
        self._bindings = bindings
        self._nonce = nonce
        self._plus = plus
        self._plus_offered = plus_offered
        self._started = False
        self._first: _ClientFirst | None = None
        self._verifier: ScramVerifier | None = None
        self._server_first = ""
        self._done = False

    def step(self, response: bytes | None) -> Step:
        if self._done or (self._first is not None and self._verifier is None):
            raise LocalProtocolError("SCRAM does not expect a message now")
        if response is None:
            return self._ask_for_first()
        self._started = True
        message = scram.decode_message(response)
        if self._first is None:
            return self._client_first(message)
        self._done = True
        return self._client_final(message, self._first)

    def verifier(self, verifier: ScramVerifier) -> Step:
        if self._first is None or self._verifier is not None or self._done:
            raise LocalProtocolError("SCRAM does not ask for a verifier now")
        self._verifier = verifier
        salt = base64.b64encode(verifier.salt).decode()
        nonce = self._first.nonce + self._nonce
        self._server_first = f"r={nonce},s={salt},i={verifier.iterations}"
        return Challenge(self._server_first.encode())

    def _ask_for_first(self) -> Step:
        if self._started:
            raise LocalProtocolError("only the initial response may be missing")
        self._started = True
        return Challenge(b"")

    def _client_first(self, message: str) -> Step:
        first = _parse_client_first(message)
        self._first = first
        if reason := self._binding_fault(first.binding):
            self._done = True
            return Rejected(first.login, reason)
        return NeedVerifier(first.login)

    def _binding_fault(self, binding: str) -> str:
        """RFC 5802 section 6: what is wrong with the client's channel binding flag."""
        if self._plus != binding.startswith("p="):
            return "channel binding flag does not fit the mechanism"
        if self._plus and binding[2:] not in self._bindings:
            return "channel binding type not available"
        # The client could bind and believes that we cannot: somebody took -PLUS out of
        # the list on the way.
        if binding == "y" and self._plus_offered:
            return "channel binding downgrade"
        return ""

    def _client_final(self, message: str, first: _ClientFirst) -> Step:
        assert self._verifier is not None
        without_proof, comma, proof_field = message.rpartition(",")
        fields = without_proof.split(",")
        if not comma or len(fields) < 2:
            raise RemoteProtocolError("the SCRAM client-final-message is incomplete")
        bound = scram.attribute(fields[0], "c")
        nonce = scram.nonce_attribute(fields[1])
        proof = scram.base64_attribute(proof_field, "p")
        if not hmac.compare_digest(bound.encode(), self._expected_binding(first).encode()):
            return Rejected(first.login, "channel bindings do not match")
        if not hmac.compare_digest(nonce, first.nonce + self._nonce):
            return Rejected(first.login, "nonce does not match")
        auth_message = f"{first.bare},{self._server_first},{without_proof}"
        if not _proves(proof, self._verifier, auth_message):
            return Rejected(first.login, "wrong password")
        server_signature = scram.signature(self._verifier.server_key, auth_message)
        final = b"v=" + base64.b64encode(server_signature)
        return Proved(first.login, first.authzid, final)

    def _expected_binding(self, first: _ClientFirst) -> str:
        data = self._bindings[first.binding[2:]] if self._plus else b""
        return scram.binding_input(first.gs2_header, data)


def _proves(proof: bytes, verifier: ScramVerifier, auth_message: str) -> bool:
    """RFC 5802 section 3: StoredKey == H(ClientProof XOR ClientSignature)."""
    client_signature = scram.signature(verifier.stored_key, auth_message)
    if len(proof) != len(client_signature):
        return False
    client_key = scram.xor(proof, client_signature)
    return hmac.compare_digest(stored_key(client_key), verifier.stored_key)


def _parse_client_first(message: str) -> _ClientFirst:
    """``gs2-header client-first-message-bare`` (RFC 5802 section 7)."""
    fields = message.split(",")
    if len(fields) < 4:
        raise RemoteProtocolError("the SCRAM client-first-message is incomplete")
    binding, authzid_field = fields[0], fields[1]
    if binding not in ("n", "y") and not (binding.startswith("p=") and len(binding) > 2):
        raise RemoteProtocolError("the SCRAM channel binding flag is malformed")
    scram.refuse_mandatory_extension(fields[2])
    return _ClientFirst(
        gs2_header=f"{binding},{authzid_field},",
        binding=binding,
        authzid=_name(scram.attribute(authzid_field, "a")) if authzid_field else "",
        bare=",".join(fields[2:]),
        login=_name(scram.attribute(fields[2], "n")),
        nonce=scram.nonce_attribute(fields[3]),
    )


def _name(encoded: str) -> str:
    if len(encoded) > MAX_FIELD:
        raise RemoteProtocolError(f"a name is longer than {MAX_FIELD} octets")
    return decode_login(scram.decode_name(encoded).encode())
