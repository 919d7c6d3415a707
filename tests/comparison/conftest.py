"""The trials take minutes: by default those of mailframe are played, with ``MAILFRAME_TESTS=all``
those of the others too; ``python -m tests.comparison`` measures all of them."""

from __future__ import annotations

import os

import pytest

HERE = os.path.dirname(__file__)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("MAILFRAME_TESTS") == "all":
        return
    left_out = [item for item in items if _is_of_others(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _is_of_others(item: pytest.Item) -> bool:
    is_ours = str(item.path).startswith(HERE)
    return is_ours and item.get_closest_marker("slow") is not None and "mailframe" not in item.name
