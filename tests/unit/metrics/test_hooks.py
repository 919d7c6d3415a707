"""How long policies think, whatever kind of answer they give."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.reply import Reply
from mailframe.metrics.hooks import Hooks
from mailframe.runtime.aio import as_deferred, fired


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.hooks = Hooks(self.clock.seconds)

    def spent(self, plugin: str, hook: str) -> tuple[int, float]:
        """How often, and how long in all."""
        for labels, values in self.hooks.family().series:
            if labels == (plugin, hook):
                return int(sum(values[:-1])), values[-1]
        raise AssertionError(labels)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_plain_answer(bench: Bench) -> None:
    def ask(session: str, envelope: str) -> str:
        bench.clock.advance(0.5)
        return session + envelope

    timed = bench.hooks.timed("mine", "mail", ask)
    assert timed("a", "b") == "ab"
    assert bench.spent("mine", "mail") == (1, 0.5)


def test_what_is_raised(bench: Bench) -> None:
    def ask() -> None:
        bench.clock.advance(0.5)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        bench.hooks.timed("mine", "mail", ask)()
    assert bench.spent("mine", "mail") == (1, 0.5)


@pytest.mark.parametrize("kind", ["coroutine", "deferred"])
def test_an_answer_that_comes_later(bench: Bench, kind: str) -> None:
    waiting: Deferred[Reply] = Deferred()

    async def wait() -> Any:
        return await waiting

    ask = wait if kind == "coroutine" else lambda: waiting
    answer = as_deferred(bench.hooks.timed("mine", "helo", ask)())
    bench.clock.advance(2)
    assert bench.spent("mine", "helo")[0] == 0
    reply = Reply(550, None, "no")
    waiting.callback(reply)
    assert fired(answer) is reply
    assert bench.spent("mine", "helo") == (1, 2.0)


def test_one_that_is_cancelled_has_taken_its_time(bench: Bench) -> None:
    waiting: Deferred[None] = Deferred()
    answer = as_deferred(bench.hooks.timed("mine", "helo", lambda: waiting)())
    answer.addErrback(lambda _: None)
    bench.clock.advance(3)
    answer.cancel()
    assert bench.spent("mine", "helo") == (1, 3.0)
