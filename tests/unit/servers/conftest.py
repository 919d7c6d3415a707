"""Fixtures of the servers' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher


@pytest.fixture
def logged_errors() -> Iterator[Callable[[type[Exception]], int]]:
    """How many failures of a type were logged with their traceback during the test."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield lambda kind: sum(
        1 for event in events if "log_failure" in event and event["log_failure"].check(kind)
    )
    globalLogPublisher.removeObserver(events.append)
