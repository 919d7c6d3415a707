"""With real threads and the real reactor: what blocks, blocks itself only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater

from mailframe.errors import TransientFailure
from mailframe.hooks.app import App
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.workers import Workers
from tests.unit.hooks.house import House, batch, logged, texts

THREADS = 16


@dataclass
class Real:
    reactor: Any
    workers: Workers
    released: threading.Event = field(default_factory=threading.Event)

    def house(self, *apps: App) -> House:
        house = House(apps, workers=self.workers, server_more={"clock": self.reactor})
        for app in apps:
            app.attach(house.server, self)
        return house

    async def until(self, is_so: Any) -> None:
        for _ in range(1_000):
            if is_so():
                return
            await deferLater(self.reactor, 0.01)
        raise AssertionError("it did not come to that")


@pytest.fixture
def real() -> Iterator[Real]:
    from twisted.internet import reactor

    workers = Workers("apps", THREADS, 100, reactor, foreign=True)  # type: ignore[arg-type]
    workers.start()
    found = Real(reactor, workers)
    yield found
    found.released.set()
    workers.stop()


@pytest_twisted.ensureDeferred
async def test_hooks_that_hang_take_their_part_of_the_threads(real: Real) -> None:
    app = App("shop")
    threads: set[int] = set()

    @app.deliver("hang@shop.test", limit=0.05)
    def hang() -> None:
        threads.add(threading.get_ident())
        real.released.wait(30)

    @app.deliver("quick@shop.test")
    def quick() -> None:
        threads.add(threading.get_ident())

    house = real.house(app)
    live = house.running._of(app.hooks[0].phase)[0]
    with logged() as events:
        for _ in range(6):
            told = [house.deliver(batch("hang@shop.test")) for _ in range(5)]
            await DeferredList(told)
            for task in told:
                (report,) = await task
                assert report.reply.enhanced == "4.3.2"
    assert 4 <= live.figures.hung <= 8
    assert len(threads) <= 8, "one hook has half of them at most"
    assert "took longer" in texts(events)
    (report,) = await house.deliver(batch("quick@shop.test"))
    assert report.reply.code == 250
    real.released.set()
    await real.until(lambda: live.figures.hung == 0)
    assert live.places.taken == 0
    (report,) = await house.deliver(batch("hang@shop.test"))
    assert report.reply.code == 250, "it is called again"


@pytest_twisted.ensureDeferred
async def test_plain_functions_run_elsewhere_and_async_ones_here(real: Real) -> None:
    app = App("shop")
    seen: dict[str, int] = {}
    app.deliver("a@shop.test")(lambda: seen.update(plain=threading.get_ident()))

    @app.deliver("b@shop.test")
    async def here() -> None:
        seen["async"] = threading.get_ident()

    house = real.house(app)
    for address in ("a@shop.test", "b@shop.test"):
        await house.deliver(batch(address))
    assert seen["async"] == threading.get_ident() != seen["plain"]


@pytest_twisted.ensureDeferred
async def test_sending_from_a_hooks_thread(real: Real) -> None:
    app = App("shop")
    sent: list[Any] = []

    @app.deliver("a@shop.test")
    def order() -> None:
        sent.append(app.send(to="bob@far.test", text="hello"))

    house = real.house(app)
    (report,) = await house.deliver(batch("a@shop.test"))
    assert report.reply.code == 250
    assert sent == ["Q1"]


@pytest_twisted.ensureDeferred
async def test_what_a_thread_returns_is_awaited_here(real: Real) -> None:
    app = App("shop")
    seen: list[int] = []

    async def rest() -> None:
        await deferLater(real.reactor, 0)
        seen.append(threading.get_ident())

    app.deliver("a@shop.test")(lambda: rest())
    (report,) = await real.house(app).deliver(batch("a@shop.test"))
    assert report.reply.code == 250
    assert seen == [threading.get_ident()]


@pytest_twisted.ensureDeferred
async def test_whatever_a_thread_raises(real: Real) -> None:
    app = App("shop")
    errors: list[BaseException] = [
        SystemExit(),
        GeneratorExit(),
        StopIteration(),
        KeyboardInterrupt(),
    ]

    @app.deliver("a@shop.test")
    def broken() -> None:
        raise errors.pop()

    house = real.house(app)
    with logged():
        while errors:
            (report,) = await house.deliver(batch("a@shop.test"))
            assert report.reply.code == 451


@pytest_twisted.ensureDeferred
async def test_a_full_pool_puts_off(real: Real) -> None:
    app = App("shop")
    app.deliver("a@shop.test")(lambda: None)
    house = real.house(app)
    real.workers.stop()
    failed: list[Any] = []
    task = as_deferred(house.running._caller.call(house.running._hooks[0], "", {}))
    task.addErrback(failed.append)
    await task
    assert failed[0].check(TransientFailure)
    (report,) = await house.deliver(batch("a@shop.test"))
    assert (report.reply.code, report.reply.enhanced) == (451, "4.3.2")
