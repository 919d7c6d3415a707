"""Which keys of a key set are taken, and what for."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailframe.sources.oauth.keys import ALGORITHMS, read_keys
from tests.unit.sources.oauth.issuer import EC_KEY, ED_KEY, RSA_KEY, public_jwk

RSA_JWK = public_jwk(RSA_KEY, "r")
SMALL = rsa.generate_private_key(65_537, 1024)


def read(*keys: object, allowed: frozenset[str] = ALGORITHMS):
    return read_keys({"keys": list(keys)}, allowed)


def test_each_kind_is_for_its_own_algorithms() -> None:
    p384, p521 = (ec.generate_private_key(curve) for curve in (ec.SECP384R1(), ec.SECP521R1()))
    found = read(
        RSA_JWK,
        public_jwk(EC_KEY, "e"),
        public_jwk(p384, "3"),
        public_jwk(p521, "5"),
        public_jwk(ED_KEY, "d"),
    )
    assert {key.id: key.algorithms for key in found} == {
        "r": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        "e": {"ES256"},
        "3": {"ES384"},
        "5": {"ES512"},
        "d": {"EdDSA"},
    }


def test_nothing_in_the_list_has_a_shared_secret() -> None:
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]


def test_a_key_that_names_its_algorithm_is_for_that_one() -> None:
    [key] = read({**RSA_JWK, "alg": "PS384"})
    assert key.algorithms == {"PS384"}
    assert read({**RSA_JWK, "alg": "PS384"}, allowed=frozenset({"RS256"})) == ()
    assert read({**RSA_JWK, "alg": "HS256"}) == ()


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
        {**RSA_JWK, "use": "enc"},
        {**RSA_JWK, "key_ops": ["encrypt"]},
        {**RSA_JWK, "n": "AQAB"},
        {**RSA_JWK, "n": 5},
        {**RSA_JWK, "e": "AQ"},
        {key: value for key, value in RSA_JWK.items() if key != "n"},
        {**RSA_JWK, "kid": ["r"]},
        {**RSA_JWK, "kid": "r" * 257},
        {**RSA_JWK, "kty": "EC"},
        {**RSA_JWK, "kty": ["RSA"]},
        public_jwk(SMALL, "small"),
        {**public_jwk(EC_KEY, "e"), "crv": "P-384"},
        {**public_jwk(EC_KEY, "e"), "crv": "secp256k1"},
        {**public_jwk(EC_KEY, "e"), "x": "AAAA"},
        {**public_jwk(ED_KEY, "d"), "x": "AAAA"},
        {**public_jwk(ED_KEY, "d"), "crv": "X25519"},
        {},
        "key",
        None,
        5,
    ],
)
def test_what_is_passed_over(jwk: object) -> None:
    found = read(jwk, public_jwk(ED_KEY, "good"))
    assert [key.id for key in found] == ["good"]


def test_an_enormous_modulus_is_passed_over() -> None:
    # Made up, for it takes minutes to make a real one: 16,384 bits, odd.
    assert read({**RSA_JWK, "n": "_" * 2730 + "_w"}) == ()


def test_the_private_half_is_not_looked_at() -> None:
    [key] = read({**RSA_JWK, "d": "nonsense", "p": 1})
    assert key.public.public_numbers() == RSA_KEY.public_key().public_numbers()


def test_a_set_is_read_only_so_far() -> None:
    assert len(read(*[{**RSA_JWK, "kid": str(n)} for n in range(500)])) == 100


@pytest.mark.parametrize("answer", [{}, {"keys": {}}, {"keys": "x"}])
def test_no_set_at_all(answer: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="list"):
        read_keys(answer, ALGORITHMS)
