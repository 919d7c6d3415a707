"""Access tokens that are JWTs: proved by their signature, here, without asking anybody.

A signature takes some tenths of a millisecond, for a token of bounded size and with keys of
bounded sizes, which is less than a thread would cost; and a pool that waits for other sources
must not hold up logins that wait for nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any

import jwt

from mailframe.errors import LoginFailed
from mailframe.sources.oauth.claims import (
    Wanted,
    check_kind,
    check_origin,
    check_purpose,
    expiry,
)
from mailframe.sources.oauth.issuer_keys import IssuerKeys
from mailframe.sources.oauth.keys import Key

_SIGNATURES = jwt.PyJWS()
_KINDS = ("jwt", "at+jwt", "application/at+jwt")


def header_of(token: str) -> dict[str, Any] | None:
    """The JOSE header of a token that has the form of a signed JWT, else None. Nothing in it is
    proved."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header = json.loads(_octets(parts[0]))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) and "alg" in header else None


async def proved_claims(
    token: str,
    header: Mapping[str, Any],
    keys: IssuerKeys,
    wanted: Wanted,
    algorithms: Collection[str],
    now: float,
) -> dict[str, Any]:
    """Of a token that is the issuer's, for us and valid. Raises LoginFailed, and
    TransientFailure where the issuer's keys are not known and cannot be fetched."""
    algorithm, id = header["alg"], header.get("kid", "")
    # RFC 8725 section 3.1: our list decides, never the token.
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise LoginFailed(f"the token is signed with {ascii(algorithm)[:40]}")
    if not isinstance(id, str):
        raise LoginFailed("the token's key id is no text")
    # RFC 8725 section 3.11, RFC 9068 section 4: what is signed for another purpose says so.
    if str(header.get("typ", "JWT")).lower() not in _KINDS:
        raise LoginFailed("the token is a JWT of another kind")
    # What a look inside tells is asked first: whoever is to make us fetch keys has to have a token
    # that is not over and says that it is this issuer's.
    _check(_payload(token), wanted, now)
    for key in await keys.fitting(id, algorithm):
        claims = _verified(token, key, algorithm)
        if claims is not None:
            _check(claims, wanted, now)
            return claims
    raise LoginFailed("the token is signed by none of the issuer's keys")


def _check(claims: Mapping[str, Any], wanted: Wanted, now: float) -> None:
    check_kind(claims)
    check_origin(claims, wanted, must_name=True)
    check_purpose(claims, wanted)
    expiry(claims, wanted, now)


def _payload(token: str) -> dict[str, Any]:
    try:
        octets = _octets(token.split(".")[1])
    except ValueError:
        raise LoginFailed("the token is malformed") from None
    return _claims(octets)


def _octets(part: str) -> bytes:
    """RFC 7515 section 2: base64url without padding. Raises ValueError."""
    return base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)


def _verified(token: str, key: Key, algorithm: str) -> dict[str, Any] | None:
    """The claims, of the octets that were signed; None where this key did not sign them."""
    try:
        made = _SIGNATURES.decode_complete(token, key.public, [algorithm])
    except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
        return None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise LoginFailed(f"the token is malformed: {type(error).__name__}") from None
    return _claims(made["payload"])


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        raise LoginFailed("the token's claims are no JSON") from None
    if not isinstance(claims, dict):
        raise LoginFailed("the token's claims are no object")
    return claims
