"""PLAIN (RFC 4616) and LOGIN: the password itself travels, so never without TLS.

LOGIN has no RFC beyond the expired draft-murchison-sasl-login; the prompts are the ones that
clients match. A login offered as initial response is taken, as other servers do.
"""

from __future__ import annotations

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl.steps import (
    MAX_FIELD,
    Challenge,
    CheckPassword,
    Step,
    decode_login,
)


class PlainServer:
    def __init__(self) -> None:
        self._done = False

    def step(self, response: bytes | None) -> Step:
        if self._done:
            raise LocalProtocolError("PLAIN has one message")
        if response is None:
            return Challenge(b"")
        self._done = True
        # RFC 4616 section 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise RemoteProtocolError("a PLAIN message has three fields")
        authzid, login, password = (_bounded(field) for field in fields)
        if not password:
            raise RemoteProtocolError("the password is empty")
        return CheckPassword(
            decode_login(login), password, decode_login(authzid) if authzid else ""
        )

    def verifier(self, verifier: ScramVerifier) -> Step:
        raise LocalProtocolError("PLAIN asks for no verifier")


class LoginServer:
    def __init__(self) -> None:
        self._login: str | None = None
        self._prompted = False
        self._done = False

    def step(self, response: bytes | None) -> Step:
        if self._done:
            raise LocalProtocolError("LOGIN has two answers")
        if response is None:
            if self._prompted:
                raise LocalProtocolError("only the initial response may be missing")
            self._prompted = True
            return Challenge(b"Username:")
        if self._login is None:
            self._login = decode_login(_bounded(response))
            self._prompted = True
            return Challenge(b"Password:")
        self._done = True
        if not response:
            raise RemoteProtocolError("the password is empty")
        return CheckPassword(self._login, _bounded(response), "")

    def verifier(self, verifier: ScramVerifier) -> Step:
        raise LocalProtocolError("LOGIN asks for no verifier")


def _bounded(field: bytes) -> bytes:
    if len(field) > MAX_FIELD:
        raise RemoteProtocolError(f"a field is longer than {MAX_FIELD} octets")
    return field


class PlainClient:
    def __init__(self, login: str, password: bytes) -> None:
        if b"\0" in password or "\0" in login:
            raise LocalProtocolError("PLAIN cannot carry NUL")
        self._message = b"\0" + login.encode() + b"\0" + password

    def initial(self) -> bytes | None:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        raise RemoteProtocolError("PLAIN has no second message")

    def verify_done(self) -> None:
        """PLAIN proves nothing about the server: TLS has to."""


class LoginClient:
    def __init__(self, login: str, password: bytes) -> None:
        self._answers = [login.encode(), password]

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        # The prompts differ from server to server; their order does not.
        if not self._answers:
            raise RemoteProtocolError("LOGIN has two questions")
        return self._answers.pop(0)

    def verify_done(self) -> None:
        """LOGIN proves nothing about the server: TLS has to."""
