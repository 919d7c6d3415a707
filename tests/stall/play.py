"""One scene after the other, each in a process of its own, and what was measured meanwhile."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.peers.process import workdir
from tests.stall.scenes import Scene
from tests.stall.target import MANY, Beside, Crowd, Target

_PATIENCE = 60.0  # seconds for one attack
_AFTER = 1.0
"""What it left to do is part of it."""


@dataclass(frozen=True)
class Round:
    scene: str
    seconds: float
    turn: float
    """The reactor thread's CPU time in the turn that took most; milliseconds, like all that
    follow."""
    piece: float
    """The same within one dispatch: what one peer caused, not all together."""
    due: float
    """The same in all timers and workers' results of one turn."""
    collecting: float
    """The longest collection of garbage, part of the above."""
    wall: float
    """The longest turn by the clock, with whatever else the machine did."""
    noop: float
    """The longest answer to the client beside."""
    overslept: float
    """By how much a sleep in a process beside was too long: the machine's own."""
    over: int
    """Turns of more than 100 ms."""
    doing: str
    rounds: int
    lost: int


class Stage:
    """The server with its crowd, on which scenes are played. Ended with ``stack``."""

    def __init__(
        self,
        directory: Path,
        stack: contextlib.ExitStack,
        *,
        idle: int,
        busy: int,
        users: int = 10,
        many: int = MANY,
        scenes: Iterable[Scene] = (),
        tell: Callable[[str], object] = print,
    ) -> None:
        """``scenes``: what they need is prepared before the crowd comes."""
        self._tell = tell
        self.target = Target(directory, stack, users=users)
        if many:
            self.target.fill("Many", many)
        self.target.start()
        for scene in scenes:
            if scene.prepare is not None:
                _apart(scene.prepare, self.target, tell)
        self._crowd = Crowd(self.target, idle, busy)
        stack.callback(self._crowd.stop)
        self._beside = Beside(self.target)
        stack.callback(self._beside.stop)

    def play(self, scene: Scene) -> Round:
        time.sleep(0.5)
        target = self.target
        target.mode("honest")
        self._crowd.since()
        self._beside.since()
        target.inside.ask("reset")
        begun = time.monotonic()
        if scene.name.startswith("dns"):  # whose server is in this process
            scene.attack(target)
        else:
            _apart(scene.attack, target, self._tell)
        time.sleep(_AFTER)
        seconds = time.monotonic() - begun
        try:
            found = target.inside.ask("report")
        except OSError:
            self._tell(target.mailframe.log[-4000:])
            raise
        noop, overslept = self._beside.since()
        rounds, lost = self._crowd.since()
        return Round(
            scene.name,
            seconds,
            found["busiest"]["cpu"] * 1000,
            found["dispatch"] * 1000,
            found["results"] * 1000,
            max(found["collected"]) * 1000,
            found["longest"]["wall"] * 1000,
            noop,
            overslept,
            found["over"],
            _doing(found),
            rounds,
            lost,
        )


def play(
    scenes: Iterable[Scene], *, idle: int, busy: int, tell: Callable[[str], object]
) -> Iterable[Round]:
    chosen = list(scenes)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(workdir("stall"))
        stage = Stage(directory, stack, idle=idle, busy=busy, scenes=chosen, tell=tell)
        tell(HEAD)
        for scene in [Scene("nothing", lambda _: time.sleep(5)), *chosen]:
            done = stage.play(scene)
            tell(_line(done))
            yield done
        for one in stage.target.mailframe.tracebacks[:5]:
            tell(one)


def _doing(found: dict[str, Any]) -> str:
    busiest, longest = found["busiest"], found["longest"]
    said = ", ".join(f"{place} {count}" for place, count in busiest["doing"])
    if longest["wall"] > busiest["wall"]:
        said += " | " + ", ".join(f"{place} {count}" for place, count in longest["doing"])
    return said


def _apart(
    attack: Callable[[Target], object], target: Target, tell: Callable[[str], object]
) -> None:
    def run() -> None:
        os.nice(10)
        try:
            attack(target)
        except Exception:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join(_PATIENCE)
    if child.is_alive():
        tell("(not done in time)")
        child.kill()
        child.join()
    elif child.exitcode:
        tell("(the attack failed)")


HEAD = (
    f"{'scene':52} {'s':>5} {'turn':>6} {'piece':>6} {'due':>6} {'gc':>6}"
    f" {'wall':>6} {'noop':>6} {'noise':>6} {'>100':>4} {'rounds':>6} {'lost':>4}  what"
)


def _line(one: Round) -> str:
    return (
        f"{one.scene:52} {one.seconds:5.1f} {one.turn:6.0f} {one.piece:6.0f} {one.due:6.0f}"
        f" {one.collecting:6.0f} {one.wall:6.0f} {one.noop:6.0f} {one.overslept:6.0f}"
        f" {one.over:4} {one.rounds:6} {one.lost:4}  {one.doing}"
    )


def table(rounds: list[Round]) -> list[str]:
    """The worst first."""
    return ["", HEAD, *(_line(one) for one in sorted(rounds, key=lambda one: -one.turn))]
