"""The filter over its log: teaching, relabelling, forgetting, rolling back, and whose it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from mailframe.errors import TransientFailure
from mailframe.interfaces import IFilter
from mailframe.runtime.aio import as_deferred, fired
from mailframe.spam import training_log
from mailframe.spam.features import features_of
from mailframe.spam.lessons import Lesson, lesson_of
from mailframe.spam.model import Model
from mailframe.spam.scopes import SERVER
from mailframe.spam.training_log import LogChanged, TooFarBack
from tests.unit.spam.spam_world import ANN, BOB, EVE, HOST, Filtering, ham, message, now, spam


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "spam.db")


@pytest.fixture
def place(path: str) -> Iterator[Filtering]:
    filtering = Filtering(path)
    yield filtering
    filtering.close()


def taught(place: Filtering, account: str = ANN, count: int = 30) -> Filtering:
    place.train(account, range(count), is_spam=False)
    place.train(account, range(count), is_spam=True)
    return place


# ---- judging and learning


def test_provides_the_interface(place: Filtering) -> None:
    assert verifyObject(IFilter, place.filter)


def test_untrained_it_has_no_opinion(place: Filtering) -> None:
    opinion = now(place.filter.judge(spam(1), ANN, 5))
    assert (opinion.probability, opinion.scope, opinion.evidence) == (0.5, "", ())


def test_one_kind_alone_is_no_opinion(place: Filtering) -> None:
    place.train(ANN, range(40), is_spam=True)
    assert place.probability(spam(99), ANN) == 0.5


def test_it_learns(place: Filtering) -> None:
    taught(place)
    opinion = now(place.filter.judge(spam(99), ANN, 8))
    assert opinion.probability > 0.9
    assert (opinion.scope, opinion.hams, opinion.spams) == (ANN, 30, 30)
    assert "watches" in " ".join(each.token for each in opinion.evidence)
    assert [abs(e.weight) for e in opinion.evidence] == sorted(
        (abs(e.weight) for e in opinion.evidence), reverse=True
    )
    assert place.probability(ham(99), ANN) < 0.1


def test_twice_teaches_once(place: Filtering) -> None:
    assert place.learn(spam(1), ANN, True)
    assert not place.learn(spam(1), ANN, True)
    (counts,) = now(place.filter.counts(ANN))
    assert (counts.hams, counts.spams, counts.rows) == (0, 1, 1)


def test_the_other_way_relabels(place: Filtering) -> None:
    place.learn(spam(1), ANN, True)
    assert place.learn(spam(1), ANN, False)
    (counts,) = now(place.filter.counts(ANN))
    assert (counts.hams, counts.spams) == (1, 0)
    assert now(place.filter.label(spam(1), ANN)) is False


def test_a_relabelled_message_is_as_if_never_learnt_otherwise(place: Filtering) -> None:
    taught(place)
    place.probability(ham(1), ANN)  # the model is in memory
    place.learn(ham(5), ANN, True)
    log = [(ham(n), False) for n in range(30) if n != 5] + [(spam(n), True) for n in range(30)]
    assert place.digest(ANN) == digest_of_log([*log, (ham(5), True)])


def digest_of_log(log: list[tuple[bytes, bool]], bits: int = 18) -> str:
    import hashlib

    lessons = [(features_of(message), is_spam) for message, is_spam in log]
    return hashlib.blake2b(Model.of(lessons, max_bits=bits).dump(), digest_size=16).hexdigest()


def test_forgotten_is_as_if_never_learnt(place: Filtering) -> None:
    taught(place, count=5)
    before = place.digest(ANN)
    place.learn(spam(77), ANN, True)
    assert now(place.filter.forget(spam(77), ANN))
    assert not now(place.filter.forget(spam(77), ANN))
    assert place.digest(ANN) == before
    assert now(place.filter.label(spam(77), ANN)) is None


def test_the_copy_in_a_mailbox_is_the_same_message(place: Filtering) -> None:
    place.learn(spam(1), ANN, True)
    stored = (
        b"X-Spam-Status: Yes, score=9.9 required=5.0\r\n"
        b"Return-Path: <s@example.com>\r\nDelivered-To: ann@example.org\r\n"
        b"Received: from a (192.0.2.1)\r\n by " + HOST.encode() + b" with ESMTP id 7KQ2M4XD;\r\n"
        b" Tue, 01 Jul 2025 10:00:00 +0000\r\n" + spam(1)
    )
    assert not place.learn(stored, ANN, True)
    assert not place.learn(stored.replace(b"\r\n", b"\n") + b"\n\n", ANN, True)
    assert lesson_of(stored, True, HOST).features == features_of(spam(1))


# ---- whose it is


def test_a_domain_shares_by_default(place: Filtering) -> None:
    taught(place, ANN)
    assert place.probability(spam(99), BOB) > 0.9
    assert now(place.filter.judge(spam(99), BOB)).scope == "@example.org"


def test_other_domains_see_nothing(place: Filtering) -> None:
    taught(place, ANN)
    assert place.probability(spam(99), EVE) == 0.5
    assert place.probability(spam(99), "") == 0.5
    names = {counts.scope for counts in now(place.filter.counts())}
    assert names == {ANN, "@example.org"}


def test_users_who_share_nothing_are_alone(path: str) -> None:
    place = Filtering(path, {"example.org": "user"})
    taught(place, ANN)
    assert place.probability(spam(99), BOB) == 0.5
    assert place.probability(spam(99), "@example.org") == 0.5


def test_only_who_gives_to_the_site_gets_from_it(path: str) -> None:
    place = Filtering(path, {"example.org": "site", "example.net": "domain"})
    taught(place, ANN)
    taught(place, EVE, 3)
    assert place.probability(spam(99), "carol@example.net") == 0.5 or (
        now(place.filter.judge(spam(99), "carol@example.net")).scope == "@example.net"
    )
    place.share["example.net"] = "site"
    assert now(place.filter.judge(spam(99), "dan@example.net")).scope == "site"
    (site,) = now(place.filter.counts("site"))
    assert site.spams == 30  # EVE's were not for the site


def test_a_look_alike_name_is_another_scope(place: Filtering) -> None:
    taught(place, ANN)
    for name in ("ann@example.orgx", "ann@xexample.org", "Ann@example.org".upper(), "site"):
        assert now(place.filter.judge(spam(99), name)).scope != ANN


def test_what_others_taught_the_domain_is_not_mine_to_forget(place: Filtering) -> None:
    place.learn(spam(1), ANN, True)
    assert not now(place.filter.forget(spam(1), BOB))
    assert now(place.filter.label(spam(1), "@example.org")) is True
    assert now(place.filter.forget(spam(1), ANN))
    assert now(place.filter.label(spam(1), "@example.org")) is None


def test_dropped_is_without_a_trace(place: Filtering) -> None:
    taught(place, ANN, 3)
    place.digest(ANN)
    assert now(place.filter.drop(ANN))
    assert not now(place.filter.drop(ANN))
    assert now(place.filter.counts(ANN)) == []
    assert place.digest(ANN) == ""
    assert place.digest("@example.org") != ""


# ---- rollback


def test_rollback_is_exactly_before(place: Filtering) -> None:
    taught(place, count=10)
    before = place.digest(ANN)
    since = place.clock.seconds() + 1
    place.train(ANN, range(50, 60), is_spam=True)
    place.learn(ham(3), ANN, True)  # a label of before
    now(place.filter.forget(spam(4), ANN))
    assert place.digest(ANN) != before
    assert now(place.filter.roll_back(ANN, since)) == 12
    assert place.digest(ANN) == before
    assert now(place.filter.label(ham(3), ANN)) is False
    assert now(place.filter.roll_back(ANN, since)) == 0


def test_rollback_of_everything(place: Filtering) -> None:
    taught(place, count=4)
    assert now(place.filter.roll_back(ANN, 0.0)) == 8
    assert place.probability(spam(9), ANN) > 0.5  # the domain still knows
    (counts,) = now(place.filter.counts(ANN))
    assert (counts.hams, counts.spams, counts.rows) == (0, 0, 0)
    assert place.learn(spam(1), ANN, True)


def test_a_clock_that_goes_back_does_not_mix_the_order(path: str) -> None:
    place = Filtering(path)
    place.learn(spam(1), ANN, True)
    place.clock.rightNow -= 500.0
    place.learn(spam(2), ANN, True)
    rows = now(place.filter.trainings(ANN))
    assert rows[0].at >= rows[1].at
    # what was taught last goes first, whatever the clock said
    assert now(place.filter.roll_back(ANN, rows[0].at)) == 2 or rows[0].at > rows[1].at


# ---- the log is bounded


def test_the_oldest_go_into_the_base(path: str) -> None:
    place = Filtering(path, max_trainings=16)
    log = []
    for number in range(40):
        place.clock.advance(1.0)
        is_spam = bool(number % 2)
        mail = spam(number) if is_spam else ham(number)
        log.append((mail, is_spam))
        place.learn(mail, ANN, is_spam)
        (counts,) = now(place.filter.counts(ANN))
        assert counts.rows <= 16
        assert counts.hams + counts.spams == number + 1
    assert place.digest(ANN) == digest_of_log(log)
    place.close()
    again = Filtering(path, max_trainings=16)
    assert again.digest(ANN) == digest_of_log(log)


def test_rollback_does_not_reach_into_the_base(path: str) -> None:
    place = Filtering(path, max_trainings=8)
    place.train(ANN, range(20), is_spam=True)
    (counts,) = now(place.filter.counts(ANN))
    with pytest.raises(TooFarBack) as refused:
        now(place.filter.roll_back(ANN, counts.horizon))
    assert refused.value.horizon == counts.horizon
    now(place.filter.roll_back(ANN, counts.horizon + 0.5))
    (after,) = now(place.filter.counts(ANN))
    assert (after.rows, after.spams) == (0, counts.spams - counts.rows)
    assert place.digest(ANN) == digest_of_log([(spam(n), True) for n in range(after.spams)])


def test_a_rollback_past_the_end_of_something_folded_is_refused(path: str) -> None:
    place = Filtering(path, max_trainings=8)
    place.train(ANN, range(4), is_spam=True)
    since = place.clock.seconds() + 0.5
    place.train(ANN, range(10, 13), is_spam=True)
    now(place.filter.forget(spam(0), ANN))  # taught before, ended after
    place.train(ANN, range(20, 26), is_spam=True)
    with pytest.raises(TooFarBack):
        now(place.filter.roll_back(ANN, since))


def test_where_the_log_is_full_others_are_not_concerned(path: str) -> None:
    place = Filtering(path, max_trainings=4)
    place.train(EVE, range(3), is_spam=True)
    place.train(ANN, range(30), is_spam=False)
    (eve,) = now(place.filter.counts(EVE))
    assert (eve.rows, eve.spams) == (3, 3)


# ---- snapshots, crashes, other processes


def many(count: int, is_spam: bool) -> list[Lesson]:
    make = spam if is_spam else ham
    return [lesson_of(make(number), is_spam, HOST) for number in range(count)]


def teach_many(place: Filtering, scope: str, count: int) -> None:
    for is_spam in (False, True):
        lessons = many(count, is_spam)
        now(place.filter.teach(lessons, [scope], source="test", taught_by=scope))


def test_a_snapshot_saves_learning_again(path: str) -> None:
    place = Filtering(path)
    teach_many(place, ANN, 200)
    before = place.digest(ANN)
    assert snapshots(path) == 1
    place.close()
    again = Filtering(path)
    spoil_features(path, but_last=0)
    assert again.digest(ANN) == before


def snapshots(path: str) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM snapshots").fetchone()[0])


def spoil_features(path: str, but_last: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE trainings SET features = x'00' WHERE id <= (SELECT max(id) FROM trainings) - ?",
            (but_last,),
        )


def test_a_crash_before_the_snapshot_loses_nothing(path: str) -> None:
    place = Filtering(path)
    teach_many(place, ANN, 150)
    real = place.file.write
    place.file.write = lambda job: Deferred()  # type: ignore[assignment]
    as_deferred(place.filter.digest(ANN))  # dies in the middle: the snapshot is never written
    place.file.write = real  # type: ignore[method-assign]
    place.close()
    assert snapshots(path) == 0
    again = Filtering(path)
    log = [(ham(n), False) for n in range(150)] + [(spam(n), True) for n in range(150)]
    assert again.digest(ANN) == digest_of_log(log)


def test_a_snapshot_that_is_damaged_is_not_needed(path: str) -> None:
    place = Filtering(path)
    teach_many(place, ANN, 200)
    before = place.digest(ANN)
    place.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET model = x'0102'")
    assert Filtering(path).digest(ANN) == before


def test_a_damaged_training_is_left_out(path: str) -> None:
    place = Filtering(path)
    taught(place, ANN, 5)
    spoil_features(path, but_last=1)
    place.close()
    assert Filtering(path).probability(spam(9), ANN) == 0.5


def test_another_process_is_noticed(path: str) -> None:
    server, command = Filtering(path), Filtering(path)
    taught(server)
    assert server.probability(spam(99), ANN) > 0.9
    since = command.clock.seconds()
    teach_many(command, ANN, 100)
    assert server.digest(ANN) == command.digest(ANN)
    now(command.filter.forget(spam(3), ANN))
    assert server.digest(ANN) == command.digest(ANN)
    now(command.filter.roll_back(ANN, since))
    assert server.probability(spam(99), ANN) == command.probability(spam(99), ANN)
    now(command.filter.drop(ANN))
    now(command.filter.drop("@example.org"))
    assert server.probability(spam(99), ANN) == 0.5


def test_the_other_process_saved_much(path: str) -> None:
    server, command = Filtering(path), Filtering(path)
    server.train(ANN, range(2), is_spam=True)
    server.digest(ANN)
    teach_many(command, ANN, 400)
    now(command.filter.save([ANN]))
    assert server.digest(ANN) == command.digest(ANN)


def test_a_fold_elsewhere_in_the_middle_of_reading(path: str) -> None:
    """What was read so far does not fit what is there now: begin again."""
    place = Filtering(path)
    teach_many(place, ANN, 200)
    place.close()
    reader, other = Filtering(path), Filtering(path, max_trainings=50)
    real, calls = reader.file.read, []

    def read(job: Any) -> Any:
        calls.append(job)
        if len(calls) == 5:
            other.learn(spam(999), ANN, True)
        return real(job)

    reader.file.read = read  # type: ignore[method-assign]
    assert reader.digest(ANN) == other.digest(ANN)
    with pytest.raises(LogChanged):
        other.file.read(lambda c: training_log.piece_after(c, (1, 0), 0, 10, 10)).addErrback(
            lambda failure: failure.raiseException()
        ) and fired(other.file.read(lambda c: training_log.piece_after(c, (1, 0), 0, 10, 10)))


def test_models_in_memory_are_bounded(path: str) -> None:
    place = Filtering(path, {"example.org": "user"}, memory=200_000)
    for number in range(12):
        taught(place, f"user{number}@example.org", 2)
        place.probability(spam(9), f"user{number}@example.org")
    kept = place.filter._models._kept
    assert sum(each.octets for each in kept.values()) <= 200_000
    assert place.probability(spam(9), "user0@example.org") > 0.5


# ---- trouble


def test_a_file_that_cannot_be_written_is_read_all_the_same(path: str) -> None:
    place = Filtering(path)
    teach_many(place, ANN, 200)

    def full(job: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    place.file.write = full  # type: ignore[method-assign]
    assert place.probability(spam(999), ANN) > 0.9
    with pytest.raises(TransientFailure):
        place.learn(spam(1000), ANN, True)


def test_full_disk_leaves_nothing_half_done(path: str) -> None:
    place = Filtering(path)
    place.learn(spam(1), ANN, True)
    before = place.digest(ANN)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON trainings WHEN new.scope = 2"
            " BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(TransientFailure):
        place.learn(spam(2), ANN, True)
    assert place.digest(ANN) == before
    assert now(place.filter.label(spam(2), ANN)) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\r\n\r\n",
        b"\x00" * 10_000,
        b"\r" * 100_000,
        b"Subject: " + b"a " * 200_000 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * 20_000,
        b"From: \xff\xfe\r\nSubject: =?x?b?////?=\r\n\r\n\xf0\x9f",
        message(1, "x", "word " * 50_000),
        b"X-Spam-Status: Yes\r\n" * 5_000 + b"\r\nbody",
    ],
    ids=range(9),
)
def test_hostile_messages_are_learnt_and_judged(place: Filtering, hostile: bytes) -> None:
    taught(place, count=3)
    assert place.learn(hostile, ANN, True)
    assert not place.learn(hostile, ANN, True)
    assert 0.0 <= place.probability(hostile, ANN) <= 1.0


def test_share_may_be_asked_of_a_directory(path: str) -> None:
    place = Filtering(path)
    place.filter._share = lambda domain: succeed("user")
    assert now(place.filter.scopes(ANN)) == (ANN,)


def test_the_file_is_the_owners_alone(place: Filtering, path: str) -> None:
    assert os.stat(path).st_mode & 0o077 == 0


# ---- the operator's


def test_everybody_is_judged_by_what_the_operator_taught(path: str) -> None:
    place = Filtering(path, {"example.net": "user"})
    lessons = [lesson_of(ham(n), False, HOST) for n in range(40)]
    lessons += [lesson_of(spam(n), True, HOST) for n in range(40)]
    now(place.filter.teach(lessons, (SERVER,), source="command", taught_by=""))
    for account in (ANN, EVE, ""):
        assert place.probability(spam(99), account) > 0.9
        assert place.probability(ham(99), account) < 0.1
    # nobody's mail gets into it
    place.learn(spam(100), ANN, True)
    (counts,) = now(place.filter.counts(SERVER))
    assert (counts.hams, counts.spams) == (40, 40)
    place.close()
