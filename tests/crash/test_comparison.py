"""The comparison of docs/durability.md, in short: our figures are zeros, and others' are not."""

from __future__ import annotations

from tests.crash.comparison.stores import LOST
from tests.crash.comparison.table import KINDS, figures, rows


def test_what_the_explorer_finds_where() -> None:
    found = figures(per_operation=6)
    twisted, aiosmtpd, ours = found
    assert [ours.counts[kind] for kind in KINDS] == [0, 0, 0, 0]
    assert ours.cases > 300
    for other in (twisted, aiosmtpd):
        assert other.counts[LOST], other.store
    assert len(list(rows(found))) == 5
