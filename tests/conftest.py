"""For all tests: generated examples have no deadline, which a busy machine would miss."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mailframe", deadline=None, print_blob=True)
settings.load_profile("mailframe")
