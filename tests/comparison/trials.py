"""What is done to each program, and what came of it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.comparison.running import Running
from tests.comparison.sender import Crowd, send_once
from tests.comparison.subjects import ROOT, Subject
from tests.comparison.surroundings import Names, Relay
from tests.interop.peers.process import workdir

SETTLE_SECONDS = 120.0
"""How long a program that goes on by itself is waited for at most."""
QUIET_SECONDS = 3.0
"""How long one is watched that is not expected to."""


@dataclass(frozen=True)
class Killed:
    """Of orders whose sender was told 250."""

    seed: int
    kills: int
    acknowledged: int
    refused: int
    lost: int
    """Not in the database."""
    twice: int
    unconfirmed: int
    confirmed_twice: int
    same_id: int
    """Of these, with one Message-ID, by which a mailbox can tell."""


@dataclass(frozen=True)
class Trouble:
    """Something was amiss while orders came, each sent once, and then was not any more."""

    sent: int
    replies: tuple[str, ...]
    """What was said, each once."""
    kept: int
    """Orders in the database in the end, though nobody sent anything again."""
    confirmed: int
    set_aside: int


@dataclass(frozen=True)
class Refusals:
    """Code and the command that was answered."""

    unknown: str
    forged: str


@dataclass(frozen=True)
class SuiteTime:
    seconds: float
    processor: float
    """Seconds of it, which do not depend on what else the machine does."""


@dataclass(frozen=True)
class Pace:
    """Orders a second: answered with 250, and confirmed."""

    acknowledged: float
    confirmed: float


@dataclass(frozen=True)
class Footprint:
    start: float
    """Seconds of the processor until it listens."""
    megabytes: float
    """Resident, when nothing has come yet."""


@contextmanager
def ready(subject: Subject, *, start: bool = True) -> Iterator[tuple[Running, Relay]]:
    relay, names = Relay(), Names()
    with workdir("comparison") as directory:
        relay.start()
        names.start()
        server = Running(subject, directory, relay, names)
        try:
            if start:
                server.start()
            yield server, relay
        finally:
            server.stop()
            names.stop()
            relay.stop()


def kill_at_random(subject: Subject, *, orders: int, kills: int, seed: int) -> Killed:
    """SIGKILL ``kills`` times while ``orders`` come in: after random numbers of acknowledgements,
    and up to 20 ms later. AssertionError where the program leaves some without an answer."""
    chance = random.Random(f"{seed} {subject.folder}")
    after = sorted(chance.sample(range(2, orders - 2), kills))
    with ready(subject) as (server, relay):
        crowd = Crowd(server.port, range(1, orders + 1))
        crowd.start()
        done = 0
        for number in after:
            while len(crowd.said.acknowledged) < number and not crowd.is_done:
                time.sleep(0.0005)
            if crowd.is_done:
                break
            time.sleep(chance.uniform(0, 0.02))
            server.kill()
            done += 1
            server.start()
        said = crowd.wait()
        expected = said.acknowledged
        answered = len(expected) + len(said.refused)
        assert answered == orders, f"{answered} of {orders} answered, {said.replies}: {server.log}"
        _settle(subject, lambda: expected <= set(server.orders()) & set(relay.confirmed))
        kept = server.orders()
        return Killed(
            seed=seed,
            kills=done,
            acknowledged=len(expected),
            refused=len(said.refused),
            lost=len(expected - set(kept)),
            twice=sum(count > 1 for count in kept.values()),
            unconfirmed=len(expected - set(relay.confirmed)),
            confirmed_twice=sum(count > 1 for count in relay.confirmed.values()),
            same_id=sum(count > 1 for count in relay.repeated.values()),
        )


def database_away(subject: Subject, *, orders: int) -> Trouble:
    """Its directory is renamed for two seconds."""
    with ready(subject) as (server, relay):
        server.take_database_away()
        return _trouble(server, relay, orders, server.bring_database_back)


def handler_raises(subject: Subject, *, orders: int) -> Trouble:
    """The program has a bug, which is mended, and started again."""
    with ready(subject, start=False) as (server, relay):
        server.have_bug()
        server.start()

        def mend() -> None:
            server.mend_bug()
            server.stop()
            server.start()

        return _trouble(server, relay, orders, mend)


def relay_down(subject: Subject, *, orders: int) -> Trouble:
    """Nobody listens at the relay's port for two seconds."""
    with ready(subject) as (server, relay):
        relay.stop()
        return _trouble(server, relay, orders, relay.start)


def refusals(subject: Subject) -> Refusals:
    with ready(subject) as (server, _):
        unknown = send_once(server.port, 1, to="sales@shop.test")
        forged = send_once(server.port, 2, source="127.0.0.2")
    return Refusals(_told(unknown), _told(forged))


def pace(subject: Subject, *, orders: int) -> Pace:
    """With four clients, each on a connection that it keeps."""
    with ready(subject) as (server, relay):
        begin = time.monotonic()
        crowd = Crowd(server.port, range(1, orders + 1))
        crowd.start()
        said = crowd.wait()
        answered = time.monotonic() - begin
        _settle(subject, lambda: said.acknowledged <= set(relay.confirmed))
        confirmed = time.monotonic() - begin
    return Pace(len(said.acknowledged) / answered, len(relay.confirmed) / confirmed)


def footprint(subject: Subject) -> Footprint:
    with ready(subject) as (server, _):
        return Footprint(server.processor_seconds, server.resident_octets / 1e6)


def suite_time(subject: Subject, *, times: int) -> SuiteTime:
    """The shortest of so many runs of its own tests. AssertionError where they fail."""
    with workdir("comparison") as directory:
        took = [_suite(subject, directory, number) for number in range(times)]
    return SuiteTime(min(one.seconds for one in took), min(one.processor for one in took))


# ---- how


def _trouble(server: Running, relay: Relay, orders: int, end: Callable[[], None]) -> Trouble:
    answers = [send_once(server.port, order) for order in range(1, orders + 1)]
    time.sleep(2)
    end()
    everything = set(range(1, orders + 1))
    _settle(
        server.subject,
        lambda: everything <= set(server.orders()) and everything <= set(relay.confirmed),
    )
    return Trouble(
        sent=orders,
        replies=tuple(dict.fromkeys(f"{code}" for code, *_ in answers)),
        kept=len(server.orders()),
        confirmed=len(relay.confirmed),
        set_aside=server.set_aside(),
    )


def _settle(subject: Subject, is_complete: Callable[[], bool]) -> None:
    end = time.monotonic() + (SETTLE_SECONDS if subject.retries else QUIET_SECONDS)
    while not is_complete() and time.monotonic() < end:
        time.sleep(0.05)


def _told(answer: tuple[int, str, str]) -> str:
    code, _, stage = answer
    return f"{code} to {stage}"


def _suite(subject: Subject, directory: Path, number: int) -> SuiteTime:
    place = directory / f"{subject.folder}-{number}"
    shutil.copytree(subject.directory, place)
    begin, used = time.monotonic(), _used()
    done = subprocess.run(
        subject.suite,
        cwd=place,
        env=os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    seconds, processor = time.monotonic() - begin, _used() - used
    assert done.returncode == 0, f"{subject.name}:\n{done.stdout}{done.stderr}"
    return SuiteTime(seconds, processor)


def _used() -> float:
    """Seconds of the processor that ended children had."""
    times = os.times()
    return times.children_user + times.children_system
