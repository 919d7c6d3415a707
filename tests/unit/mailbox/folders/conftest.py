from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.mailbox.folders.house import FolderHouse


@pytest.fixture
def house(tmp_path: Path) -> FolderHouse:
    return FolderHouse(tmp_path)


@pytest.fixture
def make_house(tmp_path: Path) -> Callable[..., FolderHouse]:
    return lambda **parts: FolderHouse(tmp_path, **parts)
