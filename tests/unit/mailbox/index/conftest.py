from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed


@pytest.fixture
def indexed(tmp_path: Path) -> Indexed:
    return Indexed(House(tmp_path))
