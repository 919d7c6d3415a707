"""Questions to a web service and what its answers mean, without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IAgent
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.session import Role, Session
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.http_exchange import agent_for
from mailframe.runtime.login_client import note_client
from mailframe.sources.http.asking import LARGEST_ANSWER
from mailframe.sources.http.source import HttpSource, WebService
from tests.unit.accounts.house import now

ANN = Address("ann", "web.test")


class Response:
    def __init__(self, code: int, body: bytes, reason: Any = None) -> None:
        self.code = code
        self._body = body
        self._reason = reason or ResponseDone()

    def deliverBody(self, protocol: Any) -> None:
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(self._reason))


@implementer(IAgent)
class Agent:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[bytes, bytes, dict[bytes, list[bytes]], Any]] = []

    def request(self, method: bytes, uri: bytes, headers: Any, bodyProducer: Any) -> Deferred[Any]:
        written: list[bytes] = []
        if bodyProducer is not None:
            bodyProducer.startProducing(type("Sink", (), {"write": staticmethod(written.append)}))
            assert bodyProducer.length == len(b"".join(written))
        said = json.loads(b"".join(written)) if written else None
        self.asked.append((method, uri, dict(headers.getAllRawHeaders()), said))
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Deferred) else succeed(answer)


def source_of(agent: Agent, clock: Clock | None = None, **settings: Any) -> HttpSource:
    settings = {
        "check": [WebService("https://one.test/c")],
        "find": [WebService("https://one.test/f")],
    } | settings
    clock = clock or Clock()
    return HttpSource("http:x", agent, clock, domains=["web.test"], **settings)


def json_of(said: Any) -> Response:
    return Response(200, json.dumps(said).encode())


def test_a_password_is_asked_about_with_who_wants_to_know() -> None:
    agent = Agent(json_of({"account": "ann"}))
    source = source_of(agent, secret=("X-Secret", "s"))

    async def from_imap() -> str:
        note_client(Session("S", Role.IMAP, "imap", "192.0.2.1"))
        return await source.check("ann@web.test", "pä".encode())

    assert now(from_imap()) == "ann@web.test"
    method, url, headers, said = agent.asked[0]
    assert (method, url) == (b"POST", b"https://one.test/c")
    assert headers[b"X-Secret"] == [b"s"]
    assert said == {
        "login": "ann@web.test", "password": "pä", "protocol": "imap", "ip": "192.0.2.1",
        "tls": False,
    }  # fmt: skip


@pytest.mark.parametrize("code", [401, 403, 404, 204])
def test_no_is_a_wrong_password(code: int) -> None:
    with pytest.raises(LoginFailed):
        now(source_of(Agent(Response(code, b""))).check("ann", b"x"))


def test_a_disabled_account_and_no_question() -> None:
    with pytest.raises(LoginFailed):
        now(source_of(Agent(json_of({"enabled": False}))).check("ann@web.test", b"x"))
    for source, password in ((source_of(Agent(), check=[]), b"x"), (source_of(Agent()), b"\xff")):
        with pytest.raises(LoginFailed):
            now(source.check("ann@web.test", password))


@pytest.mark.parametrize("code", [404, 204])
def test_nobody(code: int) -> None:
    assert now(source_of(Agent(Response(code, b"x"))).find(ANN)) is None
    assert now(source_of(Agent(), find=[]).find(ANN)) is None


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, b"{}"),
        Response(401, b"{}"),
        Response(302, b"{}"),
        Response(200, b"nonsense"),
        Response(200, b"[]"),
        Response(200, b"[" * 100_000),
        Response(200, b'{"account": "ann"', ConnectionError("broke off")),
        Response(200, b"{" + b" " * LARGEST_ANSWER + b"}"),
        json_of({"unknown": 1}),
        json_of({"forward": "?"}),
    ],
)
def test_everything_else_is_trouble(answer: Response) -> None:
    with pytest.raises(TransientFailure):
        now(source_of(Agent(answer)).find(ANN))


def test_the_next_url_is_asked() -> None:
    agent = Agent(Response(500, b""), json_of({"quota": 5}))
    places = [WebService("https://one.test/f"), WebService("https://two.test/f")]
    found = now(source_of(agent, find=places).find(ANN))
    assert found is not None
    assert (found.account, found.quota) == ("ann@web.test", 5)
    assert [url for _, url, _, _ in agent.asked] == [b"https://one.test/f", b"https://two.test/f"]


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    clock = Clock()
    source = source_of(Agent(Deferred()), clock, timeout=3)
    errors: list[Any] = []
    Deferred.fromCoroutine(source.find(ANN)).addErrback(lambda f: errors.append(f.value))
    clock.advance(2.9)
    assert errors == []
    clock.advance(0.1)
    assert isinstance(errors[0], TransientFailure)


def test_an_address_is_quoted_in_a_get() -> None:
    agent = Agent(Response(404, b""))
    source = source_of(agent, find=[WebService("https://one.test/f?k=1")], find_method="GET")
    now(source.find(Address("a&b=ü/..", "web.test")))
    assert agent.asked[0][:2] == (
        b"GET",
        b"https://one.test/f?k=1&address=a%26b%3D%C3%BC%2F..%40web.test",
    )


def test_questions_wait_for_a_place_and_not_too_many_of_them() -> None:
    waiting: list[Deferred[Any]] = [Deferred(), Deferred()]
    agent = Agent(*waiting)
    source = source_of(agent, connections=1)
    first, second = (Deferred.fromCoroutine(source.find(ANN)) for _ in range(2))
    assert len(agent.asked) == 1
    waiting[0].callback(Response(404, b""))
    assert first.result is None
    assert len(agent.asked) == 2
    many = [Deferred.fromCoroutine(source.find(ANN)) for _ in range(26)]
    with pytest.raises(TransientFailure):
        now(many[-1])
    for each in (second, *many[:-1]):
        each.addErrback(lambda _: None).cancel()


def test_authorities_that_are_none_are_refused() -> None:
    for text in (b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ValueError, match="certificate"):
            agent_for(Clock(), 1, text)


def test_what_one_login_makes_of_the_service_is_not_for_all_of_them() -> None:
    agent = Agent(Response(400, b""), Response(200, b"x" * (LARGEST_ANSWER + 1)), json_of({}))
    source = source_of(agent)
    for _ in range(2):
        with pytest.raises(TransientFailure):
            now(source.check("odd@web.test", b"x"))
    assert now(source.check("ann@web.test", b"x")) == "ann@web.test"


def test_a_service_that_is_busy_is_left_alone_for_a_while() -> None:
    agent = Agent(Response(503, b""))
    source = source_of(agent)
    for _ in range(2):
        with pytest.raises(TransientFailure):
            now(source.check("ann@web.test", b"x"))
    assert len(agent.asked) == 1


def test_a_connection_that_does_not_come_about_in_time_is_a_service_that_is_down() -> None:
    clock = Clock()

    def connecting(deferred: Deferred[Any]) -> None:
        deferred.errback(ConnectingCancelledError(IPv4Address("TCP", "192.0.2.1", 443)))

    agent = Agent(Deferred(connecting), json_of({}))
    source = source_of(
        agent, clock, find=[WebService("https://one.test/"), WebService("https://two.test/")]
    )
    found = as_deferred(source.find(ANN))
    clock.advance(5)
    assert now(found) is not None
