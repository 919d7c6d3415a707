"""All sender checks and the filter, beside Postfix with the usual milters."""

from __future__ import annotations

import argparse

from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows
from tests.benchmarks.paired_checks import compare

_SYSTEMS = "checking;authentication;opendkim"


def checked(stage: Stage) -> Rows:
    """See ``paired_checks`` for what each system does. Raises RuntimeError where there is nobody
    to compare with."""
    options = argparse.Namespace(
        messages=stage.count(1000, 60), sessions=10, rounds=stage.rounds, only=_SYSTEMS
    )
    rounds = compare(stage.ends, options)
    peers = [name for name in rounds if name.startswith("Postfix")]
    if not peers:
        raise RuntimeError("Postfix with its milters is not there; see above")
    for ours in (name for name in rounds if name.startswith("mailframe")):
        for peer in peers:
            pair = (rounds[ours], rounds[peer])
            speed = [[each.accepted_per_second for each in runs] for runs in pair]
            cpu = [[each.cpu_ms for each in runs] for runs in pair]
            what = "all checks and the filter" if ours == "mailframe" else "SPF, DKIM, DMARC only"
            goal = Goal(1, at_least=True)
            yield Row(f"{what}, 10 KB signed: accepted", "1/s", speed[0], peer, speed[1], goal)
            yield Row(f"{what}, 10 KB signed: CPU", "s per 1,000", cpu[0], peer, cpu[1])
