"""The short way of a journal event into the text log says what the long way says."""

from __future__ import annotations

import io

import pytest
from twisted.logger import LogEvent, Logger, LogLevel

from mailframe.app import run


class Calls(io.StringIO):
    """A file that counts how often it was written to."""

    count = 0

    def write(self, text: str) -> int:
        self.count += 1
        return super().write(text)


def _journalled(line: str, more: bool) -> LogEvent:
    return {
        "log_level": LogLevel.info,
        "log_namespace": "mailframe.journal",
        "log_time": 1_795_640_000.7,
        "log_logger": Logger(),
        "log_source": None,
        "log_format": "{line}",
        "line": line,
        "more": more,
    }


def test_lines_of_the_journal_are_as_any_others_and_written_at_once() -> None:
    file = Calls()
    log = run.TextLog(file, "info")
    lines = ["id=1 step=accept", "{braces} %s", "ελληνικά"]
    events = [_journalled(line, line is not lines[-1]) for line in lines]
    for event in events:
        log(event)
    assert file.getvalue() == "".join(str(run._line(event)) for event in events)
    assert file.count == 1


def test_what_is_said_between_is_not_lost() -> None:
    file = Calls()
    log = run.TextLog(file, "info")
    log(_journalled("first", True))
    log(_legacy("between"))
    log(_journalled("second", False))
    log(_journalled("third", False))
    assert [line.split("] ")[1] for line in file.getvalue().splitlines()] == [
        "between",
        "first",
        "second",
        "third",
    ]


def test_below_the_level_nobody_makes_a_line() -> None:
    class Unwanted:
        def __str__(self) -> str:
            raise AssertionError("made")

    file = Calls()
    log = run.TextLog(file, "warn")
    log(_journalled(Unwanted(), False))  # type: ignore[arg-type]
    assert file.count == 0


def test_other_events_go_the_long_way() -> None:
    event: LogEvent = {
        "log_level": LogLevel.warn,
        "log_namespace": "mailframe.app",
        "log_time": 1_795_640_000.7,
        "log_format": "{count} of them",
        "count": 3,
    }
    assert str(run._line(event)).endswith("[mailframe.app#warn] 3 of them\n")


@pytest.mark.parametrize("said", ["_UdpQuestion starting on 5353", "(UDP Port 5353 Closed)"])
def test_the_sockets_of_questions_to_the_dns_are_no_news(said: str) -> None:
    assert run._line(_legacy(said)) is None
    assert str(run._line(_legacy(f"{said} again"))).endswith(f"{said} again\n")


def _legacy(said: str) -> LogEvent:
    """As ``twisted.python.log.msg`` has it."""
    return {
        "log_level": LogLevel.info,
        "log_namespace": "log_legacy",
        "log_time": 1_795_640_000.7,
        "log_format": "{log_text}",
        "log_text": said,
        "message": (said,),
    }
