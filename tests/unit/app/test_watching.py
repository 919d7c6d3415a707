"""A change of a file is told once; what comes of it keeps nobody from looking again."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailframe.app import watching
from mailframe.app.modules import Unit
from mailframe.app.watching import FileWatch, stamps_in
from mailframe.runtime.workers import InlineWorkers


class Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.changes = 0
        self.clock = Clock()
        units = [Unit("shop", str(directory))]
        self.watch = FileWatch(self.clock, InlineWorkers(), lambda: (units, []), self.changed)

    async def changed(self) -> None:
        self.changes += 1
        raise ValueError("it cannot be loaded")

    def look(self) -> int:
        self.clock.advance(watching.SECONDS)
        return self.changes


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "shop.py").write_text("1")
    place = Place(tmp_path)
    place.watch.start()
    return place


def test_a_change_is_told_once(place: Place) -> None:
    assert [place.look(), place.look()] == [0, 0]
    (place.directory / "shop.py").write_text("12")
    assert [place.look(), place.look()] == [1, 1]
    (place.directory / "more").mkdir()
    (place.directory / "more" / "new.py").write_text("")
    assert [place.look(), place.look()] == [2, 2]
    (place.directory / "shop.py").unlink()
    assert place.look() == 3
    place.watch.stop()
    (place.directory / "shop.py").write_text("")
    assert place.look() == 3


def test_what_does_not_count(place: Place) -> None:
    place.look()
    for name in (".venv/x.py", "__pycache__/x.py", "node_modules/x.py", "readme.txt"):
        path = place.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert place.look() == 0


def test_a_huge_directory_is_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST", 3)
    for number in range(10):
        (tmp_path / f"m{number}.py").write_text("")
    assert len(stamps_in([Unit("m0", str(tmp_path))], [])) == 3
