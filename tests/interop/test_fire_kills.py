"""kill -9 under load, the short form; ``python -m tests.fire --kills 200`` is the long one."""

from __future__ import annotations

import pytest

from tests.fire.ground import ground
from tests.fire.kills import Campaign


@pytest.mark.slow
def test_ten_kills_lose_nothing() -> None:
    with ground() as place:
        campaign = Campaign(place, seed=5, longest=0.3)
        verdict = campaign.run(10)
        print(campaign.ledger.answers, verdict.counts, verdict.repeated)
        assert verdict.problems == []
        assert place.mailframe.tracebacks == []
    assert verdict.counts["relayed"] > 10
    assert verdict.counts["kept by IMAP"] > 0
