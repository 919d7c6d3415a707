"""kill -9 at random, again and again, and a ledger of all that was promised."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fire.clients import Crowd
from tests.fire.ground import Ground
from tests.fire.ledger import KINDS, Ledger
from tests.fire.verdict import Verdict, judge
from tests.interop.peers.process import Process, wait_until

_GOING, _GOING_SECONDS = 10, 5.0
_DURING_START = 0.15
"""Of all kills: the server is killed before it is ready."""


@dataclass(slots=True)
class Campaign:
    """``run`` it once. ``say`` is told how it goes."""

    ground: Ground
    seed: int
    longest: float = 1.5
    """Seconds under load before a kill."""
    pause: float = 0.0
    say: Callable[[str], None] = lambda line: None
    ledger: Ledger = field(default_factory=Ledger)
    in_flight: Counter[tuple[str, str]] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    """Seconds from the start of the process to ready."""
    killed_starting: int = 0

    def run(self, kills: int) -> Verdict:
        chance = random.Random(self.seed)
        self._start()  # so that there is a queue to look into after the first kill
        self.ground.mailframe.stop()
        crowd = Crowd(self.ground, self.ledger, self.seed, self.pause)
        crowd.start()
        try:
            for number in range(1, kills + 1):
                self._crash(chance)
                if number % 10 == 0 or number == kills:
                    self.say(f"{number} kills, {dict(self.ledger.answers)}")
                if crowd.failures:
                    break
            self._start()
            wait_until(self._all_worked, "every client was served", 60)
        finally:
            crowd.stop()
        return self.settle()

    def settle(self) -> Verdict:
        """Let the queue drain, and judge."""
        self.ground.drained(120)
        return judge(self.ground, self.ledger, self.in_flight)

    def _crash(self, chance: random.Random) -> None:
        server = self.ground.mailframe
        if chance.random() < _DURING_START:
            process: Process = server.launch()
            time.sleep(chance.random() * max(self.starts, default=1.0))
            process.kill()
            self.killed_starting += 1
        else:
            self._start()
            self._get_going()
            time.sleep(chance.random() * self.longest)
            server.kill()
        self.in_flight.update(self.ground.in_flight())

    def _get_going(self) -> None:
        """A machine that has other things to do needs its time until there is any load."""
        before, end = self.ledger.answers.total(), time.monotonic() + _GOING_SECONDS
        while self.ledger.answers.total() < before + _GOING and time.monotonic() < end:
            time.sleep(0.01)

    def _all_worked(self) -> bool:
        return all(self.ledger.answers[what] for what in KINDS)

    def _start(self) -> None:
        begun = time.monotonic()
        self.ground.mailframe.start(90)
        self.starts.append(time.monotonic() - begun)
