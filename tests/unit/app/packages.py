"""Packages for tests: modules and plug-ins in a temporary directory, and nothing left of them."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest


class Packages:
    """``directory`` is on the path of Python while the test runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._time = 1_000_000_000

    def write(self, name: str, code: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        # Another time at each writing, however quick the test: by whole seconds, as compiled files
        # have it.
        self._time += 10
        os.utime(path, (self._time, self._time))
        return path

    def plugin(self, name: str, module: str, code: str, version: str = "1.2") -> None:
        """As if it was installed: its module, and what is known of its package."""
        self.write(f"{module}.py", code)
        about = f"{name.replace('-', '_')}-{version}.dist-info"
        self.write(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        self.write(f"{about}/top_level.txt", f"{module}\n")
        self.write(f"{about}/entry_points.txt", f"[mailframe.plugins]\n{name} = {module}:app\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    directory = tmp_path / "modules"
    directory.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(directory)
    yield Packages(directory)
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if path.startswith(f"{directory}{os.sep}"):
            del sys.modules[name]
