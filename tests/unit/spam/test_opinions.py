"""What the filter says: whose training counts how much, why, and while others teach it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.interfaces import Opinion
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.database import Database
from mailframe.runtime.workers import Workers
from mailframe.spam import models as models_module
from mailframe.spam.features import Features, features_of
from mailframe.spam.filter import NO_OPINION, LearningFilter
from mailframe.spam.lessons import digest_of, lesson_of
from mailframe.spam.model import Judgement, Weight, probability_of
from mailframe.spam.models import Kept
from mailframe.spam.schema import MIGRATIONS
from mailframe.spam.scopes import domain_of, scopes_of
from mailframe.spam.training_log import Piece
from tests.unit.runtime.loops import Loop
from tests.unit.spam.test_store import ANN, EVE, House, done, house, message, teach

__all__ = ["house"]


# ---- whose training counts


@pytest.mark.parametrize(
    ("account", "share", "scopes"),
    [
        ("", "user", ("site",)),
        ("", "site", ("site",)),
        (ANN, "user", (ANN,)),
        (ANN, "domain", (ANN, "@example.org")),
        (ANN, "site", (ANN, "@example.org", "site")),
        ("@example.org", "site", ("@example.org", "site")),
        ("@example.org", "user", ("@example.org",)),
        # users of other realms, whose names are names of something else
        ("site", "site", ("site@",)),
        ("ann", "user", ("ann@",)),
    ],
)
def test_scopes(account: str, share: str, scopes: tuple[str, ...]) -> None:
    assert scopes_of(account, share) == scopes


def test_domain_of() -> None:
    assert [domain_of(each) for each in (ANN, "@example.org", "site", "site@", "")] == [
        "example.org", "example.org", "", "", "",
    ]  # fmt: skip


def test_the_scope_that_decides_is_named(house: House) -> None:
    house.shares["example.org"] = "domain"
    filter = house.filter()
    teach(filter, range(100), "bob@example.org")
    teach(filter, range(100, 110))
    opinion = done(filter.judge(message(201, spam=True), ANN))
    assert (opinion.scope, opinion.hams, opinion.spams) == ("@example.org", 55, 55)
    teach(filter, range(110, 200))
    opinion = done(filter.judge(message(201, spam=True), ANN))
    assert (opinion.scope, opinion.hams, opinion.spams) == (ANN, 50, 50)


def test_ones_own_training_outweighs_the_others(house: House) -> None:
    """What the domain takes for spam, a user may want."""
    house.shares["example.org"] = "domain"
    filter = house.filter()
    teach(filter, range(100), "bob@example.org")
    assert done(filter.judge(message(201, spam=True), ANN)).probability > 0.9
    for number in range(300, 400):
        done(filter.learn(message(number, spam=number % 2 == 1), ANN, number % 2 == 0, "move"))
    assert done(filter.judge(message(201, spam=True), ANN)).probability < 0.5
    assert done(filter.judge(message(201, spam=True), "bob@example.org")).probability > 0.5


def test_a_domain_that_changes_its_mind_is_heard(house: House) -> None:
    house.shares["example.org"] = "domain"
    filter = house.filter()
    teach(filter, range(60), "bob@example.org")
    assert done(filter.judge(message(61, spam=True), ANN)) != NO_OPINION
    house.shares["example.org"] = "user"
    assert done(filter.judge(message(61, spam=True), ANN)) == NO_OPINION


def test_who_cannot_be_asked_shares_nothing(house: House) -> None:
    house.shares["example.org"] = "domain"
    filter = house.filter()
    teach(filter, range(60), "bob@example.org")
    teach(filter, range(100, 160))

    async def fail(domain: str) -> str:
        raise OSError("the directory is gone")

    filter._share = fail
    assert done(filter.judge(message(61, spam=True), ANN)).scope == ANN
    assert done(filter.judge(message(61, spam=True), "new@example.org")) == NO_OPINION
    with pytest.raises(OSError, match="gone"):
        done(filter.learn(message(61, spam=True), ANN, True, "move"))


# ---- why


def test_all_evidence_together_is_the_opinion(house: House) -> None:
    house.shares["example.org"] = "domain"
    filter = house.filter()
    teach(filter, range(40), "bob@example.org")
    teach(filter, range(100, 130))
    judged = message(301, spam=True)
    opinion = done(filter.judge(judged, ANN, 10_000))
    sum_ = math.fsum(each.weight for each in opinion.evidence)
    assert probability_of(sum_) == pytest.approx(opinion.probability)
    weights = [abs(each.weight) for each in opinion.evidence]
    assert weights == sorted(weights, reverse=True)
    assert any("pills" in each.token and each.weight > 0 for each in opinion.evidence)
    few = done(filter.judge(judged, ANN, 3))
    assert few.evidence == opinion.evidence[:3]
    assert done(filter.judge(judged, ANN)).evidence == ()


# ---- which message is it


def test_a_copy_that_servers_wrote_on_is_the_same_message(house: House) -> None:
    plain = message(1, spam=True)
    moved = (
        b"Return-Path: <x@sender.example>\r\nX-Spam-Status: No, score=0.1\r\n"
        b"Received: from a by mx.example.org with ESMTP id 7KQ2M4XD;\r\n"
        b" Wed, 25 Nov 2026 10:00:00 +0000\r\n" + plain
    )
    assert digest_of(moved) == digest_of(plain) == digest_of(plain.replace(b"\r\n", b"\n"))
    assert digest_of(plain.rstrip() + b"\r\n\r\n\r\n") == digest_of(plain)
    assert digest_of(plain) != digest_of(message(2, spam=True))
    assert digest_of(plain) != digest_of(plain + b"more\r\n")
    filter = house.filter(hostname="mx.example.org")
    assert done(filter.learn(plain, ANN, True, "command"))
    assert not done(filter.learn(moved, ANN, True, "move"))
    assert lesson_of(moved, True, "mx.example.org").features == features_of(plain)


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"\0", b"\r\n", b"\n\n\n", b"Message-ID:", b"Message-ID: \r\n\r\n", b"\xff" * 5_000,
        b"Message-ID: <a@b>\r\n" * 2_000, b"A" * 2_000_000, b"\n" * 200_000,
        b"Received: " * 100_000, b"Received: by x\r\n" * 10_000,
    ],
)  # fmt: skip
def test_any_octets_can_be_learnt_and_judged(house: House, octets: bytes) -> None:
    filter = house.filter(hostname="x")
    teach(filter, range(10))
    assert done(filter.learn(octets, ANN, True, "move"))
    assert not done(filter.learn(octets, ANN, True, "move"))
    assert 0 <= done(filter.judge(octets, ANN, 5)).probability <= 1
    assert done(filter.forget(octets, ANN))


# ---- while others teach it


class Threads:
    """A filter with real threads; the test turns its reactor."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.loop = Loop()
        self.database = Database(str(path / "spam.db"), MIGRATIONS, self.loop, durable=False)
        self.database.open()
        self.workers = Workers("filter", 4, 1_000, self.loop)
        self.workers.start()
        self.filter = LearningFilter(
            self.database, self.workers, clock, share=lambda domain: "domain"
        )

    def result(self, coroutine: Any) -> Any:
        return self.loop.result(as_deferred(coroutine))

    def start(self, coroutine: Any) -> Deferred[Any]:
        return as_deferred(coroutine)

    def close(self) -> None:
        self.result(self.filter.stop())
        self.workers.stop()
        self.database.close()


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[Threads]:
    made = Threads(tmp_path, Clock())
    yield made
    made.close()


def test_judging_while_learning(threads: Threads, house: House) -> None:
    started = [
        threads.start(threads.filter.learn(message(n, spam=n % 2 == 1), ANN, n % 2 == 1, "move"))
        for n in range(200)
    ]
    opinions: list[Deferred[Opinion]] = []
    for n in range(200):
        opinions.append(threads.start(threads.filter.judge(message(n, spam=True), ANN, 5)))
        if n % 20 == 0:
            threads.start(threads.filter.forget(message(n + 1, spam=n % 2 == 0), ANN))
    for each in (*started, *opinions):
        threads.loop.result(each)
    threads.result(threads.filter.judge(message(1, spam=True), ANN))
    threads.loop.until(lambda: not threads.filter._models._following)
    threads.result(threads.filter.judge(message(1, spam=True), ANN))
    threads.loop.until(lambda: not threads.filter._models._following)
    kept: dict[str, Kept] = threads.result(threads.filter._models.current([ANN]))
    again = done(house.filter()._models.current([ANN]))
    assert kept[ANN].dump()[1] == again[ANN].dump()[1]


class Careful:
    """A model that notices when it is asked while it learns."""

    hams = spams = octets = 0

    def __init__(self) -> None:
        self.is_learning = False
        self.judged_meanwhile = False

    def learn(self, features: Features, is_spam: bool) -> None:
        self.is_learning = True
        time.sleep(0.01)
        self.is_learning = False

    def judge(self, features: Features) -> Judgement:
        self.judged_meanwhile |= self.is_learning
        return Judgement(0.0, 0, 0)

    def weights(self, features: Features, most: int) -> list[Weight]:
        self.judged_meanwhile |= self.is_learning
        return []


def test_a_model_is_never_asked_while_it_learns() -> None:
    model: Any = Careful()
    kept = Kept((1, 0), model, 0)
    features = Features((1, 2, 3))
    learning = threading.Thread(
        target=kept.learn, args=(Piece([(features.pack(), True)] * 10, 10, True),)
    )
    learning.start()
    while learning.is_alive():
        kept.judge(features)
        kept.weights(features, 3)
        time.sleep(0.001)
    learning.join()
    assert not model.judged_meanwhile
    assert kept.last == 10


def test_nobody_waits_for_a_model_that_is_made_again(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        is_spam = n % 2 == 1
        threads.result(threads.filter.learn(message(n, spam=is_spam), ANN, is_spam, "move"))
    before = threads.result(threads.filter.judge(message(41, spam=True), ANN))
    threads.result(threads.filter.forget(message(1, spam=True), ANN))
    goes_on = threading.Event()
    learn = Kept.learn

    def slow(self: Kept, piece: Any) -> int:
        assert goes_on.wait(10)
        return learn(self, piece)

    monkeypatch.setattr(Kept, "learn", slow)
    assert threads.result(threads.filter.judge(message(41, spam=True), ANN)) == before
    goes_on.set()
    threads.loop.until(lambda: not threads.filter._models._following)
    after = threads.result(threads.filter.judge(message(41, spam=True), ANN))
    assert (after.hams, after.spams) == (before.hams, before.spams - 1)


def test_a_model_that_was_long_in_the_making_rests(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter = house.filter()
    teach(filter, range(40))
    learn, made = Kept.learn, []

    def slow(self: Kept, piece: Any) -> int:
        made.append(1)
        house.clock.advance(3)
        return learn(self, piece)

    done(filter.judge(message(41, spam=True), ANN))
    monkeypatch.setattr(Kept, "learn", slow)
    for number in range(1, 11, 2):
        done(filter.forget(message(number, spam=True), ANN))
        done(filter.judge(message(41, spam=True), ANN))
    assert len(made) == 1
    house.clock.advance(30)
    assert done(filter.judge(message(41, spam=True), ANN)).spams == 15


def test_a_worker_pool_that_is_full_gives_no_opinion(threads: Threads) -> None:
    for n in range(10):
        threads.result(threads.filter.learn(message(n, spam=n % 2 == 1), ANN, n % 2 == 1, "move"))
    assert threads.result(threads.filter.judge(message(1, spam=True), ANN)) != NO_OPINION
    threads.workers.stop()
    assert threads.result(threads.filter.judge(message(2, spam=True), ANN)) == NO_OPINION


def test_even_a_bug_of_ours_gives_no_opinion(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    filter = house.filter()
    teach(filter, range(10))

    def bug(self: LearningFilter, octets: bytes) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(LearningFilter, "_features", bug)
    assert done(filter.judge(message(1, spam=True), ANN)) == NO_OPINION


def test_many_tenants_do_not_hear_of_each_other(house: House) -> None:
    for number in range(4):
        house.shares[f"tenant{number}.example"] = ("user", "domain")[number % 2]
    filter = house.filter()
    teach(filter, range(60), "a@tenant0.example")
    teach(filter, range(60), "a@tenant1.example")
    heard = {
        account: done(filter.judge(message(61, spam=True), account)).scope
        for number in range(4)
        for account in (f"a@tenant{number}.example", f"b@tenant{number}.example")
    }
    assert heard == {
        "a@tenant0.example": "a@tenant0.example",
        "b@tenant0.example": "",
        "a@tenant1.example": "a@tenant1.example",
        "b@tenant1.example": "@tenant1.example",
        "a@tenant2.example": "",
        "b@tenant2.example": "",
        "a@tenant3.example": "",
        "b@tenant3.example": "",
    }
    assert EVE not in heard


def test_pieces_are_small(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    learn = Kept.learn

    def noted(self: Kept, piece: Any) -> int:
        sizes.append(len(piece.lessons))
        return learn(self, piece)

    teach(house.filter(), range(250))
    monkeypatch.setattr(Kept, "learn", noted)
    done(house.filter().judge(message(1, spam=True), ANN))
    assert sum(sizes) == 250
    assert max(sizes) <= models_module._PIECE
