"""For all tests: generated examples have no deadline, which a busy machine would miss, and are
the same in every run of continuous integration. Elsewhere each run looks at new ones. What
takes long begins first, so that several workers end together.

Of tests with many cases of some seconds each, a share is played by default (``share``), so that
a whole run stays below a quarter of an hour; all of them with ``MAILFRAME_TESTS=all``. On a slow
machine the last of the longest are skipped."""

from __future__ import annotations

import gc
import os
import time

import pytest
from hypothesis import settings

from tests.share import is_played, plays_all

settings.register_profile(
    "mailframe", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("mailframe")

LONGEST = (
    "tests/crash/",
    "tests/simulation/",
    "tests/interop/test_workers.py",
    "tests/interop/test_fire",
    "tests/interop/test_server_",
    "tests/interop/test_path_",
    "tests/interop/test_reload_",
    "tests/interop/test_ldap.py",
    "tests/interop/",
)
LONGEST_TAKE = 300.0  # seconds in which those begin; the others take as long again

_began = time.monotonic()


def pytest_collection_finish() -> None:
    global _began
    _began = time.monotonic()
    # Thousands of tests are no garbage: looked through again and again they take the time of those
    # that measure theirs.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not plays_all():
        played = is_played(items)
        left_out = [item for item in items if item not in played]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item in played]

    items.sort(key=_rank)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    is_late = time.monotonic() - _began > LONGEST_TAKE
    if is_late and _rank(item) < len(LONGEST) and not plays_all():
        pytest.skip("the machine is slow: played with MAILFRAME_TESTS=all")


def _rank(item: pytest.Item) -> int:
    found = (number for number, room in enumerate(LONGEST) if item.nodeid.startswith(room))
    return next(found, len(LONGEST))
