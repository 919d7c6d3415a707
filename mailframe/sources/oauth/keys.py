"""An issuer's public keys, as a JSON Web Key Set has them (RFC 7517, RFC 7518, RFC 8037).

Only what verifies signatures is taken: no shared secrets, no keys for encryption, no RSA key of
a size that is too small to trust or so large that it would cost us time. The private half, where
somebody published it, is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

_OF_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
# RFC 7518 section 3.1, RFC 8037 section 3.1: kind of key and curve -> what it may be used with.
# RFC 8725 section 3.1: a key is for one kind of algorithm, whatever a token says.
_ALGORITHMS = {
    ("RSA", ""): _OF_RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
ALGORITHMS = frozenset().union(*_ALGORITHMS.values())
"""Those that there are: all of them with a public key."""
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_RSA_BITS = range(2048, 8193)
_RSA_EXPONENTS = range(3, 1 << 32)
_MOST_KEYS = 100
_LONGEST_ID = 256


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    """Empty: it has none."""
    algorithms: frozenset[str]
    public: Any
    """An object of ``cryptography``'s."""


def read_keys(key_set: Mapping[str, Any], allowed: Iterable[str]) -> tuple[Key, ...]:
    """Those that verify one of the algorithms; all others are passed over. Raises ValueError
    where there is no set."""
    listed = key_set.get("keys")
    if not isinstance(listed, list):
        raise ValueError("a key set has a list of keys")
    wanted = frozenset(allowed)
    read = (_key(each, wanted) for each in listed[:_MOST_KEYS] if isinstance(each, dict))
    return tuple(key for key in read if key is not None)


def _key(facts: Mapping[str, Any], allowed: frozenset[str]) -> Key | None:
    kind = facts.get("kty")
    curve = "" if kind == "RSA" else facts.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str):
        return None
    algorithms = _ALGORITHMS.get((kind, curve), frozenset()) & allowed
    if isinstance(facts.get("alg"), str):
        algorithms &= {facts["alg"]}
    if not algorithms or not _is_for_signatures(facts):
        return None
    public = _public({name: facts.get(name) for name in ("kty", *_PUBLIC[kind])}, min(algorithms))
    id = facts.get("kid", "")
    if public is None or not isinstance(id, str) or len(id) > _LONGEST_ID:
        return None
    return Key(id, algorithms, public)


def _is_for_signatures(facts: Mapping[str, Any]) -> bool:
    operations = facts.get("key_ops")
    verifies = not isinstance(operations, list) or "verify" in operations
    return facts.get("use", "sig") == "sig" and verifies


def _public(facts: dict[str, Any], algorithm: str) -> Any:
    try:
        public: Any = jwt.PyJWK(facts, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if facts["kty"] == "RSA":
        exponent = public.public_numbers().e
        if public.key_size not in _RSA_BITS or exponent not in _RSA_EXPONENTS:
            return None
    return public
