"""The short way of a journal event into the text log says what the long way says."""

from __future__ import annotations

import pytest
from twisted.logger import LogEvent, Logger, LogLevel, formatEventAsClassicLogText

from mailframe.app import run


@pytest.mark.parametrize("line", ["id=1 step=accept", "two\nlines\n", "{braces} %s", "ελληνικά"])
def test_lines_of_the_journal(line: str) -> None:
    event: LogEvent = {
        "log_level": LogLevel.info,
        "log_namespace": "mailframe.journal",
        "log_time": 1_795_640_000.7,
        "log_logger": Logger(),
        "log_source": None,
        "log_format": "{line}",
        "line": line,
    }
    assert run._line(event) == formatEventAsClassicLogText(event, formatTime=run._time)


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
