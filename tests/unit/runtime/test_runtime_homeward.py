"""Calls from threads come home in their order, and wake the reactor once."""

from __future__ import annotations

import threading

from mailframe.runtime.homeward import Homeward
from tests.unit.runtime.loops import Loop


class Timed(Loop):
    def seconds(self) -> float:
        return 1.0


def test_calls_that_meet_wake_the_reactor_once() -> None:
    loop = Timed()
    homeward = Homeward(loop)
    found: list[int] = []
    thread = threading.Thread(
        target=lambda: [homeward.callFromThread(found.append, number) for number in range(5)]
    )
    thread.start()
    thread.join()
    assert loop.calls.qsize() == 1
    loop.until(lambda: len(found) == 5)
    assert found == list(range(5))
    homeward.callFromThread(found.append, 5)
    loop.until(lambda: found[-1] == 5)
    assert homeward.seconds() == 1.0


def test_what_comes_while_they_run_is_told_of_again() -> None:
    loop = Timed()
    homeward = Homeward(loop)
    found: list[str] = []

    def first() -> None:
        found.append("first")
        homeward.callFromThread(found.append, "second")

    homeward.callFromThread(first)
    loop.calls.get()()
    assert found == ["first"]
    loop.calls.get()()
    assert found == ["first", "second"]


def test_one_that_fails_keeps_nobody_else_back() -> None:
    loop = Timed()
    homeward = Homeward(loop)
    found: list[str] = []
    homeward.callFromThread(int, "no number")
    homeward.callFromThread(found.append, "next")
    loop.calls.get()()
    assert found == ["next"]


def test_threads_lose_nothing() -> None:
    loop = Timed()
    homeward = Homeward(loop)
    found: list[int] = []

    def send() -> None:
        for number in range(2_000):
            homeward.callFromThread(found.append, number)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    loop.until(lambda: len(found) == 8_000)
    for thread in threads:
        thread.join()
