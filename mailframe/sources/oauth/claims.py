"""What is known of a token, held against what is wanted: by whom, for whom, until when, for what.

The same for the claims of a JWT (RFC 7519 section 4.1) and for the answer to an introspection
(RFC 7662 section 2.2). LoginFailed says what is wrong, for the journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mailframe.errors import LoginFailed

_OTHER_KINDS = ("ID", "Refresh", "Offline", "Logout")  # as Keycloak marks its tokens
_LONGEST_NAME = 320  # octets: no address is longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    issuer: str
    """Empty: whoever it is."""
    audience: Collection[str]
    """One of these; empty: any."""
    scopes: Collection[str]
    """All of these."""
    leeway: float
    """Seconds by which clocks may differ."""
    account_claim: str
    """Which claim names the account."""
    domains: Collection[str]
    """Of the accounts that this issuer may vouch for: A-labels in lower case."""
    account_of: Callable[[str], str | None]
    """From a name to that of an account, ``local-part@domain``; None: it names none."""


def expiry(claims: Mapping[str, Any], wanted: Wanted, now: float) -> float:
    """When the token is over, in seconds since 1970. Raises LoginFailed where it is, or is not yet
    valid."""
    until = _time(claims, "exp")
    if until is None:
        raise LoginFailed("the token has no expiry")
    if now >= until + wanted.leeway:
        raise LoginFailed("the token has expired")
    for name in ("nbf", "iat"):
        begin = _time(claims, name)
        if begin is not None and now < begin - wanted.leeway:
            raise LoginFailed(f"the token is not valid yet ({name})")
    return until


def check_origin(claims: Mapping[str, Any], wanted: Wanted, *, must_name: bool) -> None:
    """``must_name``: a token of an unnamed issuer is refused, too."""
    issuer = claims.get("iss")
    if wanted.issuer and issuer != wanted.issuer and (must_name or issuer is not None):
        raise LoginFailed("the token is another issuer's")


def check_kind(claims: Mapping[str, Any]) -> None:
    """Whether it is an access token, and one that whoever has it may use."""
    if claims.get("typ") in _OTHER_KINDS:
        raise LoginFailed(f"the token is no access token but of the kind {claims['typ']}")
    # RFC 7800 section 3, RFC 8705, RFC 9449: it is worth nothing without a proof of possession,
    # and SASL has no place for one.
    if "cnf" in claims:
        raise LoginFailed("the token is bound to a key, which nobody can prove here")


def check_purpose(claims: Mapping[str, Any], wanted: Wanted) -> None:
    if wanted.audience and not _words(claims.get("aud"), split=False) & set(wanted.audience):
        raise LoginFailed("the token is for another audience")
    # RFC 8693 section 4.2; Microsoft's are in ``scp``.
    scopes = _words(claims.get("scope")) | _words(claims.get("scp"))
    missing = [scope for scope in wanted.scopes if scope not in scopes]
    if missing:
        raise LoginFailed(f"the token lacks the scope {' '.join(missing)}")


def account(claims: Mapping[str, Any], wanted: Wanted) -> str:
    """Whose the token is."""
    name = claims.get(wanted.account_claim)
    if not isinstance(name, str) or not name:
        raise LoginFailed(f"the token has no claim {wanted.account_claim}")
    # OpenID Connect Core 1.0 section 5.1: False where nobody knows whether the user gets mail there
    if wanted.account_claim == "email" and claims.get("email_verified", True) is not True:
        raise LoginFailed("the token's address is not verified")
    found = wanted.account_of(name) if len(name) <= _LONGEST_NAME else None
    if found is None:
        raise LoginFailed("the token's name is that of no account")
    # Names are compared case-folded, which makes an S of a long one and a K of the sign for kelvin:
    # whoever may choose such a name at the issuer must not become somebody else here.
    local_part = name.rpartition("@")[0] or name
    if found.rpartition("@")[0].isascii() and not local_part.isascii():
        raise LoginFailed("the token's name is one that only folds to an account's")
    if found.rpartition("@")[2] not in wanted.domains:
        raise LoginFailed("the token is for an account at a domain that is not its issuer's")
    return found


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number of thousands of digits
        pass
    raise LoginFailed(f"the token's {name} is no time")


def _words(value: Any, *, split: bool = True) -> set[str]:
    """Of a string, or of a list of strings."""
    if isinstance(value, str):
        return set(value.split(" ")) if split else {value}
    if isinstance(value, list):
        return {each for each in value if isinstance(each, str)}
    return set()
