"""Signed tokens: which are taken, and every way in which one is not."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import BearerToken, TokenTerms
from mailframe.sources.oauth.checker import Signed, TokenChecker
from mailframe.sources.oauth.issuer_keys import IssuerKeys, KeyTimes
from mailframe.sources.oauth.signed import header_of
from tests.unit.accounts.house import now
from tests.unit.sources.oauth.issuer import (
    AUDIENCE,
    EC_KEY,
    ED_KEY,
    ISSUER,
    OTHER_RSA_KEY,
    RSA_KEY,
    START,
    Web,
    claims,
    public_jwk,
    token,
    wanted,
)

ALLOWED = ("RS256", "PS256", "ES256", "EdDSA")
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.fixture
def web() -> Web:
    made = Web()
    made.keys += [public_jwk(EC_KEY, "e"), public_jwk(ED_KEY, "d")]
    return made


def checker(web: Web, **changes: Any) -> TokenChecker:
    keys = IssuerKeys(
        ISSUER,
        "",
        algorithms=ALLOWED,
        fetcher=web,  # type: ignore[arg-type]
        clock=web.clock,
        times=KeyTimes(),
    )
    return TokenChecker(
        "oauth:test",
        wanted(**changes),
        terms=TokenTerms(),
        clock=web.clock,
        signed=Signed(keys, ALLOWED),
    )


def log_in(web: Web, offered: str, login: str = "ann@example.test", **changes: Any) -> str:
    found = now(checker(web, **changes).requestAvatarId(BearerToken(login.encode(), offered)))
    return found.decode()  # type: ignore[no-any-return]


def refusal(web: Web, offered: str, login: str = "ann@example.test", **changes: Any) -> str:
    with pytest.raises(LoginFailed) as caught:
        log_in(web, offered, login, **changes)
    assert offered not in str(caught.value)
    return caught.value.detail


def encoded(value: Any) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


@pytest.mark.parametrize(
    ("key", "id", "algorithm"),
    [
        (RSA_KEY, "one", "RS256"),
        (RSA_KEY, None, "RS256"),
        (RSA_KEY, "one", "PS256"),
        (EC_KEY, "e", "ES256"),
        (ED_KEY, "d", "EdDSA"),
    ],
)
def test_a_good_token(web: Web, key: Any, id: str | None, algorithm: str) -> None:
    assert log_in(web, token(key, id, algorithm)) == "ann@example.test"


@pytest.mark.parametrize("login", ["", "ann", "Ann@EXAMPLE.test", "ann@example.test"])
def test_who_the_client_says_it_is(web: Web, login: str) -> None:
    assert log_in(web, token(), login) == "ann@example.test"


@pytest.mark.parametrize(
    "login",
    [
        "bob@example.test",
        "ann@other.test",
        "ann+x@example.test",
        "ann@example.test ",
        "ann@example.test@example.test",
        "../../ann",
        "' OR 1=1 --",
        "a" * 10_000,
        "ann@example.test\0",
        "*",
    ],
)
def test_a_token_of_somebody_else(web: Web, login: str) -> None:
    assert refusal(web, token(), login) == "the token is another user's"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": START - 31}, "has expired"),
        ({"exp": START - 30}, "has expired"),
        ({"exp": None}, "no expiry"),
        ({"exp": "9999999999"}, "exp is no time"),
        ({"exp": True}, "exp is no time"),
        ({"exp": float("inf")}, "exp is no time"),
        ({"exp": 10**1000}, "exp is no time"),
        ({"nbf": START + 31}, "not valid yet (nbf)"),
        ({"iat": START + 31}, "not valid yet (iat)"),
        ({"nbf": {}}, "nbf is no time"),
        ({"iss": "https://evil.test"}, "another issuer's"),
        ({"iss": ISSUER + "/"}, "another issuer's"),
        ({"iss": None}, "another issuer's"),
        ({"iss": [ISSUER]}, "another issuer's"),
        ({"aud": "https://other.test"}, "another audience"),
        ({"aud": ["https://other.test", "x"]}, "another audience"),
        ({"aud": f"{AUDIENCE} x"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": {AUDIENCE: 1}}, "another audience"),
        ({"scope": "openid"}, "lacks the scope mail"),
        ({"scope": "openid mailbox"}, "lacks the scope mail"),
        ({"scope": None}, "lacks the scope mail"),
        ({"scope": 5, "scp": {"mail": 1}}, "lacks the scope mail"),
        ({"email": None}, "no claim email"),
        ({"email": ""}, "no claim email"),
        ({"email": ["ann@example.test"]}, "no claim email"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "true"}, "not verified"),
        ({"email": "ann@example.test\0"}, "that of no account"),
        ({"email": "ann@other.test@"}, "that of no account"),
        ({"email": "ſam@example.test"}, "only folds to an account's"),
        ({"email": "\N{KELVIN SIGN}im"}, "only folds to an account's"),
        ({"email": "a" * 400 + "@example.test"}, "that of no account"),
        ({"email": "ann@other.test"}, "a domain that is not its issuer's"),
        ({"email": "ann@sub.example.test"}, "a domain that is not its issuer's"),
        ({"typ": "ID"}, "of the kind ID"),
        ({"typ": "Refresh"}, "of the kind Refresh"),
        ({"cnf": {"jkt": "x"}}, "bound to a key"),
    ],
)
def test_what_is_wrong_in_it(web: Web, changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal(web, token(**changes), "")


def test_what_is_wrong_in_it_costs_no_fetch(web: Web) -> None:
    refusal(web, token(exp=START - 100))
    refusal(web, token(aud="other"))
    assert web.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": START - 29},
        {"exp": START + 0.5, "nbf": START + 30, "iat": START + 29.5},
        {"aud": ["x", AUDIENCE]},
        {"scope": None, "scp": "mail other"},
        {"scope": None, "scp": ["other", "mail"]},
        {"email_verified": True, "typ": "Bearer"},
        {"email": "ANN@Example.Test"},
        {"email": "ann"},
    ],
)
def test_what_is_right_all_the_same(web: Web, changes: dict[str, Any]) -> None:
    assert log_in(web, token(**changes)) == "ann@example.test"


def test_another_claim_names_the_account(web: Web) -> None:
    made = token(upn="ann@example.test", email="bob@example.test", email_verified=False)
    assert log_in(web, made, account_claim="upn") == "ann@example.test"
    assert "no claim upn" in refusal(web, token(), account_claim="upn")


def test_a_domain_in_two_spellings(web: Web) -> None:
    made = token(email="ann@παράδειγμα.test")
    assert log_in(web, made, "") == "ann@xn--hxajbheg2az3al.test"


# Signatures


def test_another_key_with_the_same_name(web: Web) -> None:
    assert "none of the issuer's keys" in refusal(web, token(OTHER_RSA_KEY))
    assert "none of the issuer's keys" in refusal(web, token(OTHER_RSA_KEY, None))


def test_a_token_that_was_changed(web: Web) -> None:
    head, _, signature = token().split(".")
    for payload in (claims(email="bob@example.test"), claims(exp=START + 9999)):
        assert "none of the issuer's keys" in refusal(web, f"{head}.{encoded(payload)}.{signature}")


def test_a_signature_that_was_changed(web: Web) -> None:
    head, payload, signature = token().split(".")
    for other in ("", signature[:-4], "A" * len(signature), signature[4:] + "AAAA", "!"):
        assert refusal(web, f"{head}.{payload}.{other}")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS384"])
def test_an_algorithm_that_is_not_on_the_list(web: Web, name: str) -> None:
    made = f"{encoded({'alg': name, 'kid': 'one'})}.{encoded(claims())}."
    assert "is signed with" in refusal(web, made)
    assert "is signed with" in refusal(web, made + "AAAA")


@pytest.mark.parametrize("secret", [PUBLIC_PEM, PUBLIC_PEM.strip(), b""])
def test_hmac_with_the_public_key_as_its_secret(web: Web, secret: bytes) -> None:
    import hashlib
    import hmac

    head = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded(claims())}"
    proof = encoded(hmac.digest(secret, head.encode(), hashlib.sha256))
    assert "is signed with 'HS256'" in refusal(web, f"{head}.{proof}")


def test_an_algorithm_of_another_kind_of_key(web: Web) -> None:
    made = token(EC_KEY, "one", "ES256")
    assert "none of the issuer's keys" in refusal(web, made)


@pytest.mark.parametrize("algorithm", [["RS256"], 5, None, {"RS256": 1}])
def test_an_algorithm_that_is_no_text(web: Web, algorithm: object) -> None:
    made = f"{encoded({'alg': algorithm, 'kid': 'one'})}.{encoded(claims())}.AAAA"
    assert "is signed with" in refusal(web, made)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kid": 5}, "no text"),
        ({"kid": None}, "no text"),
        ({"typ": "logout+jwt"}, "another kind"),
        ({"typ": "dpop+jwt"}, "another kind"),
        ({"crit": ["exp"], "exp": 1}, "malformed"),
        ({"crit": ["b64"], "b64": False}, "malformed"),
    ],
)
def test_headers_that_are_not_for_us(web: Web, header: dict[str, Any], reason: str) -> None:
    signature = token().split(".")[2]
    fields = {"alg": "RS256", "kid": "one", **header}
    assert reason in refusal(web, f"{encoded(fields)}.{encoded(claims())}.{signature}")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_keys_that_a_token_brings_along_are_not_looked_at(web: Web, name: str) -> None:
    brought: Any = public_jwk(OTHER_RSA_KEY, "one") if name == "jwk" else "https://evil.test/keys"
    made = token(OTHER_RSA_KEY, header={name: brought})
    assert "none of the issuer's keys" in refusal(web, made)
    assert not [url for url in web.asked if "evil" in url]


@pytest.mark.parametrize("kind", ["at+jwt", "JWT", "application/at+jwt"])
def test_kinds_that_are_for_us(web: Web, kind: str) -> None:
    assert log_in(web, token(header={"typ": kind}))


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"5", b"nonsense", b"\xff", b"[" * 9000, b'{"exp":' + b"9" * 5000 + b"}"],
)
def test_payloads_that_are_none(web: Web, payload: bytes) -> None:
    assert refusal(web, jwt.PyJWS().encode(payload, RSA_KEY, "RS256", {"kid": "one"}))


@pytest.mark.parametrize(
    "offered",
    [
        *("", "x", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30.e30", "é.é.é"),
        f"{encoded([1])}.e30.x",
        f"{encoded('alg')}.e30.x",
        f"{encoded(b'[' * 9000)}.e30.x",
    ],
)
def test_what_has_not_the_form_of_one(web: Web, offered: str) -> None:
    assert header_of(offered) is None
    with pytest.raises(LoginFailed, match="not a signed one"):
        log_in(web, offered)


@pytest.mark.parametrize("payload", ["", "!!!!", "a", "e30=", "é"])
def test_a_payload_that_is_no_base64(web: Web, payload: str) -> None:
    assert refusal(web, f"{encoded({'alg': 'RS256'})}.{payload}.AAAA")


# Where the issuer is down


def test_the_issuer_is_down(web: Web) -> None:
    web.is_down = True
    with pytest.raises(TransientFailure):
        log_in(web, token())


def test_with_its_keys_known_they_go_on(web: Web) -> None:
    made = checker(web)

    def ask(offered: str) -> Any:
        return now(made.requestAvatarId(BearerToken(b"", offered)))

    assert ask(token()) == b"ann@example.test"
    web.is_down = True
    assert ask(token(email="bob@example.test")) == b"bob@example.test"
    with pytest.raises(LoginFailed):
        ask(token(OTHER_RSA_KEY))
    web.clock.advance(31)
    with pytest.raises(TransientFailure):
        ask(token(OTHER_RSA_KEY, "two"))
