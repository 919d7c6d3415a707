"""The log of trainings: crashes, two processes, rollbacks to the bit, caps, tenants, bad disks."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
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


def test_learning_twice_teaches_once_and_the_other_way_relabels(house: House) -> None:
    filter = house.filter()
    assert done(filter.learn(message(1, spam=True), ANN, True, "move"))
    assert not done(filter.learn(message(1, spam=True), ANN, True, "web"))
    assert done(filter.learn(message(1, spam=True), ANN, False, "move"))
    (counts,) = done(filter.counts(ANN))
    assert (counts.hams, counts.spams, counts.rows) == (1, 0, 2)
    lesson = lesson_of(message(1, spam=True), False)
    assert dump(filter) == Model.of([(lesson.features, False)], max_bits=18).dump()


def test_forgetting_is_as_if_it_never_was_learnt(house: House) -> None:
    filter = house.filter()
    teach(filter, range(20))
    done(filter.learn(message(99, spam=True), ANN, True, "move"))
    assert done(filter.forget(message(99, spam=True), ANN))
    assert not done(filter.forget(message(99, spam=True), ANN))
    assert dump(filter) == model_of(range(20))
    assert done(filter.learn(message(99, spam=True), ANN, True, "move"))


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


def test_a_damaged_snapshot_is_set_aside(house: House) -> None:
    filter = house.filter()
    teach(filter, range(20))
    done(filter.save([ANN]))
    house.sql("UPDATE snapshots SET model = substr(model, 1, length(model) / 2)")
    assert fresh_dump(house) == model_of(range(20))


def test_damaged_features_are_left_out(house: House) -> None:
    filter = house.filter()
    teach(filter, range(21))
    house.sql("UPDATE trainings SET features = x'00' WHERE id = (SELECT max(id) FROM trainings)")
    assert fresh_dump(house) == model_of(range(20))


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


def test_a_clock_that_goes_back_does_not_mix_up_the_log(house: House) -> None:
    filter = house.filter()
    teach(filter, range(10))
    before = dump(filter)
    house.clock.advance(100)
    since = house.clock.seconds()
    teach(filter, range(10, 20))
    house.clock.rightNow = NOW - 500
    teach(filter, range(20, 30))
    done(filter.roll_back(ANN, since))
    assert dump(filter) == before


EMPTY = Model(max_bits=18).dump()
Deed = tuple[str, int, int]
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["spam", "ham", "forget", "roll back", "look", "save"]),
        st.integers(0, 7),
        st.integers(0, 3),
    ),
    max_size=40,
)


def plain(number: int) -> Features:
    return Features(tuple(range(100 * number, 100 * number + 30)))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deeds=DEEDS)
def test_any_history_is_what_a_plain_list_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[Deed]
) -> None:
    house = House(tmp_path_factory.mktemp("spam"))
    filter = house.filter()
    log: list[tuple[int, bool]] = []
    states: list[tuple[float, list[tuple[int, bool]]]] = []
    try:
        for what, number, back in deeds:
            house.clock.advance(1)
            now = house.clock.seconds()
            digest = bytes([number])
            if what in ("spam", "ham"):
                states.append((now, list(log)))
                is_new = (number, what == "spam") not in log
                lesson = Lesson(digest, what == "spam", plain(number))
                assert done(filter.teach([lesson], [ANN], source="web", taught_by=ANN)) == [is_new]
                if is_new:
                    log = [each for each in log if each[0] != number]
                    log.append((number, what == "spam"))
            elif what == "forget":
                states.append((now, list(log)))
                forgotten = done(forget(filter, digest))
                assert forgotten == any(each[0] == number for each in log)
                log = [each for each in log if each[0] != number]
            elif what == "roll back" and states:
                del states[len(states) - min(back, len(states) - 1) :]
                since, log = states.pop()
                log = list(log)
                done(filter.roll_back(ANN, since))
            elif what == "save":
                done(filter.save([ANN]))
            if what == "look":
                assert (dump(filter) or EMPTY) == plain_model(log)
        assert (dump(filter) or EMPTY) == plain_model(log)
        assert fresh_dump(house) == dump(filter)
    finally:
        for database in house.databases:
            database.close()


async def forget(filter: LearningFilter, digest: bytes) -> bool:
    job: Callable[[sqlite3.Connection], bool] = lambda connection: (
        filter_module.training_log.forget(
            connection, [ANN], digest, source="forget", taught_by=ANN,
            now=filter._clock.seconds(), only_own=True,
        )
    )  # fmt: skip
    return await filter._database.write(job)


def plain_model(log: list[tuple[int, bool]]) -> bytes:
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


def test_a_rollback_beyond_the_log_is_refused(house: House) -> None:
    filter = house.filter(max_trainings=40)
    for number in range(60):
        house.clock.advance(1)
        teach(filter, range(number, number + 1))
    with pytest.raises(TooFarBack):
        done(filter.roll_back(ANN, NOW + 5))
    assert dump(filter) == model_of(range(60))
    done(filter.roll_back(ANN, NOW + 51))
    assert dump(filter) == model_of(range(50))


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


def test_models_in_memory_are_bounded(house: House) -> None:
    filter = house.filter(memory=200_000)
    for number in range(20):
        account = f"user{number}@example.org"
        teach(filter, range(4), account)
        dump(filter, account)
        held = filter._models._kept.values()
        assert sum(each.octets for each in held) <= 200_000
    assert len(filter._models._kept) >= 2


# ---- tenants


def test_users_do_not_mix_unless_their_domain_says_so(house: House) -> None:
    filter = house.filter()
    teach(filter, range(60), EVE)
    assert done(filter.judge(message(61, spam=True), ANN)) == NO_OPINION
    assert done(filter.judge(message(61, spam=True), "eva@example.net")) == NO_OPINION
    assert done(filter.judge(message(61, spam=True), "")) == NO_OPINION
    assert house.sql("SELECT name FROM scopes") == [(EVE,)]


def test_a_domain_shares_within_itself_only(house: House) -> None:
    house.shares["example.net"] = "domain"
    filter = house.filter()
    teach(filter, range(60), EVE)
    opinion = done(filter.judge(message(61, spam=True), "eva@example.net"))
    assert opinion.scope == "@example.net"
    assert opinion.probability > 0.9
    assert done(filter.judge(message(61, spam=True), ANN)) == NO_OPINION
    assert done(filter.judge(message(61, spam=True), "")) == NO_OPINION


def test_only_who_gives_to_the_site_takes_from_it(house: House) -> None:
    house.shares.update({"example.net": "site", "example.com": "site", "example.org": "domain"})
    filter = house.filter()
    teach(filter, range(60), EVE)
    opinion = done(filter.judge(message(61, spam=True), "bob@example.com"))
    assert opinion.scope == "site"
    assert opinion.probability > 0.9
    assert done(filter.judge(message(61, spam=True), ANN)) == NO_OPINION
    teach(filter, range(100, 160), ANN)
    (site,) = done(filter.counts("site"))
    assert site.hams + site.spams == 60


def test_nobody_makes_others_forget(house: House) -> None:
    house.shares["example.net"] = "domain"
    filter = house.filter()
    done(filter.learn(message(1, spam=True), EVE, True, "move"))
    assert not done(filter.forget(message(1, spam=True), "eva@example.net"))
    (counts,) = done(filter.counts("@example.net"))
    assert counts.spams == 1
    assert done(filter.forget(message(1, spam=True), EVE))
    assert [(each.spams) for each in done(filter.counts())] == [0, 0]


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
