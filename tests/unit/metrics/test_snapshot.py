"""Families, what several workers make together, and the page."""

from __future__ import annotations

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from mailframe.metrics.families import Counter, Histogram, exponential
from mailframe.metrics.page import Format, format_for, page
from mailframe.metrics.snapshot import (
    Family,
    as_json,
    from_json,
    gauge,
    gauges,
    together,
)
from mailframe.metrics.system import System


def families(accepted: int = 1) -> list[Family]:
    messages = Counter("mf_messages", 'With "quotes" and \\.', ("direction", "result"))
    messages.add(("in", "accepted"), accepted)
    messages.add(("in", 'odd "value"\n'))
    delays = Histogram("mf_delay_seconds", "How long.", (0.5, 1.0, 2.5))
    for value in (0.5, 0.6, 2.5, 9.0):
        delays.observe(value)
    plain_one = Counter("mf_plain", "Without labels.")
    plain_one.add()
    return [
        messages.family(),
        delays.family(),
        plain_one.family(),
        gauges("mf_open", "Open.", "listener", {"mx": 3}),
        gauge("mf_queue", "Queue.", 7, is_shared=True),
    ]


def samples(text: bytes, parse: object = plain) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and the values of the labels, in the order of their names."""
    found = {}
    for family in parse(text.decode()):  # type: ignore[operator]
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert (sample.name, labels) not in found
            found[sample.name, labels] = sample.value
    return found


@pytest.mark.parametrize(
    ("format", "parse"), [(Format.TEXT, plain), (Format.OPENMETRICS, openmetrics)]
)
def test_the_page_says_what_was_counted(format: Format, parse: object) -> None:
    text, content_type = page(families(), format)
    found = samples(text, parse)
    kind = "text/plain" if format is Format.TEXT else "application/openmetrics-text"
    assert content_type.startswith(kind)
    assert found["mf_messages_total", ("in", "accepted")] == 1
    assert found["mf_messages_total", ("in", 'odd "value"\n')] == 1
    assert found["mf_plain_total", ()] == 1
    assert found["mf_delay_seconds_count", ()] == 4
    assert found["mf_delay_seconds_sum", ()] == pytest.approx(12.6)
    # a bound is within its bucket, and buckets add up
    buckets = [found["mf_delay_seconds_bucket", (le,)] for le in ("0.5", "1.0", "2.5", "+Inf")]
    assert buckets == [1, 2, 3, 4]
    assert found["mf_open", ("mx",)] == 3


@pytest.mark.parametrize(
    ("format", "parse"), [(Format.TEXT, plain), (Format.OPENMETRICS, openmetrics)]
)
def test_what_can_be_below_zero_has_no_sum(format: Format, parse: object) -> None:
    scores = Histogram("mf_score", "Points.", (-1.0, 0.0, 1.0))
    for value in (-5.0, 0.5):
        scores.observe(value)
    found = samples(page([scores.family()], format)[0], parse)
    assert found["mf_score_bucket", ("+Inf",)] == 2
    assert found["mf_score_bucket", ("-1.0",)] == 1
    assert ("mf_score_sum", ()) not in found


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format.OPENMETRICS),
        (
            "text/plain;q=0.1, Application/OpenMetrics-Text ;escaping=allow-utf-8",
            Format.OPENMETRICS,
        ),
        ("application/openmetrics-text-not", Format.TEXT),
        (",;,;;", Format.TEXT),
    ],
)
def test_who_can_read_openmetrics_gets_it(accept: str, wanted: Format) -> None:
    assert format_for(accept) is wanted


def test_one_worker_needs_no_label() -> None:
    own = families()
    assert together(own, {}, "") == own


def test_a_worker_that_is_alone_for_a_while_keeps_its_label() -> None:
    found = samples(page(together(families(), {}, "w1"), Format.TEXT)[0])
    assert found["mf_messages_total", ("in", "accepted", "w1")] == 1
    assert found["mf_queue", ()] == 7


def test_each_worker_shows_its_own() -> None:
    travelled = from_json(json.loads(json.dumps(as_json(families(5)))))
    assert travelled == families(5)
    found = samples(page(together(families(1), {"w2": travelled}, "w1"), Format.TEXT)[0])
    assert found["mf_messages_total", ("in", "accepted", "w1")] == 1
    assert found["mf_messages_total", ("in", "accepted", "w2")] == 5
    assert found["mf_delay_seconds_count", ("w2",)] == 4
    assert found["mf_open", ("mx", "w2")] == 3


def test_what_is_the_same_for_all_is_shown_once() -> None:
    found = samples(page(together(families(), {"w2": families()}, "w1"), Format.TEXT)[0])
    assert found["mf_queue", ()] == 7


def test_a_worker_that_is_missing_changes_nobody_elses() -> None:
    """Nothing falls: a counter that does is taken for one that began anew."""
    both = samples(page(together(families(3), {"w2": families(5)}, "w1"), Format.TEXT)[0])
    # w3 was there before, says nothing now, and w2 is asked
    other = samples(page(together(families(5), {"w1": families(3)}, "w2"), Format.TEXT)[0])
    assert both == other


def test_workers_of_two_versions() -> None:
    old = Counter("mf_messages", "Fewer labels.", ("direction",))
    old.add(("in",))
    more = gauge("mf_new", "Only there.", 1)
    shown = together(families(), {"w2": [old.family(), more]}, "w1")
    found = samples(page(shown, Format.TEXT)[0])
    assert found["mf_messages_total", ("in", "accepted", "w1")] == 1
    assert ("mf_messages_total", ("in", "w2")) not in found
    assert found["mf_new", ("w2",)] == 1


def test_too_many_series_become_others() -> None:
    counter = Counter("mf_many", "Many.", ("a", "b"), most=3)
    for number in range(10):
        counter.add((str(number), "x"), 2)
    counter.add(("0", "x"))
    series = dict(counter.family().series)
    assert len(series) == 4
    assert series["0", "x"] == (3,)
    assert series["other", "other"] == (14,)
    spread = Histogram("mf_spread", "Many.", (1,), ("a",), most=2)
    for number in range(5):
        spread.observe(1, (str(number),))
    assert [sum(values[:-1]) for _, values in spread.family().series] == [1, 1, 3]


def test_what_is_known_begins_at_zero() -> None:
    assert Counter("mf_x", "X.").family().series == (((), (0,)),)
    assert Counter("mf_x", "X.", ("a",), known=[("b",)]).family().series == ((("b",), (0,)),)
    assert Counter("mf_x", "X.", ("a",)).family().series == ()


def test_bounds_are_readable() -> None:
    text, _ = page([Histogram("mf_x", "X.", exponential(0.0005, 2, 13)).family()], Format.TEXT)
    assert b'le="0.001"' in text
    assert b'le="2.048"' in text
    assert exponential(1024, 4, 3) == (1024.0, 4096.0, 16384.0)


def test_the_process_and_the_interpreter() -> None:
    found = samples(page(System().families(), Format.OPENMETRICS)[0], openmetrics)
    assert found["process_open_fds", ()] > 2
    assert found["process_resident_memory_bytes", ()] > 1 << 20
    assert ("python_gc_collections_total", ("0",)) in found
