"""Every workload there is."""

from __future__ import annotations

from typing import Any

from mailframe.testing.crash import Subject
from tests.crash.folder_workloads import FOLDER_SUBJECTS
from tests.crash.mail_workloads import MAIL_SUBJECTS
from tests.crash.server_workloads import SERVER_SUBJECTS
from tests.crash.state_workloads import STATE_SUBJECTS

# Recovered in the rooms that keep the state, in milliseconds; SERVER_SUBJECTS by a whole start.
SUBJECTS: list[Subject[Any]] = [*MAIL_SUBJECTS, *FOLDER_SUBJECTS, *STATE_SUBJECTS]

__all__ = ["SERVER_SUBJECTS", "SUBJECTS"]
