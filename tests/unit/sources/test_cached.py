"""What is remembered of a source, for how long, and what counts when it is down."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IPasswordSource, ITryableSource
from mailframe.sources.cached import DENIAL_SECONDS, CachedSource, Remembering
from tests.unit.accounts.house import now

ANN = Address("ann", "example.test")
DOWN = TransientFailure(Reply(451, status.DIRECTORY_FAILURE, "down"), "it is down")


@implementer(IPasswordSource)
class People:
    """Answers by hand where ``waits``."""

    name = "people"
    domains = ("example.test",)

    def __init__(self) -> None:
        self.entries: dict[Address, Entry] = {ANN: Entry(account="ann@example.test")}
        self.passwords = {"ann": b"right"}
        self.asked: list[Any] = []
        self.is_down = False
        self.waits: list[Deferred[None]] | None = None

    async def find(self, address: Address) -> Entry | None:
        await self._ask(address)
        return self.entries.get(address)

    async def check(self, login: str, password: bytes) -> str:
        await self._ask((login, password))
        if self.passwords.get(login) != password:
            raise LoginFailed("wrong")
        return f"{login}@example.test"

    async def _ask(self, question: Any) -> None:
        self.asked.append(question)
        if self.waits is not None:
            waiting: Deferred[None] = Deferred()
            self.waits.append(waiting)
            await waiting
        if self.is_down:
            raise DOWN


class Stage:
    def __init__(self, **times: Any) -> None:
        self.clock = Clock()
        self.people = People()
        times = {"seconds": 60, "entries": 10, "stale_seconds": 0} | times
        self.source = CachedSource(self.people, self.clock, Random(7), Remembering(**times))

    def find(self, address: Address = ANN) -> Entry | None:
        return now(self.source.find(address))

    def check(self, password: bytes, login: str = "ann") -> str:
        return now(self.source.check(login, password))


def test_an_answer_counts_for_a_time() -> None:
    stage = Stage()
    first = stage.find()
    stage.clock.advance(59)
    assert stage.find() is first
    assert len(stage.people.asked) == 1
    stage.clock.advance(1)
    stage.people.entries.clear()
    assert stage.find() is None


def test_a_denial_counts_for_less() -> None:
    stage = Stage()
    bob = Address("bob", "example.test")
    assert stage.find(bob) is None
    stage.people.entries[bob] = Entry(account="bob@example.test")
    stage.clock.advance(DENIAL_SECONDS - 0.1)
    assert stage.find(bob) is None
    stage.clock.advance(0.1)
    assert stage.find(bob) is not None


def test_nothing_is_remembered_for_no_seconds() -> None:
    stage = Stage(seconds=0)
    stage.find()
    stage.find()
    assert len(stage.people.asked) == 2


def test_a_clock_put_back_makes_nothing_fresh() -> None:
    stage = Stage()
    stage.clock.advance(1000)
    stage.find()
    stage.clock.rightNow = 0.0
    stage.find()
    assert len(stage.people.asked) == 2


def test_a_right_password_is_remembered_and_a_wrong_one_for_a_moment() -> None:
    stage = Stage()
    assert stage.check(b"right") == stage.check(b"right") == "ann@example.test"
    assert len(stage.people.asked) == 1
    for _ in range(2):
        with pytest.raises(LoginFailed):
            stage.check(b"wrong")
    assert len(stage.people.asked) == 2
    with pytest.raises(LoginFailed):
        stage.check(b"right", "bob")


def test_no_password_is_kept() -> None:
    stage = Stage()
    stage.check(b"right")
    kept = stage.source._right._kept._kept
    assert len(kept) == 1
    assert "right" not in repr(kept)


def test_another_process_has_another_key() -> None:
    proofs = [
        CachedSource(People(), Clock(), Random(seed), Remembering())._proof("ann", b"right")
        for seed in (1, 1, 2)
    ]
    assert proofs[0] == proofs[1] != proofs[2]


def test_a_source_that_is_down_is_no_denial() -> None:
    stage = Stage()
    stage.people.is_down = True
    with pytest.raises(TransientFailure):
        stage.find()
    with pytest.raises(TransientFailure):
        stage.check(b"right")


def test_old_answers_count_while_it_is_down_and_no_longer_than_told() -> None:
    stage = Stage(stale_seconds=100)
    stage.find()
    stage.check(b"right")
    stage.people.is_down = True
    stage.clock.advance(61)
    assert stage.find() is not None
    assert stage.check(b"right") == "ann@example.test"
    with pytest.raises(TransientFailure):
        stage.check(b"wrong")
    stage.clock.advance(98)
    assert stage.find() is not None
    stage.clock.advance(6)
    with pytest.raises(TransientFailure):
        stage.find()


def test_a_source_that_is_down_is_asked_again_after_a_while() -> None:
    stage = Stage(stale_seconds=1000)
    stage.find()
    stage.people.is_down = True
    stage.clock.advance(61)
    for _ in range(5):
        stage.find()
    assert len(stage.people.asked) == 2
    stage.clock.advance(5)
    stage.people.is_down = False
    stage.people.entries[ANN] = Entry(account="ann@example.test", quota=5)
    found = stage.find()
    assert found is not None
    assert found.quota == 5


def test_nobody_is_denied_by_memory() -> None:
    stage = Stage(stale_seconds=1000)
    bob = Address("bob", "example.test")
    assert stage.find(bob) is None
    stage.people.is_down = True
    stage.clock.advance(61)
    with pytest.raises(TransientFailure):
        stage.find(bob)


def test_who_is_gone_is_forgotten() -> None:
    stage = Stage(stale_seconds=1000)
    stage.find()
    stage.people.entries.clear()
    stage.clock.advance(61)
    assert stage.find() is None
    stage.people.is_down = True
    stage.clock.advance(61)
    with pytest.raises(TransientFailure):
        stage.find()


def test_one_question_is_asked_once_at_a_time() -> None:
    stage = Stage()
    stage.people.waits = []
    answers = [Deferred.fromCoroutine(stage.source.find(ANN)) for _ in range(3)]
    assert len(stage.people.asked) == 1
    answers[0].addErrback(lambda _: None)
    answers[0].cancel()  # whoever asked first goes
    stage.people.waits.pop().callback(None)
    assert [each.result for each in answers[1:]] == [stage.people.entries[ANN]] * 2


def test_made_up_names_push_out_nothing_that_is_there() -> None:
    stage = Stage()
    stage.find()
    for number in range(100):
        assert stage.find(Address(f"x{number}", "example.test")) is None
    stage.people.asked.clear()
    stage.find()
    assert stage.people.asked == []
    assert len(stage.source._found._denied._kept) == 2


def test_there_are_bounds_and_long_lists_count_for_more() -> None:
    stage = Stage()
    for number in range(20):
        address = Address(f"x{number}", "example.test")
        stage.people.entries[address] = Entry(account=str(address))
        stage.find(address)
    assert len(stage.source._found._kept._kept) == 10
    stage.people.entries[ANN] = Entry(account="ann@example.test", forward=(ANN,) * 800)
    stage.find()
    assert len(stage.source._found._kept._kept) == 0


def test_trying_questions_is_a_power_of_the_source_itself() -> None:
    stage = Stage()
    assert not ITryableSource.providedBy(stage.source)

    @implementer(ITryableSource)
    class Tryable(People):
        async def try_questions(self) -> list[str]:
            self.asked.append("tried")
            return ["find fails"]

    people = Tryable()
    times = Remembering(seconds=60, entries=10)
    source = CachedSource(people, stage.clock, Random(7), times)
    assert ITryableSource.providedBy(source)
    assert [now(source.try_questions()), now(source.try_questions())] == [["find fails"]] * 2
    assert people.asked == ["tried", "tried"]
