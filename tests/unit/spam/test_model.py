"""What a model learns, that it is a function of its log, and that it can be explained."""

from __future__ import annotations

import math
import random

import pytest

from mailframe.spam.features import Features
from mailframe.spam.model import (
    MIN_BITS,
    Judgement,
    Model,
    combined,
    probability_of,
    trust,
)
from mailframe.spam.rehearsal import MOST_OCTETS

Log = list[tuple[Features, bool]]


def lessons(number: int, seed: int = 1, *, wrong: float = 0.0) -> Log:
    """Half spam; 60 features each, 12 of which are of 40 that only its kind has."""
    chance = random.Random(seed)
    made: Log = []
    for at in range(number):
        is_spam = at % 2 == 1
        own = chance.sample(range(100 + 40 * is_spam, 140 + 40 * is_spam), 12)
        common = chance.sample(range(10_000, 60_000), 48)
        taught = is_spam != (chance.random() < wrong)
        made.append((Features(tuple(sorted(own + common))), taught))
    return made


HAM, SPAM = Features((100, 101, 102)), Features((140, 141, 142))


def test_an_untrained_model_says_nothing() -> None:
    assert Model().probability(SPAM) == 0.5
    assert Model().weights(SPAM, 10) == []
    one_kind = Model.of([(SPAM, True)] * 50)
    assert one_kind.probability(SPAM) == 0.5
    assert one_kind.judge(SPAM) == Judgement(0.0, 0, 50)


def test_it_learns() -> None:
    model = Model.of(lessons(200))
    assert model.probability(SPAM) > 0.99
    assert model.probability(HAM) < 0.01
    assert (model.hams, model.spams, model.learnt) == (100, 100, 200)


def test_it_knows_something_after_two_messages() -> None:
    model = Model.of([(HAM, False), (SPAM, True)])
    assert model.probability(HAM) < 0.3
    assert model.probability(SPAM) > 0.7


def test_what_it_never_saw_is_even() -> None:
    assert Model.of(lessons(100)).probability(Features((7, 8, 9))) == 0.5
    assert Model.of(lessons(100)).probability(Features(())) == 0.5
    Model.of([(Features(()), True), (Features(()), False)])


def test_a_lot_of_one_kind_before_the_other_does_no_harm() -> None:
    log = lessons(2_000)
    model = Model.of([one for one in log if not one[1]] + [one for one in log[:60] if one[1]])
    assert model.probability(SPAM) > 0.9
    assert model.probability(HAM) < 0.1


@pytest.mark.parametrize("first", [True, False])
def test_heaps_are_learnt_as_mixed_mail_is(first: bool) -> None:
    """Features that both kinds have must not come to stand for the kind that was taught last."""
    common = tuple(range(10_000, 10_060))
    log = [(Features(tuple(sorted({*f.hashes[:3], *common}))), s) for f, s in lessons(1_200)]
    heaps = sorted(log, key=lambda one: one[1] is not first)
    model = Model.of(heaps)
    assert 0.2 < model.probability(Features(common)) < 0.8
    kept = Model.load(Model.of(heaps[:700]).dump())
    for features, is_spam in heaps[700:]:
        kept.learn(features, is_spam)
    assert kept.dump() == model.dump()


def test_the_same_log_gives_the_same_model() -> None:
    log = lessons(300)
    assert Model.of(log).dump() == Model.of(log).dump()
    assert Model.of(log).dump() != Model.of(log[::-1]).dump()


def test_a_loaded_model_goes_on_as_the_one_that_was_kept() -> None:
    log = lessons(300, wrong=0.1)
    kept = Model.load(Model.of(log[:150]).dump())
    for features, is_spam in log[150:]:
        kept.learn(features, is_spam)
    assert kept.dump() == Model.of(log).dump()


def test_a_full_table_that_was_loaded_goes_on_too() -> None:
    log = lessons(400)
    kept = Model.load(Model.of(log[:200], max_bits=MIN_BITS).dump())
    for features, is_spam in log[200:]:
        kept.learn(features, is_spam)
    assert kept.dump() == Model.of(log, max_bits=MIN_BITS).dump()


@pytest.mark.parametrize(
    "damage",
    [
        lambda octets: b"",
        lambda octets: octets[:20],
        lambda octets: octets[:-1],
        lambda octets: b"XXXX" + octets[4:],
        lambda octets: octets[:4] + b"\xff" + octets[5:],
        lambda octets: octets[:5] + b"\xff" + octets[6:],
        lambda octets: octets[:28] + b"\xff\xff\xff\xff" + octets[32:],
        lambda octets: octets[:40] + bytes(len(octets) - 40),
    ],
)
def test_damaged_models_are_refused(damage) -> None:  # type: ignore[no-untyped-def]
    octets = Model.of(lessons(20)).dump()
    with pytest.raises(ValueError, match=r"model|max_bits"):
        Model.load(damage(octets))


def test_the_weights_add_up_to_the_score() -> None:
    log = lessons(300)
    model = Model.of(log)
    for features, _ in log[:20]:
        weights = model.weights(features, len(features.hashes))
        total = math.fsum(one.weight for one in weights)
        assert total == pytest.approx(model.judge(features).log_odds)
        assert [abs(one.weight) for one in weights] == sorted(
            (abs(one.weight) for one in weights), reverse=True
        )
    best = model.weights(Features((100, 141, 7)), 3)
    assert {(one.hash, one.weight > 0, one.ham > 0, one.spam > 0) for one in best[:2]} == {
        (100, False, True, False),
        (141, True, False, True),
    }
    assert (best[2].weight, best[2].ham, best[2].spam) == (0.0, 0, 0)
    assert len(model.weights(log[0][0], 5)) == 5


def test_its_size_is_bounded() -> None:
    chance = random.Random(3)
    model = Model(max_bits=MIN_BITS + 2)
    for at in range(300):
        noise = chance.sample(range(1_000, 1 << 24), 400)
        own = range(100, 112) if at % 2 == 0 else range(140, 152)
        model.learn(Features((*own, *sorted(noise))), at % 2 == 1)
    # 12 octets a row, what is rehearsed, and noise does not shrink
    assert len(model.dump()) < (13 << MIN_BITS + 2) + MOST_OCTETS
    assert model.probability(SPAM) > 0.8
    assert model.probability(HAM) < 0.2


def test_of_two_features_on_one_row_the_more_frequent_keeps_it() -> None:
    often, rival = Features((5,)), Features((5 + (1 << MIN_BITS),))
    model = Model.of(
        [(HAM, False), (often, True), (often, True), (rival, False)], max_bits=MIN_BITS
    )
    assert [(one.ham, one.spam) for one in model.weights(often, 1)] == [(0, 2)]
    assert [(one.ham, one.spam, one.weight) for one in model.weights(rival, 1)] == [(0, 0, 0.0)]


def test_what_was_seen_once_leaves_nothing_behind_when_it_makes_room() -> None:
    once, elsewhere, rival = Features((6,)), Features((7,)), Features((6 + (1 << MIN_BITS),))
    displaced, alone = (
        Model.of([(HAM, False), (before, True), (rival, False)], max_bits=MIN_BITS)
        for before in (once, elsewhere)
    )
    assert displaced.weights(rival, 1) == alone.weights(rival, 1)
    assert displaced.judge(once).log_odds == 0.0


def test_wrong_labels_do_not_turn_it() -> None:
    model = Model.of(lessons(1_000, wrong=0.05))
    right = [
        (model.probability(features) > 0.5) == is_spam for features, is_spam in lessons(400, 2)
    ]
    assert sum(right) >= 396


def test_doubt_is_for_wrong_lessons_not_for_lessons_in_what_was_wrong() -> None:
    assert Model.of(lessons(1_000))._doubt() == 0.0
    assert 0.02 < Model.of(lessons(1_000, wrong=0.05))._doubt() < 0.08
    only_errors = Model.of(lessons(60))
    for features, is_spam in lessons(1_000, 4, wrong=0.3):
        if (only_errors.probability(features) > 0.5) != is_spam:
            only_errors.learn(features, is_spam)
    assert only_errors.learnt > 200
    assert only_errors._doubt() == 0.0


def test_probabilities_are_never_certain() -> None:
    assert probability_of(0.0) == 0.5
    assert 0.0 < probability_of(-1e9) < 1e-9
    assert 1 - 1e-9 < probability_of(1e9) < 1.0


def test_the_users_own_training_counts_once_there_is_enough() -> None:
    site = Judgement(4.0, 5_000, 5_000)
    assert combined([]) == 0.0
    assert combined([Judgement(-4.0, 0, 0), site]) == pytest.approx(4.0, rel=0.01)
    assert combined([Judgement(-4.0, 20, 20), site]) == pytest.approx(0.0, abs=0.02)
    assert combined([Judgement(-4.0, 500, 500), site]) < -3.0
    # ten thousand hams and no spam: it cannot know
    assert trust(Judgement(-4.0, 10_000, 0)) == 0.0
    assert combined([Judgement(4.0, 1, 1)]) < 0.3


def test_limits_of_the_table_are_checked() -> None:
    with pytest.raises(ValueError, match="max_bits"):
        Model(max_bits=MIN_BITS - 1)
