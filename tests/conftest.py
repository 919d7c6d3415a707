"""For all tests: generated examples have no deadline, which a busy machine would miss, and are
the same in every run of continuous integration. Elsewhere each run looks at new ones."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile(
    "mailframe", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("mailframe")
