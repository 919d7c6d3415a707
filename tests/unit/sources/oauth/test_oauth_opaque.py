"""Tokens that are asked about: what is asked, what is made of the answer, how long it holds."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import BearerToken, TokenTerms
from mailframe.runtime.aio import as_deferred
from mailframe.sources.oauth.checker import TokenChecker
from mailframe.sources.oauth.opaque import Introspection, OpaqueTokens
from tests.unit.accounts.house import now
from tests.unit.sources.oauth.issuer import START, Web, claims, token, wanted

URL = "https://idp.test/introspect"
ABOUT = "https://oauth2.test/tokeninfo?access_token="


@pytest.fixture
def web() -> Web:
    made = Web()
    made.pages[URL] = {"active": True, **claims()}
    return made


def tokens(web: Web, place: Introspection | None = None, **options: Any) -> OpaqueTokens:
    settings = {"cache_seconds": 60.0, "cache_entries": 3} | options.pop("cache", {})
    return OpaqueTokens(
        place or Introspection(url=URL),
        wanted(**options),
        fetcher=web,  # type: ignore[arg-type]
        clock=web.clock,
        **settings,
    )


def refusal(made: OpaqueTokens, offered: str = "t") -> str:
    with pytest.raises(LoginFailed) as caught:
        now(made.account(offered))
    return caught.value.detail


def test_what_is_asked(web: Web) -> None:
    assert now(tokens(web).account("t.u~v")) == "ann@example.test"
    assert web.forms == [({"token": "t.u~v", "token_type_hint": "access_token"}, "")]


def test_the_client_says_who_it_is(web: Web) -> None:
    place = Introspection(url=URL, client_id="mail:frame", client_secret="a b%ü")
    now(tokens(web, place).account("t"))
    [(form, authorization)] = web.forms
    # RFC 6749 section 2.3.1: mail%3Aframe:a+b%25%C3%BC
    assert authorization == "Basic bWFpbCUzQWZyYW1lOmErYiUyNSVDMyVCQw=="
    assert "client_id" not in form
    place = Introspection(url=URL, client_id="mf", client_secret="s", authentication="post")
    now(tokens(web, place).account("t"))
    form, authorization = web.forms[-1]
    assert authorization == ""
    assert (form["client_id"], form["client_secret"]) == ("mf", "s")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "knows no such token"),
        ({"exp": START - 60}, "has expired"),
        ({"exp": None}, "no expiry"),
        ({"nbf": START + 60}, "not valid yet"),
        ({"iss": "https://evil.test"}, "another issuer's"),
        ({"aud": "other"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"scope": "openid"}, "lacks the scope"),
        ({"email": None}, "no claim email"),
        ({"email": "ann@other.test"}, "a domain that is not"),
        ({"typ": "Refresh"}, "of the kind Refresh"),
    ],
)
def test_what_is_wrong_with_it(web: Web, changes: dict[str, Any], reason: str) -> None:
    web.pages[URL] = {"active": True, **claims(**changes)}
    assert reason in refusal(tokens(web))


def test_an_answer_need_not_name_the_issuer(web: Web) -> None:
    web.pages[URL] = {"active": True, **claims(iss=None)}
    assert now(tokens(web).account("t"))


@pytest.mark.parametrize("answer", [401, 403, 404, 500, 302, {}, {"active": "true"}, {"active": 1}])
def test_what_says_nothing_about_the_token(web: Web, answer: object) -> None:
    web.pages[URL] = answer
    with pytest.raises(TransientFailure) as caught:
        now(tokens(web).account("t"))
    assert caught.value.reply.code == 454
    web.pages[URL] = {"active": True, **claims()}
    assert now(tokens(web).account("t"))


def test_down_and_up_again(web: Web) -> None:
    made = tokens(web)
    web.is_down = True
    for _ in range(3):
        with pytest.raises(TransientFailure):
            now(made.account("t"))
    web.is_down = False
    assert now(made.account("t"))
    web.is_down = True
    assert now(made.account("t"))
    web.clock.advance(60)
    with pytest.raises(TransientFailure):
        now(made.account("t"))


def test_an_answer_holds_for_a_while(web: Web) -> None:
    made = tokens(web)
    for _ in range(5):
        now(made.account("t"))
    assert web.asked == [URL]
    web.clock.advance(59)
    now(made.account("t"))
    assert web.asked == [URL]
    web.clock.advance(1)
    now(made.account("t"))
    assert web.asked == [URL] * 2


def test_and_never_longer_than_the_token(web: Web) -> None:
    web.pages[URL] = {"active": True, **claims(exp=START + 20)}
    made = tokens(web)
    now(made.account("t"))
    web.clock.advance(20)
    web.pages[URL] = {"active": False}
    refusal(made)


def test_a_refusal_holds_for_seconds(web: Web) -> None:
    web.pages[URL] = {"active": False}
    made = tokens(web)
    for _ in range(5):
        refusal(made)
    assert web.asked == [URL]
    web.pages[URL] = {"active": True, **claims()}
    refusal(made)
    web.clock.advance(10)
    assert now(made.account("t"))


def test_nothing_is_remembered_where_nothing_is_to_be(web: Web) -> None:
    made = tokens(web, cache={"cache_seconds": 0.0})
    for _ in range(3):
        now(made.account("t"))
    assert web.asked == [URL] * 3
    assert made._cache == {}


def test_what_is_remembered_is_bounded_and_holds_no_token(web: Web) -> None:
    made = tokens(web)
    for number in range(20):
        now(made.account(f"secret{number}"))
    assert len(made._cache) == 3
    assert "secret" not in repr(made._cache)


def test_the_same_token_is_asked_about_once_at_a_time(web: Web) -> None:
    made = tokens(web, cache={"cache_seconds": 0.0})
    gate = web.gate = Deferred()
    waiting = [as_deferred(made.account("t")) for _ in range(20)]
    waiting[0].addErrback(lambda _: None)
    waiting[0].cancel()
    gate.callback(None)
    assert [now(each) for each in waiting[1:]] == ["ann@example.test"] * 19
    assert web.asked == [URL]


def test_so_many_are_asked_about_at_a_time(web: Web) -> None:
    made = tokens(web)
    gate = web.gate = Deferred()
    waiting = [as_deferred(made.account(f"t{number}")) for number in range(50)]
    with pytest.raises(TransientFailure):
        now(made.account("one too many"))
    gate.callback(None)
    assert len({now(each) for each in waiting}) == 1
    assert len(web.asked) == 50
    assert len(made._flights) == 0


def test_an_error_of_our_own_reaches_those_who_wait(web: Web) -> None:
    made = tokens(web)
    web.pages[URL] = lambda form: 1 / 0
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            now(made.account("t"))
    assert len(made._flights) == 0


# As Google has it


@pytest.fixture
def google(web: Web) -> OpaqueTokens:
    place = Introspection(url=ABOUT.partition("?")[0], kind="tokeninfo")
    return tokens(web, place, issuer="", audience={"123.apps.test"}, scopes=("https://mail.test/",))


def test_tokeninfo(web: Web, google: OpaqueTokens) -> None:
    web.pages[f"{ABOUT}t"] = {
        "aud": "123.apps.test",
        "exp": str(int(START + 100)),
        "scope": "openid https://mail.test/",
        "email": "ann@example.test",
        "email_verified": "true",
    }
    assert now(google.account("t")) == "ann@example.test"
    web.pages[f"{ABOUT}u"] = {**web.pages[f"{ABOUT}t"], "email_verified": "false"}
    assert "not verified" in refusal(google, "u")
    web.pages[f"{ABOUT}v"] = {**web.pages[f"{ABOUT}t"], "aud": "another"}
    assert "another audience" in refusal(google, "v")


@pytest.mark.parametrize("code", [400, 401])
def test_tokeninfo_of_none(web: Web, google: OpaqueTokens, code: int) -> None:
    web.pages[f"{ABOUT}t"] = code
    assert "knows no such token" in refusal(google)


def test_tokeninfo_that_is_down(web: Web, google: OpaqueTokens) -> None:
    web.pages[f"{ABOUT}t"] = 503
    with pytest.raises(TransientFailure):
        now(google.account("t"))


def test_a_token_does_not_get_out_of_its_place_in_the_url(web: Web, google: OpaqueTokens) -> None:
    with pytest.raises(TransientFailure):
        now(google.account("t+/="))
    assert web.asked == [f"{ABOUT}t%2B%2F%3D"]


# The checker over it


def test_without_an_issuer_signed_tokens_are_asked_about_too(web: Web) -> None:
    made = TokenChecker(
        "oauth:test", wanted(), terms=TokenTerms(), clock=web.clock, opaque=tokens(web)
    )
    assert now(made.requestAvatarId(BearerToken(b"ann", token()))) == b"ann@example.test"
    assert web.asked == [URL]
    with pytest.raises(LoginFailed):
        now(made.requestAvatarId(BearerToken(b"bob", "t")))
    assert "t" not in repr(made).replace("oauth:test", "")
