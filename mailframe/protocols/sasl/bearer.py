"""OAUTHBEARER (RFC 7628) and XOAUTH2: an access token travels, so never without TLS.

XOAUTH2 is what Google and Microsoft document for their servers: the same pairs without the
GS2 header. The mechanism reads the message and asks for the token to be checked. Where it is
refused, the client gets ``token_refusal`` as one more challenge, answers it with anything, and
only then is told that the login failed; whoever carries the exchange sees to that.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl.scram import decode_name
from mailframe.protocols.sasl.steps import MAX_FIELD, Challenge, CheckToken, Step, decode_login

TOKEN_MECHANISMS = frozenset({"OAUTHBEARER", "XOAUTH2"})
# RFC 4954 section 4: a line of SMTP's AUTH has 12,288 octets, of which base64 takes a quarter.
MAX_MESSAGE = 12_288
_MOST_PAIRS = 16
_SEPARATOR = "\x01"
_KEY = re.compile(r"[A-Za-z]{1,32}")
# RFC 6750 section 2.1, ``b64token``; the scheme's case means nothing (RFC 9110 section 11.1).
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)


class _TokenServer(ABC):
    """One message: pairs, and before them what ``_begins`` leaves out."""

    def __init__(self) -> None:
        self._asked = False
        self._done = False

    def step(self, response: bytes | None) -> Step:
        if self._done or (response is None and self._asked):
            raise LocalProtocolError("there is one message with a token")
        if response is None:
            self._asked = True
            return Challenge(b"")
        self._done = True
        return self._read(_text(response))

    def verifier(self, verifier: ScramVerifier) -> Step:
        raise LocalProtocolError("tokens need no verifier")

    @abstractmethod
    def _read(self, message: str) -> CheckToken:
        """What the client said. Raises RemoteProtocolError for what is no such message."""


class OAuthBearerServer(_TokenServer):
    """``n,a=LOGIN,^Ahost=...^Aport=...^Aauth=Bearer TOKEN^A^A``; the login may be missing.

    ``host`` and ``port`` are not looked at: a proxy in front has others than we know of.
    """

    def _read(self, message: str) -> CheckToken:
        # RFC 7628 section 3.1: client-resp = gs2-header kvsep *kvpair kvsep
        header, separator, pairs = message.partition(_SEPARATOR)
        fields = header.split(",")
        if not separator or len(fields) != 3 or fields[2]:
            raise RemoteProtocolError("the GS2 header is malformed")
        flag, authzid, _ = fields
        # There is no OAUTHBEARER-PLUS: nobody can bind to a channel here.
        if flag not in ("n", "y"):
            raise RemoteProtocolError("the channel binding flag is not for this mechanism")
        if authzid and not authzid.startswith("a="):
            raise RemoteProtocolError("the authorization identity is malformed")
        login = decode_name(authzid[2:])
        return CheckToken(_login(login), _token(_pairs(pairs)))


class XOAuth2Server(_TokenServer):
    """``user=LOGIN^Aauth=Bearer TOKEN^A^A``"""

    def _read(self, message: str) -> CheckToken:
        pairs = _pairs(message)
        return CheckToken(_login(pairs.get("user", "")), _token(pairs))


def token_refusal(mechanism: str, scope: str, openid_configuration: str) -> bytes:
    """The challenge that says why a token was not taken, as far as a client needs to know: what
    to get a better one for, and where. Empty values are left out."""
    if mechanism == "XOAUTH2":
        facts = {"status": "401", "schemes": "bearer", "scope": scope}
    else:
        # RFC 7628 section 3.2.2; the word is RFC 6750's (section 3.1), whatever was wrong.
        facts = {
            "status": "invalid_token",
            "scope": scope,
            "openid-configuration": openid_configuration,
        }
    said = {name: value for name, value in facts.items() if value}
    return json.dumps(said, separators=(",", ":")).encode()


def _text(octets: bytes) -> str:
    if len(octets) > MAX_MESSAGE:
        raise RemoteProtocolError(f"a message with a token is longer than {MAX_MESSAGE} octets")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise RemoteProtocolError("a message with a token is UTF-8") from None
    if "\0" in text:
        raise RemoteProtocolError("a message with a token holds no NUL")
    return text


def _pairs(text: str) -> dict[str, str]:
    """RFC 7628 section 3.1: kvpair = key "=" value kvsep, and one more separator at the end."""
    *lines, last, end = text.split(_SEPARATOR) if text.count(_SEPARATOR) else (text, "", "?")
    if last or end or len(lines) > _MOST_PAIRS:
        raise RemoteProtocolError("a message with a token ends with two separators")
    pairs: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals or not _KEY.fullmatch(key) or key.lower() in pairs:
            raise RemoteProtocolError("a pair is malformed or comes twice")
        pairs[key.lower()] = value
    return pairs


def _login(text: str) -> str:
    octets = text.encode()
    if len(octets) > MAX_FIELD:
        raise RemoteProtocolError(f"a name is longer than {MAX_FIELD} octets")
    return decode_login(octets) if octets else ""


def _token(pairs: dict[str, str]) -> str:
    match = _CREDENTIALS.fullmatch(pairs.get("auth", ""))
    if match is None:
        raise RemoteProtocolError("there is no bearer token")
    return match[1]
