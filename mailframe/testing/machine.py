"""A whole simulated machine under the server: network, clock, disk, threads, chance.

``SimMachine`` is the server's ``Machine`` on a ``SimNetwork`` and a ``SimDisk``. It can be
killed, lose its power, also between two given operations of its disk, be paused, have its
clock set, and be restarted on the disk that was left. Nothing of a dead machine runs: no
timer, no call of a worker, no commit, no callback; what still holds its objects is garbage,
kept aside so that not even finalizers run.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mailframe.runtime.database import IfDamaged
from mailframe.runtime.machine import BACKLOG, Machine
from mailframe.testing.database import SimDatabase
from mailframe.testing.disk import PowerLost, SimDisk
from mailframe.testing.network import SimNetwork
from mailframe.testing.network.timers import Timer
from mailframe.testing.workers import SimWorkers

T = TypeVar("T")


class Pace:
    """How long things take on a machine, in seconds, drawn: mostly little, at times much."""

    def __init__(self, random: Random) -> None:
        self._draw = random.random

    def thread(self) -> float:
        """Until a thread begins, and until its result is heard of."""
        return self._mostly(0.0005, 0.02)

    def wake(self) -> float:
        """Until the writer of a database has woken up."""
        return self._mostly(0.0002, 0.005)

    def commit(self) -> float:
        """Until a commit is on disk and its Deferreds fire."""
        return self._mostly(0.004, 0.1)

    def _mostly(self, usual: float, rare: float) -> float:
        draw = self._draw()
        return usual * draw / 0.97 if draw < 0.97 else rare * (draw - 0.97) / 0.03


class SimMachine(Machine):
    """``host`` is its place on the network; ``slow_seconds`` counts what its disk has cost
    beyond the usual. ``is_running`` ends with ``kill`` or the power, and never begins again:
    ``restart`` makes the next machine."""

    disk: SimDisk

    def __init__(
        self, network: SimNetwork, name: str, ip: str | Sequence[str], disk: SimDisk | None = None
    ) -> None:
        ips = (ip,) if isinstance(ip, str) else tuple(ip)
        self.network = network
        self.name = name
        self.host = network.host(name, *ips)
        if not self.host.reactor.alive:
            self.host.boot()
        super().__init__(self.host.reactor, disk if disk is not None else SimDisk())
        self.random = Random(f"{network.seed} {name} {self.host.incarnation}")
        self.pace = Pace(network.random)
        self.slow_seconds = 0.0
        self.disk.clock = self.reactor.seconds
        self.disk.faults.pause = self._take_longer
        self.reactor.deadly = (PowerLost,)
        self.reactor.on_deadly = self._lose_power
        self.reactor.after_event = self._look_at_power

    # What the server has of it

    def workers(self, name: str, threads: int, *, foreign: bool = False) -> SimWorkers:
        return SimWorkers(name, threads, BACKLOG, self)

    def database(
        self,
        path: str,
        migrations: Sequence[str],
        *,
        durable: bool = True,
        if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE,
    ) -> SimDatabase:
        return SimDatabase(path, migrations, self, durable=durable, if_damaged=if_damaged)

    # What the world does with it

    @property
    def is_running(self) -> bool:
        return bool(self.reactor.alive)

    def start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """Do it on this machine, in an event of its own. The Deferred belongs to the machine:
        it never fires once that is dead."""
        result: Deferred[T] = Deferred()

        def begin() -> None:
            Deferred.fromCoroutine(work()).addCallbacks(result.callback, result.errback)

        self.after(0.0, begin)
        return result

    def kill(self) -> None:
        """SIGKILL. The disk left behind has everything that was written, synced or not."""
        if self.is_running:
            self.host.kill()
            self._leave(self.disk.killed())

    def cut_power(self) -> None:
        """The disk left behind is in one of the states that its syncs allow, drawn."""
        if self.is_running:
            self._lose_power()

    def cut_power_at(self, number: int) -> None:
        """The power goes when the disk comes to that change, which is not done: inside a
        worker's call, a commit, or whatever asks for it."""
        self.disk.cut_power(number)

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self.host.pause(seconds)

    def set_clock(self, offset: float) -> None:
        """Its clock is ahead of the network's by so many seconds from now on. Timers go on
        as if nothing had happened."""
        self.host.set_clock(offset)

    def restart(self) -> SimMachine:
        """The same machine again, on the disk left behind; kills it where it still runs."""
        self.kill()
        return SimMachine(self.network, self.name, self.host.ips, self.disk)

    # For its own parts

    def after(self, seconds: float, function: Callable[..., object], *args: object) -> Timer:
        """Do it after so long, if it lives."""
        return self.network.schedule(seconds, self.reactor, "", function, *args)

    def note(self, what: str, fact: str) -> None:
        self.network.note(self.name, what, fact)

    def _take_longer(self, seconds: float) -> None:
        self.slow_seconds += seconds

    def _look_at_power(self) -> None:
        # PowerLost may have been caught on its way: nothing may follow from it all the same.
        if self.disk.is_lost and self.is_running:
            self._lose_power()

    def _lose_power(self) -> None:
        self.host.lose_power()
        self._leave(self.disk.crashed(self.network.random))

    def _leave(self, disk: SimDisk) -> None:
        """``disk`` stays; the old one is dead to those who still hold it."""
        self.network.bury(self)
        self.disk.lose()
        self.disk = disk
