"""What it costs to judge a message: mailframe's checks beside the usual ones around Postfix.

    python -m tests.benchmarks.paired_checks [--messages 1000] [--rounds 3] [--only "rspamd;bare"]

10 KB messages, each signed with RSA-2048, with SPF pass and DMARC ``p=reject``, no two alike,
a connection for each; a name server of the test's own holds all records, and every resolver
is warm. Five systems in turn, every second round backwards: mailframe with all its checks and
a trained filter; mailframe that asks only SPF, DKIM, DMARC and the client's names; mailframe
with no check; Postfix with OpenDKIM, OpenDMARC and policyd-spf; Postfix with rspamd. Every
system that checks must have said ``pass`` three times about a first message.
``cpu_ms`` is the CPU time for a message of all processes of a system, the name server left out.
Absolute figures tell about the machine and its neighbours. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.benchmarks.paired_checks_mail import Letters, Sender, new_author, signed
from tests.benchmarks.paired_checks_servers import STARTS, Judge, Unavailable
from tests.benchmarks.paired_cost import Cost
from tests.benchmarks.paired_servers import MAILBOX
from tests.interop.peers.dns import Dns
from tests.interop.peers.process import loopback_address, wait_until, workdir

_OCTETS = 10_240
_DISTINCT = 500
_TAUGHT = 200
_PATIENCE = 300.0
_FIRST = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    accepted_per_second: float
    cpu_ms: float
    peak_rss_mb: float
    deferred: int
    """How often a message was put off."""


Rounds = dict[str, list[Figures]]
"""By the system's name, the first is what the others are compared with."""


def main() -> None:
    options = _options()
    with contextlib.ExitStack() as ends:
        rounds = compare(ends, options)
    _print(rounds, options)
    if options.json:
        found = {name: [dataclasses.asdict(one) for one in own] for name, own in rounds.items()}
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=f"some of {';'.join(STARTS)}")
    parser.add_argument("--json", help="write every run to this file")
    return parser.parse_args()


def compare(ends: contextlib.ExitStack, options: argparse.Namespace) -> Rounds:
    directory = ends.enter_context(workdir("checks"))
    author, letters = new_author(), Letters(1, MAILBOX)
    mail = [signed(letters(_OCTETS), author) for _ in range(min(options.messages, _DISTINCT))]
    print(f"{sum(map(len, mail)) / len(mail):.0f} octets a message", file=sys.stderr)
    (directory / "dns").mkdir()
    dns = Dns(directory / "dns", loopback_address())
    dns.start(author.zone)
    ends.callback(dns.stop)
    judges = _started(ends, directory, dns, options.only.split(";") if options.only else STARTS)
    for judge in judges:
        _warm_up(judge, mail, options.sessions)
    rounds: Rounds = {judge.name: [] for judge in judges}
    for number in range(options.rounds):
        for judge in judges if number % 2 == 0 else reversed(judges):
            figures = _run(judge, mail, options)
            rounds[judge.name].append(figures)
            load = os.getloadavg()[0]
            print(f"{judge.name}: {figures}, load {load:.1f}", file=sys.stderr, flush=True)
    return rounds


def _started(
    ends: contextlib.ExitStack, directory: Path, dns: Dns, names: Iterable[str]
) -> list[Judge]:
    taught = _lessons(directory / "taught")
    judges = []
    for name in names:
        (directory / name).mkdir()
        try:
            judges.append(STARTS[name](ends, directory / name, dns, taught))
        except (Unavailable, pytest.skip.Exception, pytest.fail.Exception) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return judges


def _lessons(directory: Path) -> list[Path]:
    """Ham in the words of what is sent, and spam in others."""
    folders = []
    for seed, label in ((1, "ham"), (2, "spam")):
        letters = Letters(seed, MAILBOX)
        folder = directory / label
        folder.mkdir(parents=True)
        for number in range(_TAUGHT):
            (folder / f"{number}.eml").write_bytes(letters(_OCTETS))
        folders.append(folder)
    return folders


def _warm_up(judge: Judge, mail: Sequence[bytes], sessions: int) -> None:
    """And see that all checks were made. Raises RuntimeError where they were not."""
    judge.set_aside()
    # One at first: resolvers that are asked ten times at once before they know anything fail.
    Sender(judge.port, MAILBOX, 1).send(mail, 1)
    Sender(judge.port, MAILBOX, sessions).send(mail, _FIRST)
    wait_until(lambda: judge.stored() > _FIRST, f"{judge.name} stores")
    if judge.name.endswith("no checks"):
        return
    stored = next((judge.maildir / "new").iterdir()).read_bytes()
    found = [b"spf=pass", b"dkim=pass", b"dmarc=pass"]
    if judge.name == "mailframe":
        found.append(b"BAYES=")
    missing = [each for each in found if each not in stored]
    if missing:
        raise RuntimeError(f"{judge.name} did not find {missing}:\n{stored[:3000].decode()}")


def _run(judge: Judge, mail: Sequence[bytes], options: argparse.Namespace) -> Figures:
    judge.set_aside()
    sender = Sender(judge.port, MAILBOX, options.sessions)
    with Cost(*judge.roots) as cost:
        begun = time.monotonic()
        sender.send(mail, options.messages)
        accepted = time.monotonic() - begun
        while (arrived := judge.stored()) < options.messages:
            if time.monotonic() - begun > _PATIENCE:
                raise RuntimeError(f"{judge.name}: only {arrived} arrived")
            time.sleep(0.02)
    return Figures(
        accepted_per_second=options.messages / accepted,
        cpu_ms=cost.cpu_seconds / options.messages * 1000,
        peak_rss_mb=cost.peak_rss / 1e6,
        deferred=sender.deferred,
    )


def _print(rounds: Rounds, options: argparse.Namespace) -> None:
    first = next(iter(rounds.values()))
    print(f"{options.messages} messages, {len(first)} rounds, median (least-most)\n")
    print("| | accepted/s | CPU ms a message | CPU to the first's | peak memory (RSS sum) MB |")
    print("|---|---|---|---|---|")
    for name, own in rounds.items():
        speed = [each.accepted_per_second for each in own]
        cpu = [each.cpu_ms for each in own]
        ratios = [each.cpu_ms / base.cpu_ms for each, base in zip(own, first, strict=True)]
        memory = statistics.median(each.peak_rss_mb for each in own)
        print(f"| {name} | {_spread(speed, 0)} | {_spread(cpu, 1)} | {_spread(ratios, 2)} ", end="")
        print(f"| {memory:.0f} |")


def _spread(values: Sequence[float], digits: int) -> str:
    least, most = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


if __name__ == "__main__":
    main()
