"""``[oauth.NAME]``: what is refused in it, and the checker that comes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from twisted.cred.checkers import ICredentialsChecker
from zope.interface.verify import verifyObject

from mailframe.accounts.errors import RealmError
from mailframe.app.config_oauth import AlgorithmName, OAuth
from mailframe.app.config_reading import Reader
from mailframe.app.config_section import Place
from mailframe.app.source_services import SourceServices
from mailframe.app.sources_of_oauth import oauth_checker
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import BearerToken, IBearerToken, ITokenTerms, TokenTerms
from mailframe.runtime.workers import InlineWorkers
from mailframe.sources.oauth.keys import ALGORITHMS
from tests.interop.peers.certificates import self_signed
from tests.unit.accounts.house import now
from tests.unit.sources.oauth.issuer import ISSUER, Web, claims, token

SIGNED: dict[str, Any] = {"issuer": ISSUER, "audience": ["mail"], "domains": ["example.test"]}
OPAQUE: dict[str, Any] = {
    "introspection_url": "https://idp.test/introspect",
    "client_id": "mailframe",
    "client_secret": "s",
    "scopes": ["mail"],
    "domains": ["example.test"],
}


def read(settings: dict[str, Any]) -> tuple[OAuth | None, list[str]]:
    reader = Reader(Place("/", {}))
    made = reader.section(OAuth, settings, ("oauth", "x"))
    return made, [f"{'.'.join(path)} {words}" for path, words in reader.problems]


def section(settings: dict[str, Any]) -> OAuth:
    made, problems = read(settings)
    assert made is not None, problems
    assert problems == []
    return made


def services(web: Web) -> SourceServices:
    return SourceServices(
        reactor=web.clock,
        workers=InlineWorkers(),
        resolver=None,  # type: ignore[arg-type]
        random=Random(1),
        default_domain="example.test",
    )


@pytest.mark.parametrize("settings", [SIGNED, OPAQUE, {**SIGNED, **OPAQUE}])
def test_what_is_enough(settings: dict[str, Any]) -> None:
    section(settings)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"domains": ["example.test"]}, "oauth.x set issuer, introspection_url, or both"),
        ({**SIGNED, "domains": []}, "oauth.x.domains must not be empty"),
        ({"issuer": ISSUER, "audience": ["m"]}, "oauth.x.domains "),
        ({**SIGNED, "audience": []}, "oauth.x.audience has to be set where there is an issuer"),
        ({**OPAQUE, "scopes": []}, "oauth.x.audience has to be set, or scopes"),
        ({**SIGNED, "issuer": "http://idp.test"}, "oauth.x.issuer 'http://idp.test' is not an"),
        ({**SIGNED, "jwks_uri": "idp.test/keys"}, "oauth.x.jwks_uri 'idp.test/keys' is not an"),
        ({**OPAQUE, "jwks_uri": "https://idp.test/k"}, "oauth.x.jwks_uri means nothing"),
        ({**SIGNED, "algorithms": ["HS256"]}, "oauth.x.algorithms "),
        ({**SIGNED, "algorithms": ["none"]}, "oauth.x.algorithms "),
        ({**SIGNED, "algorithms": []}, "oauth.x.algorithms must not be empty"),
        ({**SIGNED, "leeway": "6m"}, "oauth.x.leeway must be at most 5m"),
        ({**SIGNED, "client_id": "x"}, "oauth.x.client_id means nothing without"),
        ({**OPAQUE, "client_id": ""}, "oauth.x.client_id and client_secret go together"),
        ({**OPAQUE, "introspection": "tokeninfo"}, "oauth.x.client_id means nothing with"),
        ({**SIGNED, "account_claim": ""}, "oauth.x.account_claim must not be empty"),
        ({**SIGNED, "audiance": ["x"]}, "oauth.x.audiance unknown key"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], problem: str) -> None:
    _, problems = read(settings)
    assert any(each.startswith(problem) for each in problems), problems


def test_the_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(section({**OPAQUE, "client_secret": "hunter2"}))


def test_the_algorithms_are_those_that_there_are() -> None:
    assert set(get_args(AlgorithmName)) == ALGORITHMS


def test_the_checker_of_signed_tokens() -> None:
    web = Web()
    made: Any = oauth_checker("x", section({**SIGNED, "scopes": ["a", "mail"]}), services(web))
    verifyObject(ICredentialsChecker, made)
    verifyObject(ITokenTerms, made)
    assert made.credentialInterfaces == (IBearerToken,)
    assert made.terms == TokenTerms("a mail", f"{ISSUER}/.well-known/openid-configuration")
    assert made.name == "oauth:x"
    with pytest.raises(LoginFailed, match="not a signed one"):
        now(made.requestAvatarId(BearerToken(b"", "opaque")))


def test_the_checker_does_what_the_section_says(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web()
    web.pages["https://idp.test/introspect"] = {
        "active": True, **claims(aud="mail", email="bob@example.test")
    }  # fmt: skip
    monkeypatch.setattr("mailframe.sources.oauth.fetching.Fetcher", lambda *_, **__: web)
    made: Any = oauth_checker("x", section({**SIGNED, **OPAQUE, "cache": "1m"}), services(web))
    for name, offered in ((b"ann", token(aud="mail")), (b"bob", "opaque")):
        account = now(made.requestAvatarId(BearerToken(name, offered)))
        assert account == name + b"@example.test"
    assert web.forms[0][1] == "Basic bWFpbGZyYW1lOnM="
    with pytest.raises(LoginFailed, match="another audience"):
        now(made.requestAvatarId(BearerToken(b"ann", token(aud="other"))))
    web.is_down = True
    assert now(made.requestAvatarId(BearerToken(b"bob", "opaque")))
    web.clock.advance(60)
    with pytest.raises(TransientFailure):
        now(made.requestAvatarId(BearerToken(b"bob", "opaque")))
    web.is_down = False
    with pytest.raises(LoginFailed, match="the token is another"):
        now(made.requestAvatarId(BearerToken(b"ann", "opaque")))


def test_a_file_of_authorities(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, "idp.test")
    oauth_checker("x", section({**SIGNED, "ca_file": str(certificate)}), services(Web()))
    (tmp_path / "ca.pem").write_text("nonsense")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(RealmError, match=r"oauth\.x\.ca_file: "):
            oauth_checker(
                "x", section({**SIGNED, "ca_file": str(tmp_path / name)}), services(Web())
            )


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(RealmError, match=r"pip install 'mailframe\[oauth\]'"):
        oauth_checker("x", section(SIGNED), services(Web()))
