"""DMARC reports in the house: sent only where configured, purged, and quiet after the end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from mailframe.app.config import Config, load_config
from mailframe.app.reporting import Reporting
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.duty import Duty
from mailframe.runtime.machine import Machine
from mailframe.runtime.workers import InlineWorkers

CONFIG = """\
hostname = "mail.here.test"
base = "state"
[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
[policy.dmarc]
"""
SENDING = 'report_from = "dmarc@here.test"\n'
HOUR = 3_600.0


class Place:
    def __init__(self, directory: Path, dmarc: str) -> None:
        path = directory / "mailframe.toml"
        path.write_text(CONFIG + dmarc)
        self.config: Config = load_config(str(path), {})
        self.clock = Clock()
        machine = Machine(self.clock)
        self.reporting = Reporting(
            self.config, machine, Duty(machine.disk, str(directory / "state" / "duty"))
        )
        self.house: Any = SimpleNamespace(
            resolver=None, journal=None, content_workers=InlineWorkers(), desk=None
        )

    def start(self) -> None:
        outbox: Any = object()
        self.reporting.start(self.house, self.config, outbox)

    def stop(self) -> None:
        fired(as_deferred(self.reporting.stop()))


@pytest.mark.parametrize("dmarc", ["", SENDING + "reports = false\n"])
def test_where_nothing_is_sent_nothing_is_counted(tmp_path: Path, dmarc: str) -> None:
    place = Place(tmp_path, dmarc)
    place.start()
    assert place.reporting.note is None
    place.stop()


def test_where_reports_are_sent_results_are_counted(tmp_path: Path) -> None:
    place = Place(tmp_path, SENDING)
    assert place.reporting.note is None
    place.start()
    assert place.reporting.note is not None
    place.stop()


@pytest.mark.parametrize("dmarc", ["", SENDING])
def test_the_end_leaves_nothing_behind(tmp_path: Path, dmarc: str) -> None:
    place = Place(tmp_path, dmarc)
    place.start()
    assert place.clock.getDelayedCalls()
    place.stop()
    assert place.clock.getDelayedCalls() == []


def test_what_never_started_can_be_stopped(tmp_path: Path) -> None:
    Place(tmp_path, SENDING).stop()


def test_old_reports_are_removed_hourly_also_after_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, "")
    asked: list[float] = []

    def purge(now: float) -> Deferred[int]:
        asked.append(now)
        return fail(OSError("disk full")) if len(asked) == 1 else succeed(0)

    monkeypatch.setattr(place.reporting.store, "purge", purge)
    seen: list[LogEvent] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        place.start()
        place.clock.advance(HOUR)
        place.clock.advance(HOUR)
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert asked == [HOUR, 2 * HOUR]
    assert [event["log_format"] for event in seen if event.get("log_failure")] == [
        "old reports could not be removed"
    ]
    place.stop()


def test_reports_are_read_only_where_somebody_gets_them(tmp_path: Path) -> None:
    place = Place(tmp_path, "")
    assert place.reporting.intake(place.house, place.config) is None
    place = Place(tmp_path, 'reports_to = ["dmarc@here.test"]\n')
    assert place.reporting.intake(place.house, place.config) is not None
