"""The goals for speed, and what is measured: mailframe beside its peers, in turn, on one disk.

    python -m tests.benchmarks.goals [--only WORD;WORD] [--rounds 3] [--json FILE]
        [--driver smtp-source|mailframe] [--workers N] [--scale 0.05] [--against COMMAND]

Every figure is of the same minutes and the same disk for both: the servers run in turn, every
second round backwards, and what counts is the ratio of each round. Absolute figures tell about
the machine and its neighbours. ``--scale`` makes all counts smaller, to see that everything
runs; figures are for the whole counts only. ``--against`` puts another mailframe's command in
the place of the peers: what a change brought is measured like that. Needs root (Postfix and
Dovecot do) and Debian's postfix and dovecot-pop3d; the last part also opendkim, opendmarc and
postfix-policyd-spf-python. Leaves with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import (
    goals_checks,
    goals_growth,
    goals_memory,
    goals_pop3,
    goals_relay,
    goals_smtp,
)
from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import HEAD, Row, Rows, all_met, line
from tests.benchmarks.paired_load import DRIVERS
from tests.interop.peers.process import workdir

PARTS: dict[str, Callable[[Stage], Rows]] = {
    "stored": goals_smtp.stored,
    "large": goals_smtp.large,
    "latency": goals_smtp.latency,
    "relay": goals_relay.relayed,
    "spread": goals_relay.spread,
    "pop3": goals_pop3.fetched,
    "memory": goals_memory.idle_server,
    "connections": goals_memory.idle_connections,
    "mailbox": goals_growth.mailbox,
    "queue": goals_growth.queue,
    "directory": goals_growth.directory,
    "checks": goals_checks.checked,
}
DURABILITY = """\
Durability, the same or more on our side:
- mailframe says 250 after a synced commit of its spool, one for all that arrived meanwhile; it
  syncs the file in the Maildir and the directory before the message leaves the queue.
- Postfix syncs its queue file before the 250, and the file in the Maildir, not the directory.
- Twisted's ESMTP here syncs the file in the Maildir and the directory before the 250; no queue.
- aiosmtpd's Mailbox handler syncs the file before the 250, not the directory; no queue.
- Reading (POP3) syncs nothing on either side."""


def main() -> None:
    options = _options()
    print(DURABILITY + "\n\n" + HEAD, flush=True)
    rows, broken = [], []
    with contextlib.ExitStack() as ends:
        stage = Stage(
            ends,
            ends.enter_context(workdir("goals")),
            options.rounds,
            options.scale,
            options.driver,
            options.workers,
            options.against,
        )
        for name in options.only.split(";") if options.only else PARTS:
            found, fine = _part(stage, name)
            rows += found
            broken += [] if fine else [name]
    if options.json:
        Path(options.json).write_text(json.dumps(_as_object(options, rows), indent=1) + "\n")
    if broken:
        sys.exit(f"could not be measured: {', '.join(broken)}")
    sys.exit(0 if all_met(rows) else 1)


def _part(stage: Stage, name: str) -> tuple[list[Row], bool]:
    """Its rows, printed as they come; and whether it came to its end. What one part lacks or
    breaks is told, and the others go on."""
    rows = []
    try:
        for row in PARTS[name](stage):
            rows.append(row)
            print(line(row), flush=True)
    except (RuntimeError, OSError, pytest.skip.Exception, pytest.fail.Exception):
        stage.say(f"{name}:\n{traceback.format_exc()}")
        return rows, False
    return rows, True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"some of {';'.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write every figure to this file")
    parser.add_argument("--driver", choices=DRIVERS, default=DRIVERS[0])
    parser.add_argument("--workers", type=int, help="of mailframe; its default where not given")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--against", help="command of another mailframe instead of the peers")
    options = parser.parse_args()
    unknown = set(filter(None, options.only.split(";"))) - set(PARTS)
    if unknown:
        parser.error(f"--only knows {'; '.join(PARTS)}, not {', '.join(unknown)}")
    return options


def _as_object(options: argparse.Namespace, rows: list[Row]) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "options": vars(options),
        "rows": [row.as_object() for row in rows],
    }


if __name__ == "__main__":
    main()
