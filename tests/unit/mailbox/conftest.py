from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.mailbox.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def make_house(tmp_path: Path) -> Callable[..., House]:
    return lambda **parts: House(tmp_path, **parts)
