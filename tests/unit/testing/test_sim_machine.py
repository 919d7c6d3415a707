"""The simulated machine: workers, databases, death and what is left of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.errors import TransientFailure
from mailframe.runtime.database import Database
from mailframe.testing.disk import SimDisk
from mailframe.testing.machine import SimMachine
from mailframe.testing.network import SimNetwork
from tests.unit.testing.talkers import result_of

NOTES = ["CREATE TABLE note (text TEXT NOT NULL UNIQUE)"]


@pytest.fixture
def network() -> Iterator[SimNetwork]:
    network = SimNetwork(1)
    yield network
    network.close()


@pytest.fixture
def machine(network: SimNetwork) -> SimMachine:
    return SimMachine(network, "mx1", "10.0.0.1", SimDisk())


def database(machine: SimMachine, **options: Any) -> Database:
    made = machine.database("/notes.db", NOTES, **options)
    made.open()
    return made


def add(text: str) -> Callable[[sqlite3.Connection], Any]:
    return lambda connection: connection.execute("INSERT INTO note VALUES (?)", (text,))


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]


def ask(machine: SimMachine, asked: Database) -> Any:
    reading = asked.read(texts)
    machine.network.run(1)
    return result_of(reading)


# Workers


def test_calls_run_later_and_end_later_still(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 2)
    pool.start()
    began: list[float] = []
    ended: list[float] = []
    for _ in range(10):
        call = pool.run(lambda: began.append(network.now))
        call.addCallback(lambda _: ended.append(network.now))
    assert not began
    network.run(1)
    assert len(began) == len(ended) == 10
    assert began == sorted(began)
    # Two lanes: the third call begins when the first or second has ended.
    assert began[2] >= ended[0]
    assert all(end > begin for begin, end in zip(began, ended, strict=True))


def test_errors_are_the_callers(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 1)
    refused = result_of(pool.run(int))
    assert isinstance(refused, TransientFailure)
    assert "stopped" in str(refused)
    pool.start()
    failing = pool.run(int, "no number")
    network.run(1)
    assert isinstance(result_of(failing), ValueError)


def test_a_pool_has_its_limit(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 1)
    pool.start()
    calls = [pool.run(int) for _ in range(10_001)]
    assert isinstance(result_of(pool.run(int)), TransientFailure)
    network.run(60)
    assert all(result_of(call) == 0 for call in calls)


def test_a_stop_does_what_waits(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 1)
    pool.start()
    done: list[int] = []
    calls = [pool.run(done.append, number) for number in range(3)]
    pool.stop()
    assert done == [0, 1, 2]
    network.run(1)
    assert all(call.called for call in calls)
    pool.start()
    machine.disk.faults.slow("create", seconds=30.0)
    again = [pool.run(machine.disk.make_file, f"/{number}") for number in range(2)]
    network.run(31)
    assert [call.called for call in again] == [True, False]  # still one lane
    network.run(31)
    assert again[1].called


def test_a_slow_disk_takes_time(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 1)
    pool.start()
    machine.disk.faults.slow("create", seconds=30.0)
    call = pool.run(machine.disk.make_file, "/x")
    network.run(29)
    assert not call.called
    network.run(2)
    assert call.called


# Databases


def test_what_arrives_during_a_commit_waits_for_the_next(
    network: SimNetwork, machine: SimMachine
) -> None:
    network.story = []
    notes = database(machine)
    fired: list[tuple[float, str]] = []

    def write(text: str) -> None:
        notes.write(add(text)).addBoth(lambda _: fired.append((network.now, text)))

    write("a")
    write("b")
    network.run_until(lambda: "commit" in "".join(network.story or ()), 1)
    write("c")
    write("a")
    write("d")
    network.run(1)
    commits = [line for line in network.story if " commit " in line]
    assert [line.split()[-1] for line in commits] == ["2", "3"]
    assert [text for _, text in fired] == ["a", "b", "c", "a", "d"]
    assert len({at for at, _ in fired}) == 2
    assert ask(machine, notes) == ["a", "b", "c", "d"]


def test_the_writer_has_its_limit(network: SimNetwork, machine: SimMachine) -> None:
    notes = database(machine)
    for _ in range(20_000):
        notes.write(lambda connection: None)
    assert isinstance(result_of(notes.write(add("x"))), TransientFailure)
    network.run(10)
    assert isinstance(result_of(notes.write(add("x"))), type(None))


def test_a_failed_commit_fails_all_of_it(network: SimNetwork, machine: SimMachine) -> None:
    notes = database(machine)
    first = notes.write(add("a"))
    network.run(1)
    assert result_of(first) is not None
    machine.disk.faults.fail("sync", "/notes.db*")
    both = [notes.write(add("b")), notes.write(add("c"))]
    network.run(1)
    assert all(isinstance(result_of(one), sqlite3.Error) for one in both)
    assert ask(machine, notes) == ["a"]
    again = notes.write(add("d"))
    network.run(1)
    assert not isinstance(result_of(again), Exception)
    assert ask(machine, notes) == ["a", "d"]


def test_close_commits_and_open_works_again(network: SimNetwork, machine: SimMachine) -> None:
    notes = database(machine)
    written = notes.write(add("a"))
    notes.close()
    assert isinstance(result_of(notes.write(add("b"))), TransientFailure)
    network.run(1)
    assert written.called
    notes.open()
    assert ask(machine, notes) == ["a"]
    notes.write(add("b"))
    notes.close()
    notes.open()
    notes.write(add("c"))
    assert ask(machine, notes) == ["a", "b", "c"]


def version(machine: SimMachine, asked: Database) -> int:
    asked.version()
    machine.network.run(1)
    found = asked.version()
    assert found is not None
    return found


def test_each_commit_is_another_version(network: SimNetwork, machine: SimMachine) -> None:
    notes = database(machine)
    assert notes.version() is None
    before = version(machine, notes)
    assert ask(machine, notes) == []
    assert notes.version() == before
    failing = notes.write(lambda connection: 1 / 0)
    network.run(1)
    assert isinstance(result_of(failing), ZeroDivisionError)
    assert notes.version() == before
    notes.write(add("a"))
    assert notes.version() == before
    network.run(1)
    assert (after := notes.version()) not in {None, before}
    beside = Database("/notes.db", NOTES, None, disk=machine.disk)  # as a command would
    beside.open()
    assert notes.version() == after
    result_of(beside.write(add("b")))
    assert notes.version() not in {None, before, after}
    beside.close()
    notes.close()
    assert notes.version() is None
    notes.open()
    assert notes.version() is None
    assert version(machine, notes) > after


def test_a_commit_counts_when_it_is_done_and_before_anybody_was_told(
    network: SimNetwork, machine: SimMachine
) -> None:
    network.story = []
    notes = database(machine)
    before = version(machine, notes)
    written = notes.write(add("a"))
    network.run_until(lambda: "commit" in "".join(network.story or ()), 1)
    assert not written.called
    assert notes.version() not in {None, before}


# Death


def test_a_commit_may_be_done_and_nobody_was_told(network: SimNetwork, machine: SimMachine) -> None:
    network.story = []
    notes = database(machine)
    told: list[Any] = []
    notes.write(add("a")).addBoth(told.append)
    network.run_until(lambda: "commit" in "".join(network.story or ()), 1)
    machine.cut_power()
    network.run(60)
    assert told == []
    after = machine.restart()
    assert ask(after, database(after)) == ["a"]


def test_nothing_waits_that_was_not_committed(network: SimNetwork, machine: SimMachine) -> None:
    notes = database(machine)
    notes.write(add("a"))
    machine.kill()
    network.run(60)
    after = machine.restart()
    assert ask(after, database(after)) == []
    assert not machine.is_running
    assert after.is_running


@pytest.mark.parametrize("operation", range(1, 8))
def test_power_may_go_inside_a_commit(
    network: SimNetwork, machine: SimMachine, operation: int
) -> None:
    log = network.capture_log()
    notes = database(machine)
    network.run(1)
    machine.cut_power_at(machine.disk.count + operation)
    told: list[Any] = []
    timers: list[str] = []
    notes.write(add("a")).addBoth(told.append)
    machine.reactor.callLater(50, timers.append, "alive")
    network.run(60)
    assert machine.is_running is bool(timers)
    after = machine.restart()
    found = ask(after, database(after))
    if told:
        assert found == ["a"]
    else:
        assert not machine.is_running
    assert log.failures() == []


def test_power_may_go_inside_a_call(network: SimNetwork, machine: SimMachine) -> None:
    pool = machine.workers("disk", 1)
    pool.start()
    told: list[Any] = []

    def two_files() -> None:
        machine.disk.make_file("/a")
        machine.disk.make_file("/b")

    machine.cut_power_at(machine.disk.count + 1)
    pool.run(two_files).addBoth(told.append)
    network.run(60)
    assert told == []
    assert not machine.is_running
    assert not machine.disk.exists("/b")


def test_code_that_swallows_the_loss_of_power_is_dead_all_the_same(
    network: SimNetwork, machine: SimMachine
) -> None:
    told: list[Any] = []

    async def work() -> None:
        try:
            machine.disk.make_file("/a")
        except BaseException:  # as Deferreds do
            machine.reactor.callLater(1, told.append, "alive")

    machine.cut_power_at(machine.disk.count)
    done: Deferred[None] = machine.start(work)
    done.addBoth(told.append)
    network.run(60)
    assert not machine.is_running
    assert "alive" not in told


def test_each_life_has_its_own_chance(network: SimNetwork, machine: SimMachine) -> None:
    other = SimMachine(network, "mx2", "10.0.0.2", SimDisk())
    again = machine.restart()
    assert len({one.random.getrandbits(64) for one in (machine, other, again)}) == 3
    twin = SimMachine(SimNetwork(1), "mx1", "10.0.0.1", SimDisk())
    fresh = SimMachine(SimNetwork(1), "mx1", "10.0.0.1", SimDisk())
    assert twin.random.getrandbits(64) == fresh.random.getrandbits(64)


def play(seed: int) -> str:
    network = SimNetwork(seed)
    machine = SimMachine(network, "mx1", "10.0.0.1", SimDisk(seed))
    pool = machine.workers("disk", 4)
    pool.start()
    notes = database(machine)
    for number in range(50):
        notes.write(add(str(number)))
        pool.run(machine.disk.make_file, f"/{number}")
        network.run(0.001)
    machine.cut_power()
    after = machine.restart()
    kept = database(after)  # or the collector would close it, whenever that comes by
    found = ask(after, kept)
    network.note("test", "found", f"{found} {sorted(after.disk.names('/'))}")
    digest = network.events_hash
    network.close()
    return digest


def test_one_seed_is_one_history() -> None:
    assert play(3) == play(3)
    assert play(3) != play(4)
