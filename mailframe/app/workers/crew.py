"""The workers of one server: so many of them, each replaced when it ends.

A slot is a place for one worker. A worker that ends without having been asked to is replaced at
once, and later and later where its successors die young, so that a server that cannot work does
not spend the machine on starting. A restart goes slot by slot: the new one accepts before the
old one stops, so there is somebody at every socket all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger

from mailframe.app.workers.bus import Bus
from mailframe.app.workers.child import Child, WorkerEnded
from mailframe.app.workers.order import Told
from mailframe.app.workers.relayed_log import Write
from mailframe.errors import MailframeError
from mailframe.runtime.aio import Background, as_deferred

_YOUNG = 60.0  # seconds
_FIRST_WAIT = 0.5  # seconds, doubled with each that dies young
_LONGEST_WAIT = 30.0
_OPENING_SECONDS = 600.0
"""For a worker that joins others: what there is to make or upgrade is done."""
_PROCESSES = (
    1024  # numbers that tell processes apart in ids (``core.ids``), used one after the other
)


class Crew:
    """``order(process)`` is what a worker is told first."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        bus: Bus,
        random: Random,
        order: Callable[[int], Told],
        log: Write,
    ) -> None:
        self._reactor = reactor
        self._bus = bus
        self._random = random
        self._order = order
        self._log = log
        self._children: dict[str, Child] = {}
        self._slots: dict[int, Child] = {}
        """The one that serves, or is to serve, in each."""
        self._replaces = False
        """From the end of the start to the beginning of the stop."""
        self._is_over = False
        self._died_young: dict[int, int] = {}
        self._timers: dict[int, Any] = {}
        self._process = random.randrange(_PROCESSES)
        self._coming: set[int] = set()
        """Slots for which a new worker opens its files, whatever becomes of the one there."""
        self._background = Background()
        self._one_at_a_time = DeferredLock()
        bus.peers.answer("join", bus.join)
        bus.peers.answer("open", lambda name: self._children[name].is_open())
        bus.peers.answer("accepting", lambda name: self._children[name].accepts())

    def __iter__(self) -> Iterator[Child]:
        """All whose process there is, the eldest first."""
        return iter(list(self._children.values()))

    # ---- from the start to the end

    async def start(self, number: int) -> None:
        """Returns when ``number`` workers accept. Raises WorkerEnded and OSError; then ``stop``."""
        # Alone: it makes, mends or upgrades what there is to be, and says what is wrong once.
        first = self._slots[0] = self._spawn(0)
        await first.opened()
        for slot in range(1, number):
            self._slots[slot] = self._spawn(slot)
        for child in self._slots.values():
            await child.opened()
        for child in self._slots.values():
            child.let_in()
            await child.accepting()
        self._replaces = True

    async def stop(self) -> None:
        """All drain; returns when all have ended."""
        self._replaces = False
        self._is_over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        ends = [as_deferred(child.ended()) for child in self._children.values()]
        for child in self:
            child.drain()
        everybody: Deferred[Any] = DeferredList(ends)
        await everybody
        await self._background.stop()

    async def restart(self) -> None:
        """Each is replaced by a new one, in turn. Raises MailframeError when a new one cannot
        work; then the others are left as they are."""
        await self._one_at_a_time.run(lambda: as_deferred(self._restart()))

    async def resize(self, number: int) -> None:
        """So many from now on. Raises MailframeError."""
        await self._one_at_a_time.run(lambda: as_deferred(self._resize(number)))

    async def _restart(self) -> None:
        for slot in list(self._slots):
            await self._take_over(slot)

    async def _resize(self, number: int) -> None:
        for slot in range(number):
            if slot not in self._slots:
                await self._take_over(slot)
        surplus = [slot for slot in self._slots if slot >= number]
        for child in [self._slots.pop(slot) for slot in surplus]:
            self._forget_timer(child.slot)
            await self._retire(child)

    async def _take_over(self, slot: int) -> None:
        """A new worker has the slot once it accepts; then the one that had it ends."""
        if not self._replaces:
            raise MailframeError("the server is starting or stopping")
        self._coming.add(slot)
        self._forget_timer(slot)
        try:
            child = self._spawn(slot)
            child.must_open(_OPENING_SECONDS)
            await child.opened()
            child.let_in()
            await child.accepting()
        except (WorkerEnded, OSError) as error:
            raise MailframeError(f"a new worker cannot work: {error}") from error
        else:
            # Not who had it when this began: it may have been replaced meanwhile.
            old = self._slots.get(slot)
            self._slots[slot] = child
        finally:
            self._coming.discard(slot)
            there = self._slots.get(slot)
            if there is not None and not there.is_alive and not there.may_end:
                self._replace(there)
        if old is not None:
            await self._retire(old)

    async def _retire(self, child: Child) -> None:
        ended = as_deferred(child.ended())
        child.retire()
        await ended

    # ---- one worker

    def _spawn(self, slot: int) -> Child:
        """Raises OSError, and MailframeError after the beginning of the stop."""
        if self._is_over:
            raise MailframeError("the server is stopping")
        name = f"w{slot + 1}-{self._random.randbytes(5).hex()}"
        child = Child(name, slot, self._reactor, self._bus, self._ended)
        self._process = (self._process + 1) % _PROCESSES
        child.spawn(self._order(self._process), self._log)
        self._children[name] = child
        return child

    def _ended(self, child: Child) -> None:
        self._bus.remove(child.name)
        del self._children[child.name]
        if child.may_end:
            self.log.info("worker {name} {how}", name=child.name, how=child.how)
            return
        self.log.error("worker {name} {how}", name=child.name, how=child.how)
        if self._slots.get(child.slot) is child and child.slot not in self._coming:
            self._replace(child)

    def _replace(self, child: Child) -> None:
        slot = child.slot
        if not self._replaces:
            return
        lived = self._reactor.seconds() - child.began
        young = self._died_young.get(slot, 0) + 1 if lived < _YOUNG else 0
        self._died_young[slot] = young
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (young - 2)) if young > 1 else 0.0
        if wait:
            self.log.warn("the next worker is started in {wait} s", wait=wait)
        self._timers[slot] = self._reactor.callLater(wait, self._start_again, slot)

    def _start_again(self, slot: int) -> None:
        del self._timers[slot]
        self._background.start(self._fill(slot), "replacing a worker")

    async def _fill(self, slot: int) -> None:
        try:
            child = self._slots[slot] = self._spawn(slot)
            child.must_open(_OPENING_SECONDS)
            child.let_in()
            await child.accepting()
        except WorkerEnded:
            return  # seen to by _ended
        except OSError as error:
            self.log.error("no worker can be started: {error}", error=error)
            self._timers[slot] = self._reactor.callLater(_LONGEST_WAIT, self._start_again, slot)
            return
        self.log.info("worker {name} serves", name=child.name)

    def _forget_timer(self, slot: int) -> None:
        timer = self._timers.pop(slot, None)
        if timer is not None:
            timer.cancel()
