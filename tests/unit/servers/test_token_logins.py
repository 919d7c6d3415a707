"""Access tokens over SMTP, POP3 and IMAP: the door opens, or says why in one more challenge."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import LoginFailed, LoginThrottled, TransientFailure
from mailframe.interfaces import IBearerToken, TokenTerms
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs import smtp_world
from tests.unit.servers import imap_house, pop3_house

MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
BY_NAME = pytest.mark.parametrize("name", MECHANISMS)
PLACE = "https://idp.test/.well-known/openid-configuration"
DOWN = TransientFailure(Reply(454, status.SECURITY_OTHER, "Temporary authentication failure"), "x")
TOLD = {
    "OAUTHBEARER": {"status": "invalid_token", "scope": "mail", "openid-configuration": PLACE},
    "XOAUTH2": {"status": "401", "schemes": "bearer", "scope": "mail"},
}


def message(name: str, token: str, login: str = "ann@local.test") -> str:
    head = f"n,a={login},\x01" if name == "OAUTHBEARER" else f"user={login}\x01"
    return base64.b64encode(f"{head}auth=Bearer {token}\x01\x01".encode()).decode()


class Tokens:
    """``good`` is a token; any other is whatever ``error`` says."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.error: Exception = LoginFailed("no such token")
        self.offered: list[tuple[bytes, str]] = []

    def __call__(self, credentials: Any, session: Any) -> Deferred[Any]:
        assert IBearerToken.providedBy(credentials)
        self.offered.append((credentials.username, credentials.token))
        if credentials.token == "good":
            return succeed(self.account())
        return fail(self.error)


def told(line: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(base64.b64decode(line.strip().split(b" ", 1)[1]))
    return found


class Smtp:
    """The three have the same questions asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
        class TokenTable(smtp_world.PasswordTable):
            mechanisms = frozenset(MECHANISMS)
            token_terms = TokenTerms("mail", PLACE)

        monkeypatch.setattr(smtp_world, "PasswordTable", TokenTable)
        settings = {"tarpit": 0, "allow_plaintext": True} | limits
        self.world = smtp_world.World(limits=SmtpLimits(**settings))
        self.tokens = Tokens(lambda: smtp_world.Account("ann@local.test"))
        monkeypatch.setattr(self.world.authenticator, "login", self.tokens)
        self.peer = self.world.connect()
        self.greeting = self.peer.ask(b"EHLO x\r\n")

    def begin(self, name: str, initial: str = "") -> bytes:
        return self.peer.ask(f"AUTH {name} {initial}".strip().encode() + b"\r\n")

    def go_on(self, line: str) -> bytes:
        return self.peer.ask(line.encode() + b"\r\n")

    def in_journal(self) -> list[dict[str, Any]]:
        return self.world.journal.steps("login")

    def offers(self) -> bytes:
        return self.peer.ask(b"EHLO x\r\n")

    ASKS = b"334 "
    NO = b"535 5.7.8 "
    YES = b"235 2.7.0 "
    DOWN = b"454 4.7.0 "
    MALFORMED = b"501 5.5."
    UNAVAILABLE = b"538 "


class Pop3:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
        self.house = pop3_house.House(mechanisms=MECHANISMS, limits=limits)
        self.tokens = Tokens(lambda: pop3_house.Account(self.house.store))
        self.house.authenticator.token_terms = TokenTerms("mail", PLACE)  # type: ignore[attr-defined]
        monkeypatch.setattr(self.house.authenticator, "login", self.tokens)
        self.client = self.house.client()

    def begin(self, name: str, initial: str = "") -> bytes:
        return self.client.say(f"AUTH {name} {initial}".strip())

    def go_on(self, line: str) -> bytes:
        return self.client.say(line)

    def in_journal(self) -> list[dict[str, Any]]:
        records = self.house.journal.records
        return [{"result": r, **facts} for step, r, facts in records if step == "login"]

    def offers(self) -> bytes:
        return self.client.say("CAPA")

    ASKS = b"+ "
    NO = b"-ERR [AUTH] "
    YES = b"+OK "
    DOWN = b"-ERR [SYS/TEMP] "
    MALFORMED = b"-ERR "
    UNAVAILABLE = b"-ERR "


class Imap:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
        self.house = imap_house.House(mechanisms=MECHANISMS, limits=limits)
        self.tokens = Tokens(lambda: imap_house.Account(self.house.store))
        self.house.authenticator.token_terms = TokenTerms("mail", PLACE)  # type: ignore[attr-defined]
        monkeypatch.setattr(self.house.authenticator, "login", self.tokens)
        self.client = self.house.client(login=False)

    def begin(self, name: str, initial: str = "") -> bytes:
        return self.client.send(f"a AUTHENTICATE {name} {initial}".strip().encode() + b"\r\n")

    def go_on(self, line: str) -> bytes:
        return self.client.send(line.encode() + b"\r\n")

    def in_journal(self) -> list[dict[str, Any]]:
        records = self.house.journal.records
        return [{"result": r, **facts} for step, r, facts in records if step == "login"]

    def offers(self) -> bytes:
        return self.client.send(b"c CAPABILITY\r\n")

    ASKS = b"+ "
    NO = b"a NO [AUTHENTICATIONFAILED] "
    YES = b"a OK [CAPABILITY "
    DOWN = b"a NO [UNAVAILABLE] "
    MALFORMED = b"a BAD "
    UNAVAILABLE = b"a NO [PRIVACYREQUIRED] "


Door = Smtp | Pop3 | Imap


@pytest.fixture(params=[Smtp, Pop3, Imap], ids=["smtp", "pop3", "imap"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def door(kind: Any, monkeypatch: pytest.MonkeyPatch) -> Door:
    made: Door = kind(monkeypatch)
    return made


def test_they_are_offered(door: Door) -> None:
    assert door.offers().count(b"OAUTHBEARER") == door.offers().count(b"XOAUTH2") == 1


def test_without_tls_they_are_neither_offered_nor_taken(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = kind(monkeypatch, allow_plaintext=False)
    assert b"OAUTH" not in door.offers()
    assert door.begin("XOAUTH2", message("XOAUTH2", "good")).startswith(kind.UNAVAILABLE)
    assert door.tokens.offered == []


@BY_NAME
def test_with_an_initial_response(door: Door, name: str) -> None:
    assert door.begin(name, message(name, "good")).startswith(door.YES)
    assert door.tokens.offered == [(b"ann@local.test", "good")]
    [login] = door.in_journal()
    assert (login["result"], login["mechanism"]) == ("ok", name)
    assert "good" not in str(login)


@BY_NAME
def test_without_an_initial_response(door: Door, name: str) -> None:
    assert door.begin(name).rstrip() == door.ASKS.rstrip()
    assert door.go_on(message(name, "good")).startswith(door.YES)


@BY_NAME
@pytest.mark.parametrize("answer", ["AQ==", "", "*", "no base64", "QUFB" * 100])
def test_a_refused_token(door: Door, name: str, answer: str) -> None:
    said = door.begin(name, message(name, "bad"))
    assert said.startswith(door.ASKS)
    assert said.count(b"\r\n") == 1
    assert told(said) == TOLD[name]
    # Already now: a client that goes away is journalled all the same.
    [failed] = door.in_journal()
    assert failed["result"] == "failed"
    assert (failed["account"], failed["mechanism"]) == ("ann@local.test", name)
    assert failed["reason"] == "no such token"
    assert "bad" not in str(failed)
    said = door.go_on(answer)
    if isinstance(door, Smtp) and answer in ("*", "no base64"):
        assert said.startswith(b"501 ")  # RFC 4954 section 4, whatever the mechanism
    else:
        assert said.startswith(door.NO)
    assert len(door.in_journal()) == 1
    assert door.begin(name, message(name, "good")).startswith(door.YES)


@BY_NAME
def test_a_refused_token_without_an_initial_response(door: Door, name: str) -> None:
    door.begin(name)
    said = door.go_on(message(name, "bad"))
    assert told(said) == TOLD[name]
    assert door.go_on("AQ==").startswith(door.NO)


@BY_NAME
@pytest.mark.parametrize("error", [DOWN, LoginThrottled("x")])
def test_what_is_temporary_is_said_at_once(door: Door, name: str, error: Exception) -> None:
    door.tokens.error = error
    assert door.begin(name, message(name, "bad")).startswith(door.DOWN)


@BY_NAME
def test_a_malformed_message_is_no_attempt(door: Door, name: str) -> None:
    nonsense = base64.b64encode(b"user=ann\x01\x01").decode()
    assert door.begin(name, nonsense).startswith(door.MALFORMED)
    assert door.tokens.offered == []


def test_a_token_as_long_as_they_come(door: Door) -> None:
    token = "t" * 8000
    said = door.begin("XOAUTH2", message("XOAUTH2", token))
    assert said.startswith(door.ASKS)
    assert door.tokens.offered == [(b"ann@local.test", token)]


def test_one_that_is_too_long(door: Door) -> None:
    said = door.begin("XOAUTH2", message("XOAUTH2", "t" * 12_500))
    assert not said.startswith(door.ASKS)
    assert door.tokens.offered == []


def test_what_is_pipelined_after_a_bad_token_is_the_answer_to_the_challenge(door: Door) -> None:
    line = f"{message('XOAUTH2', 'bad')}\r\n{message('XOAUTH2', 'good')}"
    assert door.NO in door.begin("XOAUTH2", line)
    assert door.tokens.offered == [(b"ann@local.test", "bad")]


@pytest.mark.parametrize("kind", [Pop3, Imap], indirect=False)
def test_failures_are_counted(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    door = kind(monkeypatch)
    for _ in range(3):
        assert not door.client.closed
        door.begin("XOAUTH2", message("XOAUTH2", "bad"))
        door.go_on("")
    assert door.client.closed
