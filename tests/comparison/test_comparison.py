"""A small version of the comparison: what docs/comparison.md says of each program holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.comparison import trials
from tests.comparison.counting import code_lines, lines_of
from tests.comparison.subjects import AIOSMTPD, MAILFRAME, SALMON, SUBJECTS, TWISTED_MAIL, Subject

PROGRAM = '''\
"""Says

what it is."""

# why
x = f(
    1,  # one
)


def f(a):
    """It."""
    return """
    """
'''

EACH = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.folder)

AT_ONCE = {"mailframe": "250", "aiosmtpd": "451", "Salmon": "451", "Twisted Mail": "550"}


def installed(subject: Subject) -> Subject:
    if not subject.is_installed:
        pytest.skip(f"{subject.distribution} is not installed (COMPARISON_SALMON names a Python)")
    return subject


def test_what_a_line_of_code_is() -> None:
    assert code_lines(PROGRAM) == 6
    assert code_lines("") == 0


def test_settings_have_lines_too(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("# all of it\n[a]\n\nb = 1 # one\n")
    assert lines_of([file, file]) == 4


@EACH
def test_what_has_to_be_known_is_in_the_program(subject: Subject) -> None:
    text = subject.text()
    assert [name for name in subject.concepts if name not in text] == []
    assert len(set(subject.concepts)) == len(subject.concepts)


@EACH
def test_every_file_of_the_example_is_counted_once(subject: Subject) -> None:
    there = {
        str(path.relative_to(subject.directory))
        for path in subject.directory.rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml")
    }
    assert sorted((*subject.program, *subject.tests)) == sorted(there)


@pytest.mark.slow
@EACH
def test_its_own_tests_pass(subject: Subject) -> None:
    took = trials.suite_time(installed(subject), times=1)
    assert took.processor > 0


@pytest.mark.slow
@EACH
def test_who_is_refused(subject: Subject) -> None:
    said = trials.refusals(installed(subject))
    assert said.unknown == ("550 to message" if subject is SALMON else "550 to RCPT")
    assert said.forged == ("550 to message" if subject is MAILFRAME else "250 to message")


@pytest.mark.slow
@EACH
def test_a_database_that_is_away(subject: Subject) -> None:
    came = trials.database_away(installed(subject), orders=3)
    assert came.replies == (AT_ONCE[subject.name],)
    assert came.kept == came.confirmed == (3 if subject is MAILFRAME else 0)


@pytest.mark.slow
@EACH
def test_a_bug_in_the_program(subject: Subject) -> None:
    came = trials.handler_raises(installed(subject), orders=3)
    assert came.replies == ("250" if subject is SALMON else AT_ONCE[subject.name],)
    assert came.kept == came.confirmed == (3 if subject is MAILFRAME else 0)
    assert came.set_aside == (3 if subject is SALMON else 0)


@pytest.mark.slow
@EACH
def test_a_relay_that_is_down(subject: Subject) -> None:
    came = trials.relay_down(installed(subject), orders=3)
    assert came.replies == ("451" if subject in (AIOSMTPD, SALMON) else "250",)
    assert came.kept == 3
    assert came.confirmed == (3 if subject is MAILFRAME else 0)


@pytest.mark.slow
@EACH
def test_kill_9(subject: Subject) -> None:
    came = trials.kill_at_random(installed(subject), orders=40, kills=2, seed=7)
    assert (came.kills, came.acknowledged, came.refused) == (2, 40, 0), came
    assert (came.lost, came.twice, came.unconfirmed) == (0, 0, 0), came


@pytest.mark.slow
@pytest.mark.parametrize("subject", [MAILFRAME, TWISTED_MAIL], ids=lambda one: one.folder)
def test_the_pace(subject: Subject) -> None:
    pace = trials.pace(installed(subject), orders=40)
    assert 0 < pace.confirmed <= pace.acknowledged


@pytest.mark.slow
@EACH
def test_what_it_weighs(subject: Subject) -> None:
    weight = trials.footprint(installed(subject))
    assert weight.start > 0
    assert 5 < weight.megabytes < 500
