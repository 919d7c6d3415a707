"""Which of several servers is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from twisted.internet.task import Clock

from mailframe.errors import TransientFailure
from mailframe.sources.rotation import REST_SECONDS, Rotation, ServerDown, UnusableAnswer
from tests.unit.accounts.house import now


@dataclass
class Server:
    label: str
    is_down: bool = False
    asked: int = field(default=0)


async def question(server: Server) -> str:
    server.asked += 1
    if server.is_down:
        raise ServerDown("not there")
    return server.label


@pytest.fixture
def servers() -> list[Server]:
    return [Server("one"), Server("two")]


def test_the_first_that_answers_is_asked(servers: list[Server]) -> None:
    clock = Clock()
    rotation = Rotation("x", servers, clock)
    assert now(rotation.ask(question)) == "one"
    servers[0].is_down = True
    assert now(rotation.ask(question)) == "two"
    assert now(rotation.ask(question)) == "two"
    assert servers[0].asked == 2  # it rests
    servers[0].is_down = False
    clock.advance(REST_SECONDS)
    assert now(rotation.ask(question)) == "one"


def test_where_all_rest_nobody_waits(servers: list[Server]) -> None:
    clock = Clock()
    rotation = Rotation("x", servers, clock)
    for server in servers:
        server.is_down = True
    for _ in range(3):
        with pytest.raises(TransientFailure) as failed:
            now(rotation.ask(question))
    assert [server.asked for server in servers] == [1, 1]
    assert failed.value.detail == "x: one: not there; two: not there"
    assert failed.value.reply.is_transient


def test_a_question_that_a_server_stumbles_over_is_of_no_concern_to_others() -> None:
    servers = [Server("one"), Server("two")]
    rotation = Rotation("x", servers, Clock())

    async def odd(server: Server) -> str:
        raise UnusableAnswer("HTTP 400")

    with pytest.raises(TransientFailure) as failed:
        now(rotation.ask(odd))
    assert failed.value.detail == "x: one: HTTP 400; two: HTTP 400"
    assert now(rotation.ask(question)) == "one"
