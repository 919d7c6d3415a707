"""The machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from mailframe.runtime.disk import Disk
from mailframe.runtime.zone import local_zone

SUMMER = datetime(2025, 7, 1)


def athens() -> Path:
    found = [path for each in TZPATH if (path := Path(each) / "Europe/Athens").exists()]
    if not found:
        pytest.skip("this system has no time zones")
    return found[0]


@pytest.mark.parametrize("name", ["Europe/Athens", ":Europe/Athens"])
def test_the_environment_names_it(name: str) -> None:
    zone = local_zone({"TZ": name}, Disk(), "/nowhere")
    assert zone.utcoffset(SUMMER) == timedelta(hours=3)


def test_the_machine_has_it() -> None:
    assert local_zone({}, Disk(), str(athens())).utcoffset(SUMMER) == timedelta(hours=3)
    named = local_zone({"TZ": str(athens())}, Disk(), "/nowhere")
    assert named.utcoffset(SUMMER) == timedelta(hours=3)


@pytest.mark.parametrize("name", ["", "No/Where", "../../etc/passwd", "/nowhere", "x" * 5_000])
def test_nobody_knows(name: str, tmp_path: Path) -> None:
    assert local_zone({"TZ": name}, Disk(), str(tmp_path / "none")) is UTC


def test_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "zone").write_bytes(b"no zone")
    assert local_zone({}, Disk(), str(tmp_path / "zone")) is UTC
    assert local_zone({}, Disk(), str(tmp_path)) is UTC
