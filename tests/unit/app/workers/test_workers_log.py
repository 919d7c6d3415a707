"""One log of several processes: whole lines, with their level, and whose last words they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from mailframe.app.workers.relayed_log import LastWords, LineCollector, ToEvents

LINE = b"2026-11-26T10:59:48+0000 [mailframe.journal#info] 7KQ2M4XD accepted\n"
TRACEBACK = b"2026-11-26T10:59:48+0000 [mailframe.a.B#critical] failed\n\tTraceback\n\t  line 1\n"


PORT = b"2026-11-26T10:59:48+0000 [-] (TCP Port 25 Closed)\n"


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    seen: list[LogEvent] = []
    globalLogPublisher.addObserver(seen.append)
    yield seen
    globalLogPublisher.removeObserver(seen.append)


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_lines_are_passed_on_whole(size: int) -> None:
    written: list[bytes] = []
    collector = LineCollector(written.append)
    data = LINE + TRACEBACK + b"no end"
    for start in range(0, len(data), size):
        collector.received(data[start : start + size])
    assert all(lines.endswith(b"\n") for lines in written)
    assert b"".join(written) == LINE + TRACEBACK
    collector.ended()
    assert written[-1] == b"no end\n"


def test_a_line_without_end_is_not_kept_without_end() -> None:
    written: list[bytes] = []
    collector = LineCollector(written.append)
    for _ in range(3):
        collector.received(b"x" * 500_000)
    assert b"".join(written).count(b"x") == 1_500_000


def test_lines_become_events_again(events: list[LogEvent]) -> None:
    ToEvents()(LINE + TRACEBACK + PORT + b"something else {not a format}\n")
    assert [
        (event["log_namespace"], event["log_level"], formatEvent(event)) for event in events
    ] == [
        ("mailframe.journal", LogLevel.info, "7KQ2M4XD accepted"),
        ("mailframe.a.B", LogLevel.critical, "failed\n\tTraceback\n\t  line 1"),
        ("mailframe.app.workers", LogLevel.info, "(TCP Port 25 Closed)"),
        ("mailframe.app.workers", LogLevel.info, "something else {not a format}"),
    ]
    assert [event.get("log_system") for event in events] == [None, None, "-", None]


def test_last_words_have_a_name(events: list[LogEvent]) -> None:
    LastWords("w1-5f0c")(b"Fatal Python error: Segmentation fault\n\xff\n")
    assert [formatEvent(event) for event in events] == [
        "w1-5f0c: Fatal Python error: Segmentation fault",
        "w1-5f0c: \ufffd",
    ]
