"""Starting, replacing, restarting and ending workers, with processes that are made up."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mailframe.app.workers.bus import Bus
from mailframe.app.workers.child import WorkerEnded
from mailframe.app.workers.crew import Crew
from mailframe.app.workers.order import Told
from mailframe.app.workers.peers import line
from mailframe.app.workers.watch import SILENT_SECONDS, Watch
from mailframe.errors import MailframeError
from mailframe.runtime.aio import as_deferred, fired


class BusEnd(StringTransport):
    def abortConnection(self) -> None:
        self.loseConnection()


class Process:
    """A worker that does what the test says."""

    pid = 4711

    def __init__(self, stage: Stage, seen: ProcessProtocol, name: str) -> None:
        self.stage = stage
        self.name = name
        self.signals: list[Any] = []
        self._seen = seen
        self.is_there = True
        self.wire: Any
        self.bus: BusEnd

    def signalProcess(self, number: Any) -> None:
        self.signals.append(number)
        if number == 9:
            self.ends(signal=9)

    def heard(self) -> list[Any]:
        """What the supervisor and the others said, but for the order."""
        _, *lines = self.bus.value().splitlines()
        return [json.loads(each.partition(b" ")[2]) for each in lines]

    def is_asked_to(self, what: str) -> bool:
        return any(said[0] == "ask" and said[3] == what for said in self.heard())

    @property
    def may_accept(self) -> bool:
        return any(said[:3] == ["answer", "supervisor", 2] for said in self.heard())

    def _asks(self, number: int, topic: str) -> None:
        said = line("ask", self.name, number, topic, self.name)
        self.wire.dataReceived(b"supervisor " + said + b"\n")
        self.stage.advance(0)

    def opens(self) -> None:
        self._asks(1, "join")
        self._asks(2, "open")

    def accepts(self) -> None:
        assert self.may_accept
        self._asks(3, "accepting")

    def serves(self) -> None:
        self.opens()
        self.accepts()

    def ends(self, status: int = 0, signal: int | None = None) -> None:
        if not self.is_there:
            return
        self.is_there = False
        how = ProcessDone(0) if not status and signal is None else ProcessTerminated(status, signal)
        self._seen.processExited(Failure(how))
        if self.wire.is_open:
            self.wire.connectionLost()


class Stage(Clock):
    """A reactor whose processes are made up."""

    def __init__(self) -> None:
        super().__init__()
        self.why_not: OSError | None = None
        """No process can be started."""
        self.processes: list[Process] = []
        self.commands: list[list[str]] = []
        self.bus = Bus(self)
        self.crew = Crew(self, self.bus, random.Random(1), self._order, lambda lines: None)

    def _order(self, process: int) -> Told:
        return Told("mailframe.toml", "", {}, process, 0, None)

    def adoptStreamConnection(self, number: int, family: int, factory: Any) -> None:
        wire, end = factory.buildProtocol(None), BusEnd()
        wire.makeConnection(end)
        self.processes[-1].wire, self.processes[-1].bus = wire, end

    def spawnProcess(
        self, seen: Any, program: str, words: list[str], env: Any, childFDs: Any
    ) -> None:
        if self.why_not is not None:
            raise self.why_not
        self.commands.append(words)
        ours = os.environ | {"PYTHONPATH": env["PYTHONPATH"]}
        assert env == ours
        process = Process(self, seen, words[-2])
        self.processes.append(process)
        seen.makeConnection(process)

    @property
    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.is_there]

    def states(self) -> list[str]:
        return [child.state for child in self.crew]

    def started(self) -> tuple[Process, Process]:
        starting = as_deferred(self.crew.start(2))
        self.processes[0].opens()
        self.processes[1].opens()
        one, other = self.processes
        one.accepts()
        other.accepts()
        fired(starting)
        return one, other


@pytest.fixture
def stage() -> Stage:
    return Stage()


def failure_of(deferred: Deferred[Any]) -> BaseException:
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    return failures[0].value


def test_the_first_opens_alone_and_nobody_accepts_before_all_can(stage: Stage) -> None:
    starting = as_deferred(stage.crew.start(3))
    first, *rest = stage.processes
    assert rest == []
    first.opens()
    _, second, third = stage.processes
    second.opens()
    assert not first.may_accept
    third.opens()
    assert stage.states() == ["waiting"] * 3
    for process in stage.processes:
        process.accepts()
    fired(starting)
    assert stage.states() == ["serving"] * 3
    assert len({process.name for process in stage.processes}) == 3


def test_what_is_started_is_this_program(stage: Stage) -> None:
    stage.started()
    assert stage.commands[0][1:4] == ["-P", "-m", "mailframe.app.workers"]


def test_one_that_cannot_start_says_with_what_status(stage: Stage) -> None:
    starting = as_deferred(stage.crew.start(2))
    stage.processes[0].ends(78)
    error = failure_of(starting)
    assert isinstance(error, WorkerEnded)
    assert error.status == 78
    stage.advance(100)
    assert len(stage.processes) == 1


def test_a_killed_worker_is_replaced_at_once_and_the_others_hear_of_it(stage: Stage) -> None:
    one, other = stage.started()
    one.ends(signal=9)
    stage.advance(0)
    assert ["lost", "supervisor", one.name] in other.heard()
    third = stage.processes[2]
    third.serves()
    assert stage.states() == ["serving", "serving"]
    assert ["joined", "supervisor", third.name] in other.heard()


def test_what_the_dead_said_last_is_heard_before_they_are_lost(stage: Stage) -> None:
    one, other = stage.started()
    one.is_there = False
    one._seen.processExited(Failure(ProcessTerminated(None, 9)))
    one.wire.dataReceived(b"* " + line("tell", one.name, "count", 1) + b"\n")
    one.wire.connectionLost()
    stage.advance(0)
    assert [said[0] for said in other.heard()][-2:] == ["tell", "lost"]


def test_workers_that_die_young_are_started_later_and_later(stage: Stage) -> None:
    stage.started()[0].ends(1)
    waits = []
    for _ in range(9):
        before, began = len(stage.processes), stage.seconds()
        while len(stage.processes) == before:
            stage.advance(0.25)
        waits.append(stage.seconds() - began)
        stage.processes[-1].ends(1)
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_one_that_lived_long_is_forgiven(stage: Stage) -> None:
    stage.started()[0].ends(1)
    for _ in range(3):
        stage.advance(0)
        stage.processes[-1].serves()
        stage.advance(61)
        stage.processes[-1].ends(1)
    stage.advance(0)
    assert len(stage.alive) == 2


def test_a_restart_goes_one_by_one_and_the_new_one_comes_first(stage: Stage) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    third = stage.processes[2]
    third.opens()
    assert not one.is_asked_to("retire")
    third.accepts()
    assert one.is_asked_to("retire")
    assert len(stage.processes) == 3
    one.ends()
    fourth = stage.processes[3]
    assert not other.is_asked_to("retire")
    fourth.serves()
    other.ends()
    fired(restarting)
    assert stage.alive == [third, fourth]
    stage.advance(100)
    assert len(stage.processes) == 4


def test_a_restart_ends_where_a_new_one_cannot_work(stage: Stage) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    stage.processes[2].ends(1)
    assert isinstance(failure_of(restarting), MailframeError)
    stage.advance(100)
    assert stage.alive == [one, other]
    assert not one.is_asked_to("retire")


def test_one_that_dies_while_its_successor_comes_is_not_replaced_twice(stage: Stage) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    one.ends(signal=11)
    stage.advance(1)
    third = stage.processes[2]
    third.serves()
    stage.processes[3].serves()
    other.ends()
    fired(restarting)
    assert len(stage.processes) == 4


def test_both_gone_in_a_restart_there_is_a_third(stage: Stage) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    one.ends(signal=11)
    stage.processes[2].ends(1)
    assert isinstance(failure_of(restarting), MailframeError)
    stage.advance(1)
    stage.processes[3].serves()
    assert stage.alive == [other, stage.processes[3]]


def test_one_that_does_not_drain_is_killed(stage: Stage) -> None:
    one, _ = stage.started()
    as_deferred(stage.crew.restart())
    stage.processes[2].serves()
    stage.advance(15 + 34)
    assert one.is_there
    stage.advance(2)
    assert not one.is_there


def test_one_that_does_not_read_its_bus_is_killed_and_replaced(stage: Stage) -> None:
    one, other = stage.started()
    one.wire.pauseProducing()
    note = b"* " + line("tell", other.name, "count", "x" * 1_000_000) + b"\n"
    for _ in range(20):
        other.wire.dataReceived(note)
    one.wire.connectionLost()
    assert one.signals == [9]
    stage.advance(0)
    stage.processes[2].serves()
    assert stage.alive == [other, stage.processes[2]]


def test_one_that_closes_its_bus_and_stays_is_killed(stage: Stage) -> None:
    one, _ = stage.started()
    one.wire.connectionLost()
    stage.advance(34)
    assert one.signals == []
    stage.advance(2)
    assert one.signals == [9]


def test_at_the_end_all_drain_at_once(stage: Stage) -> None:
    one, other = stage.started()
    stopping = as_deferred(stage.crew.stop())
    stage.advance(0)
    assert one.is_asked_to("drain")
    assert other.is_asked_to("drain")
    one.ends()
    other.ends()
    fired(stopping)
    assert stage.getDelayedCalls() == []


def test_nobody_is_replaced_at_the_end(stage: Stage) -> None:
    one, other = stage.started()
    one.ends(signal=9)
    stopping = as_deferred(stage.crew.stop())
    other.ends()
    fired(stopping)
    stage.advance(100)
    assert len(stage.processes) == 2


def test_a_restart_ends_with_the_server(stage: Stage) -> None:
    stage.started()
    restarting = as_deferred(stage.crew.restart())
    stage.processes[2].serves()
    stopping = as_deferred(stage.crew.stop())
    stage.advance(0)
    assert all(process.is_asked_to("drain") for process in stage.alive)
    for process in stage.alive:
        process.ends()
    fired(stopping)
    assert isinstance(failure_of(restarting), MailframeError)
    assert stage.alive == []


@pytest.mark.parametrize(("number", "alive"), [(1, 1), (2, 2), (3, 3)])
def test_their_number_can_be_changed(stage: Stage, number: int, alive: int) -> None:
    stage.started()
    resizing = as_deferred(stage.crew.resize(number))
    for process in stage.processes[2:]:
        process.serves()
    stage.advance(0)
    for process in stage.alive:
        if process.is_asked_to("retire"):
            process.ends()
    fired(resizing)
    stage.advance(100)
    assert len(stage.alive) == alive


def test_one_replaced_while_a_restart_is_at_another_is_not_forgotten(stage: Stage) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    other.ends(signal=9)
    stage.advance(0)
    third, instead = stage.processes[2:]
    instead.serves()
    third.serves()
    one.ends()
    fifth = stage.processes[4]
    fifth.serves()
    assert instead.is_asked_to("retire")
    instead.ends()
    fired(restarting)
    assert stage.alive == [third, fifth]


def test_who_waits_to_be_started_again_is_not_when_there_are_to_be_fewer(stage: Stage) -> None:
    one, other = stage.started()
    other.ends(signal=9)
    stage.advance(0)
    stage.processes[2].ends(1)
    fired(as_deferred(stage.crew.resize(1)))
    stage.advance(100)
    assert stage.alive == [one]


def test_a_stop_within_the_start_leaves_nobody_behind(stage: Stage) -> None:
    starting = as_deferred(stage.crew.start(3))
    first = stage.processes[0]
    stopping = as_deferred(stage.crew.stop())
    first.opens()  # before it hears of the end
    first.ends()
    fired(stopping)
    assert isinstance(failure_of(starting), MailframeError)
    assert len(stage.processes) == 1


def test_where_no_process_can_be_started_it_is_tried_later_and_can_be_stopped(
    stage: Stage,
) -> None:
    one, other = stage.started()
    stage.why_not = BlockingIOError("no process is left")
    other.ends(signal=9)
    stage.advance(0)
    assert isinstance(failure_of(as_deferred(stage.crew.restart())), MailframeError)
    stage.why_not = None
    stage.advance(30)
    third = stage.processes[2]
    third.serves()
    assert stage.states() == ["serving"] * 2
    stage.why_not = BlockingIOError("no process is left")
    assert isinstance(failure_of(as_deferred(stage.crew.restart())), MailframeError)
    stopping = as_deferred(stage.crew.stop())
    one.ends()
    third.ends()
    fired(stopping)


def test_a_new_worker_that_never_opens_its_files_is_killed_and_the_old_one_stays(
    stage: Stage,
) -> None:
    one, other = stage.started()
    restarting = as_deferred(stage.crew.restart())
    stage.advance(599)
    third = stage.processes[2]
    assert third.signals == []
    stage.advance(2)
    assert third.signals == [9]
    assert "cannot work" in str(failure_of(restarting))
    assert stage.alive == [one, other]


def test_one_that_opened_in_time_is_left_alone(stage: Stage) -> None:
    stage.started()
    restarting = as_deferred(stage.crew.restart())
    third = stage.processes[2]
    third.opens()
    stage.advance(700)
    assert third.signals == []
    restarting.addErrback(lambda _: None).cancel()


class TestWatch:
    @pytest.fixture
    def watched(self, stage: Stage) -> tuple[Process, Process]:
        pair = stage.started()
        Watch(stage, stage.bus.peers, stage.crew).start()
        return pair

    def _answers(self, process: Process) -> None:
        asked = [said for said in process.heard() if said[:1] == ["ask"] and said[3] == "status"]
        for _, _, number, *_ in asked:
            said = line("answer", process.name, number, {})
            process.wire.dataReceived(b"supervisor " + said + b"\n")

    def test_who_says_nothing_for_a_minute_is_killed_and_replaced(
        self, stage: Stage, watched: tuple[Process, Process]
    ) -> None:
        silent, other = watched
        for _ in range(int(SILENT_SECONDS + 15)):
            assert silent.signals == []
            stage.advance(1)
            self._answers(other)
        stage.advance(1)
        assert silent.signals == [9]
        assert other.signals == []
        assert len(stage.alive) == 2

    def test_who_answers_late_but_in_time_is_left_alone(
        self, stage: Stage, watched: tuple[Process, Process]
    ) -> None:
        for _ in range(10):
            stage.advance(SILENT_SECONDS - 1)
            for process in watched:
                self._answers(process)
        assert stage.alive == list(watched)

    def test_who_drains_has_its_own_time(
        self, stage: Stage, watched: tuple[Process, Process]
    ) -> None:
        stage.pump([1] * 40)
        for child in stage.crew:
            child.retire()
        stage.pump([1] * 40)  # 65 s after the question
        assert [9 in process.signals for process in watched] == [False, False]
