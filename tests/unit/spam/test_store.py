"""The log and its models against a plain list, with others at work on the file and bad disks."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailframe.errors import TransientFailure
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam import filter as filter_module
from mailframe.spam import models as models_module
from mailframe.spam.features import Features
from mailframe.spam.filter import NO_OPINION, LearningFilter
from mailframe.spam.lessons import Lesson, lesson_of
from mailframe.spam.model import Model
from mailframe.spam.models import Kept
from mailframe.spam.schema import MIGRATIONS
from mailframe.spam.training_log import TooFarBack

T = TypeVar("T")
NOW = 1_750_000_000.0
ANN, EVE = "ann@example.org", "eve@example.net"


def message(number: int, *, spam: bool) -> bytes:
    words = "cheap pills casino winner" if spam else "minutes of the meeting, budget attached"
    return (
        f"From: someone{number}@sender.example\r\nMessage-ID: <{number}.{spam}@sender.example>\r\n"
        f"Subject: {'win' if spam else 'agenda'} {number}\r\n\r\n{words} number {number}\r\n"
    ).encode()


def done(awaitable: Awaitable[T]) -> T:
    return fired(as_deferred(awaitable))  # type: ignore[arg-type]


class House:
    """Opens filters on one file, as processes do."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "spam.db")
        self.clock = Clock()
        self.clock.advance(NOW)
        self.shares: dict[str, str] = {}
        self.databases: list[Database] = []

    def filter(self, **settings: Any) -> LearningFilter:
        database = Database(self.path, MIGRATIONS, None, durable=False)
        database.open()
        self.databases.append(database)
        return LearningFilter(database, InlineWorkers(), self.clock, share=self.share, **settings)

    async def share(self, domain: str) -> str:
        return self.shares.get(domain, "user")

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    for database in made.databases:
        database.close()


def teach(filter: LearningFilter, numbers: range, account: str = ANN) -> None:
    for number in numbers:
        is_spam = number % 2 == 1
        done(filter.learn(message(number, spam=is_spam), account, is_spam, "command"))


def dump(filter: LearningFilter, scope: str = ANN) -> bytes:
    kept: dict[str, Kept] = done(filter._models.current([scope]))
    return kept[scope].dump()[1] if scope in kept else b""


def fresh_dump(house: House, scope: str = ANN) -> bytes:
    """What a process that starts now makes of the file."""
    return dump(house.filter(), scope)


def model_of(numbers: range, bits: int = 18) -> bytes:
    log = []
    for number in numbers:
        lesson = lesson_of(message(number, spam=number % 2 == 1), number % 2 == 1)
        log.append((lesson.features, lesson.is_spam))
    return Model.of(log, max_bits=bits).dump()


# ---- the log is the truth


def test_the_model_is_what_the_log_says(house: House) -> None:
    filter = house.filter()
    teach(filter, range(30))
    assert dump(filter) == model_of(range(30)) == fresh_dump(house)


def test_a_crash_between_log_and_snapshot_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_module, "_SNAPSHOT_EVERY", 10)
    filter = house.filter()
    teach(filter, range(25))
    dump(filter)
    assert house.sql("SELECT count(*) FROM snapshots") == [(1,)]
    teach(filter, range(25, 30))  # and then the process dies: the filter is just left
    assert fresh_dump(house) == model_of(range(30))
    # nor does it matter whether there are snapshots at all
    house.sql("DELETE FROM snapshots")
    assert fresh_dump(house) == model_of(range(30))


def test_a_late_snapshot_does_not_overwrite_what_was_changed(house: House) -> None:
    filter, other = house.filter(), house.filter()
    teach(filter, range(20))
    kept = done(filter._models.current([ANN]))[ANN]
    done(other.forget(message(3, spam=True), ANN))
    done(filter._models._save(ANN, kept))
    assert house.sql("SELECT count(*) FROM snapshots") == [(0,)]


# ---- two processes


def test_what_another_process_teaches_is_noticed(house: House) -> None:
    server, command = house.filter(), house.filter()
    teach(server, range(20))
    before = dump(server)
    teach(command, range(20, 40))
    assert dump(server) == model_of(range(40)) != before
    done(command.forget(message(7, spam=True), ANN))
    assert dump(server) == fresh_dump(house) != model_of(range(40))
    done(command.drop(ANN))
    assert dump(server) == b""
    teach(command, range(10))
    assert dump(server) == model_of(range(10))


def test_a_log_that_changes_while_it_is_read_is_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_module, "_PIECE", 5)
    writer = house.filter()
    teach(writer, range(20))
    reader = house.filter()
    learn, calls = Kept.learn, []

    def meddled(self: Kept, piece: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            done(writer.forget(message(1, spam=True), ANN))
        return learn(self, piece)

    monkeypatch.setattr(Kept, "learn", meddled)
    found = dump(reader)
    monkeypatch.undo()
    assert found == fresh_dump(house)


def test_a_log_that_never_holds_still_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = house.filter(), house.filter()
    teach(writer, range(20))
    learn = Kept.learn

    def meddled(self: Kept, piece: Any) -> int:
        done(writer.learn(message(1, spam=True), ANN, self.version[1] % 2 == 1, "move"))
        return learn(self, piece)

    monkeypatch.setattr(models_module, "_PIECE", 5)
    monkeypatch.setattr(Kept, "learn", meddled)
    with pytest.raises(TransientFailure, match="changes all the time"):
        dump(reader)
    assert done(reader.judge(message(2, spam=True), ANN)) == NO_OPINION
    monkeypatch.undo()
    assert dump(reader) == fresh_dump(house)


def test_who_gets_the_name_of_somebody_gone_gets_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, command = house.filter(), house.filter()
    teach(server, range(60))
    assert done(server.judge(message(61, spam=True), ANN)) != NO_OPINION
    done(command.drop(ANN))
    teach(command, range(1))
    # not even while the new model is in the making
    monkeypatch.setattr(models_module.Models, "_follow", lambda *args: None)
    assert done(server.judge(message(61, spam=True), ANN)) == NO_OPINION


# ---- rollback


def test_a_rollback_goes_back_to_the_bit(house: House) -> None:
    filter = house.filter()
    teach(filter, range(20))
    before = dump(filter)
    house.clock.advance(10)
    since = house.clock.seconds()
    teach(filter, range(20, 30))
    done(filter.learn(message(1, spam=True), ANN, False, "move"))
    done(filter.forget(message(2, spam=False), ANN))
    assert dump(filter) != before
    assert done(filter.roll_back(ANN, since)) == 12
    assert dump(filter) == before == fresh_dump(house)
    assert done(filter.roll_back(ANN, since)) == 0
    assert done(filter.roll_back("nobody@example.org", 0)) == 0


Log = list[tuple[int, bool]]
EMPTY = Model(max_bits=18).dump()
DEEDS = st.tuples(
    st.sampled_from(["spam", "ham", "forget", "roll back", "look", "restart"]),
    st.integers(0, 5),
    st.integers(0, 3),
)


class History:
    """The same deeds done to a filter and to a list of messages with their labels."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.filter = house.filter()
        self.log: Log = []
        self.before: list[tuple[float, Log]] = []

    def do(self, what: str, number: int, back: int) -> None:
        self.house.clock.advance(1)
        if what in ("spam", "ham"):
            self.teach(number, what == "spam")
        elif what == "forget":
            self.forget(number)
        elif what == "roll back":
            self.roll_back(back)
        elif what == "restart":
            self.filter = self.house.filter()
        else:
            assert (dump(self.filter) or EMPTY) == plain_model(self.log)

    def teach(self, number: int, is_spam: bool) -> None:
        is_new = (number, is_spam) not in self.log
        lesson = Lesson(bytes([number]), is_spam, plain(number))
        taught = done(self.filter.teach([lesson], [ANN], source="web", taught_by=ANN))
        assert taught == [is_new]
        if is_new:
            self.becomes([*self.without(number), (number, is_spam)])

    def forget(self, number: int) -> None:
        def job(connection: sqlite3.Connection) -> bool:
            return filter_module.training_log.forget(
                connection, [ANN], bytes([number]), source="forget", taught_by=ANN,
                now=self.house.clock.seconds(), only_own=True,
            )  # fmt: skip

        was_known = self.without(number) != self.log
        assert fired(self.filter._database.write(job)) == was_known
        self.becomes(self.without(number))

    def roll_back(self, back: int) -> None:
        """So many deeds before the last one as well."""
        if self.before:
            del self.before[max(1, len(self.before) - back) :]
            since, self.log = self.before.pop()
            done(self.filter.roll_back(ANN, since))

    def becomes(self, log: Log) -> None:
        self.before.append((self.house.clock.seconds(), self.log))
        self.log = log

    def without(self, number: int) -> Log:
        return [each for each in self.log if each[0] != number]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds=st.lists(DEEDS, min_size=4, max_size=30))
def test_any_history_is_what_a_plain_list_makes_of_it(deeds: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as often:
        # a snapshot at each look, so that what is out of date would be found
        often.setattr(models_module, "_SNAPSHOT_EVERY", 1)
        often.setattr(models_module, "_PIECE", 2)
        house = House(Path(directory))
        history = History(house)
        try:
            for deed in (*deeds, ("look", 0, 0), ("restart", 0, 0), ("look", 0, 0)):
                history.do(*deed)
        finally:
            for database in house.databases:
                database.close()


def plain(number: int) -> Features:
    return Features(tuple(range(100 * number, 100 * number + 30)))


def plain_model(log: Log) -> bytes:
    model = Model.of([(plain(number), spam) for number, spam in log], max_bits=18)
    return model.dump()


# ---- caps


def test_a_full_log_keeps_what_it_learnt_and_stays_short(house: House) -> None:
    filter = house.filter(max_trainings=40)
    for number in range(100):
        is_spam = number % 2 == 1
        done(filter.learn(message(number, spam=is_spam), ANN, is_spam, "move"))
        assert house.sql("SELECT count(*) FROM trainings")[0][0] <= 40
    (counts,) = done(filter.counts(ANN))
    assert (counts.hams, counts.spams) == (50, 50)
    assert house.sql("SELECT rows FROM scopes") == house.sql("SELECT count(*) FROM trainings")
    assert dump(filter) == model_of(range(100)) == fresh_dump(house)


def test_the_model_is_not_made_anew_at_each_lesson_of_a_full_log(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds: list[int] = []
    fold = filter_module.training_log.fold

    def counted(*args: Any, **kwargs: Any) -> None:
        folds.append(1)
        fold(*args, **kwargs)

    monkeypatch.setattr(filter_module.training_log, "fold", counted)
    teach(house.filter(max_trainings=80), range(160))
    assert 1 <= len(folds) <= 9


def test_what_ended_after_it_went_into_the_base_cannot_be_had_back(house: House) -> None:
    filter = house.filter(max_trainings=40)
    for number in range(38):
        house.clock.advance(1)
        teach(filter, range(number, number + 1))
    house.clock.advance(1)
    relabelled = house.clock.seconds()
    done(filter.learn(message(1, spam=True), ANN, False, "move"))
    house.clock.advance(1)
    teach(filter, range(38, 41))
    assert house.sql("SELECT count(*) FROM trainings")[0][0] < 40
    with pytest.raises(TooFarBack):
        done(filter.roll_back(ANN, relabelled))
    done(filter.roll_back(ANN, relabelled + 1))
    assert dump(filter) == fresh_dump(house)


def test_a_fold_of_a_log_that_was_changed_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter, other = house.filter(max_trainings=40), house.filter()
    teach(filter, range(40))
    upto = models_module.Models.upto

    async def meddled(self: Any, *args: Any) -> Kept:
        kept = await upto(self, *args)
        done(other.forget(message(1, spam=True), ANN))
        return kept

    monkeypatch.setattr(models_module.Models, "upto", meddled)
    teach(filter, range(40, 42))
    monkeypatch.undo()
    teach(filter, range(42, 60))
    assert house.sql("SELECT count(*) FROM trainings")[0][0] <= 40
    assert dump(filter) == fresh_dump(house)


# ---- bad disks


class Broken:
    """A database whose file can be read, or not even that."""

    def __init__(self, database: Database, *, readable: bool) -> None:
        self._database = database
        self._readable = readable
        self.path = database.path

    def read(self, job: Any) -> Any:
        if not self._readable:
            return as_deferred(self._fail("disk I/O error"))
        return self._database.read(job)

    def write(self, job: Any) -> Any:
        return as_deferred(self._fail("attempt to write a readonly database"))

    async def _fail(self, why: str) -> None:
        raise sqlite3.OperationalError(why)


def broken(house: House, *, readable: bool) -> LearningFilter:
    filter = house.filter()
    database: Any = Broken(filter._database, readable=readable)
    return LearningFilter(database, InlineWorkers(), house.clock, share=house.share)


def test_a_full_disk_keeps_it_from_learning_not_from_judging(house: House) -> None:
    teach(house.filter(), range(60))
    filter = broken(house, readable=True)
    assert done(filter.judge(message(61, spam=True), ANN)).probability > 0.9
    done(filter.save([ANN]))
    with pytest.raises(TransientFailure, match="readonly"):
        done(filter.learn(message(62, spam=False), ANN, False, "move"))
    with pytest.raises(TransientFailure, match="readonly"):
        done(filter.forget(message(1, spam=True), ANN))


def test_a_file_that_cannot_be_read_leaves_what_is_in_memory(house: House) -> None:
    filter = broken(house, readable=False)
    assert done(filter.judge(message(61, spam=True), ANN)) == NO_OPINION
    trained = house.filter()
    teach(trained, range(60))
    known = done(trained.judge(message(61, spam=True), ANN))
    database: Any = Broken(trained._database, readable=False)
    trained._models._database = database
    assert done(trained.judge(message(61, spam=True), ANN)) == known
    with pytest.raises(sqlite3.OperationalError):
        done(trained.judge_by(message(61, spam=True), [ANN]))


def test_a_log_that_cannot_be_shortened_keeps_what_was_learnt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter = house.filter(max_trainings=10)

    def full(*args: Any, **kwargs: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(filter_module.training_log, "fold", full)
    teach(filter, range(20))
    monkeypatch.undo()
    assert house.sql("SELECT count(*) FROM trainings") == [(20,)]
    teach(filter, range(20, 22))
    assert house.sql("SELECT count(*) FROM trainings")[0][0] <= 10
    assert dump(filter) == model_of(range(22))
