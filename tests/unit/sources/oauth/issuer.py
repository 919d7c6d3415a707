"""An issuer in memory: keys, tokens, and what answers instead of its web server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.accounts.names import login_key
from mailframe.sources.oauth.claims import Wanted
from mailframe.sources.oauth.fetching import Unavailable

ISSUER = "https://idp.test/realms/mail"
AUDIENCE = "https://mail.example.test"
START = 1_800_000_000.0

RSA_KEY = rsa.generate_private_key(65_537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65_537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
_KINDS = {
    rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
}


def public_jwk(key: Any, id: str, **more: Any) -> dict[str, Any]:
    kind = next(made for of, made in _KINDS.items() if isinstance(key, of))
    facts: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    facts.pop("key_ops", None)
    return {**facts, "kid": id, **more}


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token; None takes one away."""
    facts: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": START + 300,
        "iat": START,
        "scope": "openid mail",
        "email": "ann@example.test",
    }
    facts |= changes
    return {name: value for name, value in facts.items() if value is not None}


def token(
    key: Any = RSA_KEY,
    id: str | None = "one",
    algorithm: str = "RS256",
    header: Mapping[str, Any] | None = None,
    **changes: Any,
) -> str:
    fields = {**({"kid": id} if id is not None else {}), **(header or {})}
    payload = json.dumps(claims(**changes)).encode()
    return jwt.PyJWS().encode(payload, key, algorithm, fields)


def wanted(**changes: Any) -> Wanted:
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": {AUDIENCE},
        "scopes": ("mail",),
        "leeway": 30.0,
        "account_claim": "email",
        "domains": {"example.test", "xn--hxajbheg2az3al.test"},
        "account_of": lambda name: login_key(name, "example.test"),
    }
    return Wanted(**settings | changes)


class Web:
    """Takes the place of a Fetcher: ``pages`` by URL, an Exception to be raised, or a Deferred."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.keys: list[dict[str, Any]] = [public_jwk(RSA_KEY, "one")]
        self.pages: dict[str, Any] = {
            f"{ISSUER}/.well-known/openid-configuration": {
                "issuer": ISSUER,
                "jwks_uri": "https://idp.test/keys",
            }
        }
        self.asked: list[str] = []
        self.forms: list[tuple[dict[str, str], str]] = []
        self.is_down = False
        self.gate: Deferred[None] | None = None

    async def get(self, url: str) -> dict[str, Any]:
        code, answer = await self.ask(b"GET", url)
        if code != 200:
            raise Unavailable(f"HTTP {code}")
        return answer

    async def ask(
        self,
        method: bytes,
        url: str,
        form: Mapping[str, str] | None = None,
        authorization: str = "",
    ) -> tuple[int, dict[str, Any]]:
        self.asked.append(url)
        if form is not None:
            self.forms.append((dict(form), authorization))
        if self.gate is not None:
            await self.gate
        if self.is_down:
            raise Unavailable("connection refused")
        if url == "https://idp.test/keys":
            return 200, {"keys": self.keys}
        page = self.pages.get(url, 404)
        if callable(page):
            page = page(form)
        return (page, {}) if isinstance(page, int) else (200, page)

    def fetches(self) -> int:
        """Of the keys, since the last time."""
        count = self.asked.count("https://idp.test/keys")
        self.asked.clear()
        return count
