"""For all tests: generated examples have no deadline, which a busy machine would miss, and are
the same in every run of continuous integration. Elsewhere each run looks at new ones. What
takes long begins first, so that several workers end together."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile(
    "mailframe", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("mailframe")

LONGEST = ("tests/simulation/", "tests/crash/", "tests/interop/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        found = (number for number, room in enumerate(LONGEST) if item.nodeid.startswith(room))
        return next(found, len(LONGEST))

    items.sort(key=rank)
