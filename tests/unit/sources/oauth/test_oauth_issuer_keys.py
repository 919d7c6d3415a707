"""When an issuer is asked for its keys: at first, as they age, as they rotate, when it is down."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher

from mailframe.errors import TransientFailure
from mailframe.runtime.aio import as_deferred
from mailframe.sources.oauth.issuer_keys import IssuerKeys, KeyTimes
from mailframe.sources.oauth.keys import ALGORITHMS
from mailframe.sources.oauth.urls import configuration_url, is_https
from tests.unit.accounts.house import now
from tests.unit.sources.oauth.issuer import ISSUER, OTHER_RSA_KEY, Web, public_jwk


@pytest.fixture
def web() -> Web:
    return Web()


def keys_of(web: Web, jwks_uri: str = "", **times: float) -> IssuerKeys:
    return IssuerKeys(
        ISSUER,
        jwks_uri,
        algorithms=ALGORITHMS,
        fetcher=web,  # type: ignore[arg-type]
        clock=web.clock,
        times=KeyTimes(**{"refresh": 600.0, "retry": 30.0, "stale": 3600.0, **times}),
    )


def ids(keys: IssuerKeys, id: str = "one", algorithm: str = "RS256") -> list[str]:
    return [key.id for key in now(keys.fitting(id, algorithm))]


def rotate(web: Web) -> None:
    web.keys = [public_jwk(OTHER_RSA_KEY, "two")]


def test_by_discovery_and_once(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    assert web.asked == [configuration_url(ISSUER), "https://idp.test/keys"]
    assert ids(keys) == ["one"]
    assert ids(keys, "") == ["one"]
    assert ids(keys, "one", "ES256") == []
    assert web.fetches() == 1


def test_where_the_place_is_known(web: Web) -> None:
    assert ids(keys_of(web, "https://idp.test/keys")) == ["one"]
    assert web.asked == ["https://idp.test/keys"]


def test_an_unknown_key_is_looked_for_now_and_then(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    for number in range(100):
        assert ids(keys, f"unknown{number}") == []
    assert web.fetches() == 1
    web.clock.advance(30)
    for number in range(100):
        assert ids(keys, f"unknown{number}") == []
    assert web.fetches() == 1


def test_rotation_is_noticed_at_once(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    web.clock.advance(30)
    rotate(web)
    assert ids(keys, "two") == ["two"]
    assert ids(keys, "one") == []


def test_old_keys_are_renewed_while_nobody_waits(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    web.clock.advance(601)
    rotate(web)
    web.gate = Deferred()
    assert ids(keys) == ["one"]
    assert ids(keys) == ["one"]
    assert web.asked.count(configuration_url(ISSUER)) == 2
    web.gate.callback(None)
    web.gate = None
    assert ids(keys) == []
    assert ids(keys, "two") == ["two"]


def test_many_at_once_ask_once(web: Web) -> None:
    keys = keys_of(web)
    web.gate = Deferred()
    waiting = [as_deferred(keys.fitting("one", "RS256")) for _ in range(50)]
    waiting[0].addErrback(lambda _: None)
    waiting[0].cancel()
    gate, web.gate = web.gate, None
    gate.callback(None)
    assert [len(now(each)) for each in waiting[1:]] == [1] * 49
    assert web.fetches() == 1


def test_an_issuer_that_is_down_at_first(web: Web) -> None:
    keys = keys_of(web)
    web.is_down = True
    for _ in range(20):
        with pytest.raises(TransientFailure) as caught:
            ids(keys)
        assert caught.value.reply.code == 454
    assert web.asked == [configuration_url(ISSUER)]
    web.is_down = False
    web.clock.advance(4.9)
    with pytest.raises(TransientFailure):
        ids(keys)
    web.clock.advance(0.1)
    assert ids(keys) == ["one"]


def test_known_keys_go_on_while_it_is_down(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    web.is_down = True
    for _ in range(35):
        web.clock.advance(100)
        assert ids(keys) == ["one"]
    # What it would say of another key nobody knows.
    with pytest.raises(TransientFailure):
        ids(keys, "two")
    web.clock.advance(101)
    with pytest.raises(TransientFailure):
        ids(keys)
    web.is_down = False
    web.clock.advance(5)
    assert ids(keys) == ["one"]


def test_the_log_says_once_that_it_is_down_and_once_that_it_is_back(web: Web) -> None:
    said: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event["log_namespace"].startswith("mailframe.sources.oauth"):
            said.append(f"{event['log_level'].name} {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    try:
        keys = keys_of(web)
        web.is_down = True
        for _ in range(5):
            with pytest.raises(TransientFailure, match="connection refused"):
                ids(keys)
            web.clock.advance(5)
        web.is_down = False
        for _ in range(3):
            assert ids(keys) == ["one"]
            web.clock.advance(700)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert said == [
        f"warn the issuer {ISSUER} cannot be asked: connection refused",
        f"info the issuer {ISSUER} answers again",
    ]


def test_a_clock_that_is_set_back(web: Web) -> None:
    keys = keys_of(web)
    assert ids(keys) == ["one"]
    web.clock.rightNow -= 10 * 86_400
    rotate(web)
    assert ids(keys, "two") == ["two"]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": ISSUER + "/", "jwks_uri": "https://idp.test/keys"},
        {"issuer": "https://evil.test", "jwks_uri": "https://idp.test/keys"},
        {"jwks_uri": "https://idp.test/keys"},
        {"issuer": ISSUER, "jwks_uri": "http://idp.test/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER, "jwks_uri": ["https://idp.test/keys"]},
        {"issuer": ISSUER},
        404,
        500,
        302,
    ],
)
def test_a_document_that_is_not_right(web: Web, document: object) -> None:
    web.pages[configuration_url(ISSUER)] = document
    with pytest.raises(TransientFailure):
        ids(keys_of(web))
    assert web.asked == [configuration_url(ISSUER)]


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "k": "AA"}], None])
def test_a_set_without_a_usable_key_replaces_nothing(web: Web, keys: object) -> None:
    made = keys_of(web)
    assert ids(made) == ["one"]
    web.keys = keys  # type: ignore[assignment]
    web.clock.advance(700)
    assert ids(made) == ["one"]
    assert ids(made) == ["one"]
    assert web.fetches() == 2


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://idp.test/keys", True),
        ("https://[::1]:8443/k?a=b", True),
        ("http://idp.test/keys", False),
        ("https://", False),
        ("https:///keys", False),
        ("https://user:pw@idp.test/keys", False),
        ("https://idp.test:0/", False),
        ("https://idp.test:99999/", False),
        ("https://idp.test/a b", False),
        ("https://idp.test/\r\nX: y", False),
        ("https://ίδρυμα.test/", False),
        ("ftp://idp.test/", False),
        ("", False),
        (None, False),
        (5, False),
    ],
)
def test_which_urls_may_be_asked(url: object, is_right: bool) -> None:
    assert is_https(url) is is_right


def test_the_place_of_the_document() -> None:
    assert configuration_url("https://a.test") == "https://a.test/.well-known/openid-configuration"
    assert configuration_url("https://a.test/x/").startswith("https://a.test/x/.well-known/")
