"""A short, always equal run of the fuzz command; the long one is ``python -m tests.fuzz``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fuzz.campaign import one_case
from tests.fuzz.mutate import Dialogue
from tests.fuzz.targets import TARGETS

CASES = 600


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_engine_s_own_errors(name: str) -> None:
    findings = [one_case(TARGETS[name], 1, number) for number in range(CASES)]
    assert not [str(finding) for finding in findings if finding is not None]


class Broken:
    """Fails for a NUL, and depends on the split when it sees a quotation mark."""

    name = "broken"
    seeds: Sequence[Dialogue] = TARGETS["smtp"].seeds

    def run(self, pieces: Sequence[bytes]) -> int:
        if any(b"\0" in piece for piece in pieces):
            raise ValueError("NUL")
        return len(pieces) if any(b'"' in piece for piece in pieces) else 0


def test_a_broken_engine_is_found() -> None:
    findings = [one_case(Broken(), 1, number) for number in range(300)]
    found = {finding.what[:6] for finding in findings if finding is not None}
    assert found == {"raised", "split "}
