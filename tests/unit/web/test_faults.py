"""Errors on demand: who is refused, with what, how often."""

from __future__ import annotations

import pytest

from mailframe.web.faults import Faults

REFUSED = (452, "")


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("ann@x.test", "Ann@x.test", True),
        ("ann@x.test", "anna@x.test", False),
        ("*", "", True),
        ("*@x.test", "ann@x.test", True),
        ("*@x.test", "ann@y.test", False),
        ("a*@x.test", "ann@x.test", True),
        ("a*n*@*.test", "ann@x.test", True),
        ("a*b*", "ab", True),
        ("ab*ba", "aba", False),
        ("**", "x", True),
        ("*a*b*c", "xxaxxbxxc", True),
        ("*a*b*c", "xxbxxaxxc", False),
    ],
)
def test_patterns(pattern: str, address: str, fits: bool) -> None:
    faults = Faults(lambda: 0)
    faults.add({"Address": pattern, "Code": 452})
    assert (faults.take("rcpt", address) is not None) is fits


def test_a_pattern_of_stars_takes_no_time() -> None:
    faults = Faults(lambda: 0)
    faults.add({"Address": "*a" * 100, "Code": 452})
    assert faults.take("rcpt", "a" * 60_000 + "b") is None


def test_stage_and_number_of_times() -> None:
    faults = Faults(lambda: 0)
    faults.add({"Stage": "mail", "Address": "ann@x.test", "Code": 452, "Times": 2})
    assert faults.take("rcpt", "ann@x.test") is None
    assert [faults.take("mail", "ann@x.test") for _ in range(3)] == [REFUSED, REFUSED, None]


def test_probability() -> None:
    drawn = iter([29, 30, 0, 99])
    faults = Faults(lambda: next(drawn))
    faults.set_triggers({"Recipient": {"ErrorCode": 452, "Probability": 30}})
    assert [faults.take("rcpt", "x") for _ in range(4)] == [REFUSED, None, REFUSED, None]
    assert faults.take("mail", "x") is None
    faults.set_triggers({})
    assert faults.take("rcpt", "x") is None
