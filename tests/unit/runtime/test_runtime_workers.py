from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mailframe.errors import TransientFailure
from mailframe.runtime.workers import InlineWorkers, Workers
from tests.unit.runtime.loops import Loop


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def workers(loop: Loop) -> Iterator[Workers]:
    pool = Workers("test", 2, 3, loop)
    pool.start()
    yield pool
    pool.stop()


def test_results_and_errors_come_back_on_the_loop(loop: Loop, workers: Workers) -> None:
    seen: list[threading.Thread] = []

    def work(a: int, *, b: int) -> int:
        seen.append(threading.current_thread())
        return a + b

    def broken() -> None:
        raise KeyError("planned")

    found: list[threading.Thread] = []
    result = workers.run(work, 1, b=2)
    result.addCallback(lambda value: (found.append(threading.current_thread()), value)[1])
    assert loop.result(result) == 3
    assert found == [loop.thread]
    assert seen[0] is not loop.thread
    with pytest.raises(KeyError):
        loop.result(workers.run(broken))


def test_what_cannot_be_queued_is_refused_at_once(loop: Loop, workers: Workers) -> None:
    gate = threading.Event()
    running = [workers.run(gate.wait) for _ in range(5)]
    with pytest.raises(TransientFailure) as caught:
        loop.result(workers.run(gate.wait))
    assert caught.value.reply.code == 451
    assert "test" in caught.value.detail
    gate.set()
    assert [loop.result(each) for each in running] == [True] * 5
    assert loop.result(workers.run(int)) == 0  # there is room again


def test_a_cancelled_call_gives_its_place_back(loop: Loop, workers: Workers) -> None:
    gate = threading.Event()
    running = [workers.run(gate.wait) for _ in range(5)]
    for each in running:
        each.addErrback(lambda failure: None)
        each.cancel()
    gate.set()
    loop.until(lambda: workers._pending == 0)
    assert loop.result(workers.run(int)) == 0


def test_stop_waits_for_the_calls_under_way(loop: Loop) -> None:
    pool = Workers("test", 1, 3, loop)
    pool.start()
    done: list[int] = []
    for number in range(3):
        pool.run(done.append, number)
    pool.stop()
    assert done == [0, 1, 2]


def test_a_stopped_pool_refuses(loop: Loop) -> None:
    pool = Workers("test", 1, 3, loop)
    with pytest.raises(TransientFailure, match="stopped"):
        loop.result(pool.run(int))
    pool.start()
    pool.stop()
    with pytest.raises(TransientFailure, match="stopped"):
        loop.result(pool.run(int))


def test_results_come_back_in_their_order(loop: Loop) -> None:
    pool = Workers("test", 1, 10, loop)
    pool.start()
    found: list[int] = []
    for number in range(10):
        pool.run(int, number).addCallback(found.append)
    pool.stop()
    loop.until(lambda: len(found) == 10)
    assert found == list(range(10))


def test_inline() -> None:
    pool = InlineWorkers()
    pool.start()
    found: list[object] = []
    pool.run(int, "7").addCallback(found.append)
    pool.run(int, "x").addErrback(lambda failure: found.append(failure.type))
    pool.stop()
    assert found == [7, ValueError]
