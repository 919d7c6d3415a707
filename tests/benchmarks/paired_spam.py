"""The filter that learns beside bogofilter, SpamAssassin's Bayes and rspamd's.

    python -m tests.benchmarks.paired_spam [--filters mailframe,bogofilter,...]
        [--scenarios bare,all,...] [--seeds 20261123,...] [--messages N]

Every message of the corpus is judged, then taught, in an order that a seed makes; a filter that
is not installed is said to be missing. Printed per stretch of the stream: ham lost and spam
missed at the filter's own limit (what it calls spam for certain) and at even odds, and
1 - AUC, the chance that a ham is ranked above a spam, over all messages up to there; of what
came after the first thousand, also the spam missed where 0.2 % of the ham is lost. The rates
are messages judged, and judged or taught, per second; a peer's include what it costs to speak to
it (bogofilter: a process each), so they say how it is used, not how fast it could be.

Scenarios: ``all`` headers; ``bare``, without the header fields that tell who collected the mail
(the honest figure); ``errors``, taught only where wrong; ``labels``, 5 % taught wrongly;
``poison``, 1,000 messages of ham's words taught as spam after the first 1,000. The latter three
are with bare headers.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.paired_spam_mail import (
    SEED,
    Mail,
    bare,
    corpus,
    mislabelled,
    poisoned,
    shuffled,
)
from tests.benchmarks.paired_spam_peers import FILTERS, Filter, Unavailable, started

STRETCHES = ((0, 200), (200, 500), (500, 1000), (1000, 3020))


@dataclass(slots=True)
class Run:
    """One filter over one stream."""

    limit: float
    judged: list[tuple[float, bool]] = field(default_factory=list)
    judging: float = 0.0
    teaching: float = 0.0
    taught: int = 0


Scenario = Callable[[Sequence[Mail], int], list[Mail]]


def _bare(mails: Sequence[Mail], seed: int) -> list[Mail]:
    return [bare(mail) for mail in shuffled(mails, seed)]


def _labels(mails: Sequence[Mail], seed: int) -> list[Mail]:
    return mislabelled(_bare(mails, seed), 0.05, seed)


def _poison(mails: Sequence[Mail], seed: int) -> list[Mail]:
    return poisoned(_bare(mails, seed), 1000, 1000, seed)


SCENARIOS: dict[str, Scenario] = {
    "all": shuffled,
    "bare": _bare,
    "errors": _bare,
    "labels": _labels,
    "poison": _poison,
}


def run(filter_: Filter, mails: Sequence[Mail], *, only_errors: bool = False) -> Run:
    result = Run(filter_.lost_from)
    for mail in mails:
        begin = time.perf_counter()
        score = filter_.score(mail.message) if mail.judged or only_errors else 0.5
        middle = time.perf_counter()
        if mail.judged:
            result.judged.append((score, mail.is_spam))
            result.judging += middle - begin
        if not only_errors or score == 0.5 or (score > 0.5) != mail.taught:
            filter_.learn(mail.message, mail.taught)
            result.teaching += time.perf_counter() - middle
            result.taught += 1
    return result


def one_minus_auc(judged: Sequence[tuple[float, bool]]) -> float:
    """In percent; ties count half. 0 where there is one kind only."""
    hams = sum(1 for _, is_spam in judged if not is_spam)
    spams = len(judged) - hams
    if not hams or not spams:
        return 0.0
    by_score: dict[float, list[int]] = {}
    for score, is_spam in judged:
        by_score.setdefault(score, [0, 0])[is_spam] += 1
    wrong, hams_above = 0.0, hams
    for _, (ham, spam) in sorted(by_score.items()):
        hams_above -= ham
        wrong += spam * (hams_above + ham / 2)
    return 100 * wrong / (hams * spams)


def lost_and_missed(judged: Sequence[tuple[float, bool]], limit: float) -> tuple[float, float]:
    """Percent of the ham at or over the limit, and of the spam below it."""
    ham = [score >= limit for score, is_spam in judged if not is_spam]
    spam = [score < limit for score, is_spam in judged if is_spam]
    return 100 * sum(ham) / max(1, len(ham)), 100 * sum(spam) / max(1, len(spam))


def missed_where(judged: Sequence[tuple[float, bool]], lost: float) -> float:
    """Percent of the spam missed with a limit at which at most ``lost`` percent of ham is lost:
    what compares filters whose own limits mean different things."""
    ham = sorted((score for score, is_spam in judged if not is_spam), reverse=True)
    spam = [score for score, is_spam in judged if is_spam]
    below = ham[int(len(ham) * lost / 100)]
    return 100 * sum(score <= below for score in spam) / max(1, len(spam))


def table(name: str, scenario: str, seed: int, result: Run) -> None:
    print(f"{name:<13}{scenario:<8}seed {seed}   limit {result.limit}", end="   ")
    print(
        f"judged {len(result.judged) / result.judging:,.0f}/s, taught {result.taught:,} at"
        f" {result.taught / result.teaching:,.0f}/s"
    )
    for begin, end in STRETCHES:
        stretch = result.judged[begin:end]
        if not stretch:
            break
        lost, missed = lost_and_missed(stretch, result.limit)
        lost_even, missed_even = lost_and_missed(stretch, 0.5)
        print(
            f"    {begin:>4}-{min(end, begin + len(stretch)):<5}"
            f" ham lost {lost:5.2f} %  spam missed {missed:5.2f} %"
            f"   at even odds {lost_even:5.2f} % {missed_even:5.2f} %"
            f"   1-AUC so far {one_minus_auc(result.judged[:end]):.4f} %"
        )
    late = result.judged[1000:]
    if any(not is_spam for _, is_spam in late):
        print(
            f"     after 1000: 1-AUC {one_minus_auc(late):.4f} %, spam missed where 0.2 % of ham is"
            f" lost {missed_where(late, 0.2):.2f} %",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = functools.partial(str.split, sep=",")
    parser.add_argument("--filters", type=names, default=list(FILTERS))
    parser.add_argument("--scenarios", type=names, default=list(SCENARIOS))
    parser.add_argument("--seeds", type=names, default=[str(SEED)])
    parser.add_argument("--messages", type=int, default=0, help="of the corpus; 0: all")
    options = parser.parse_args(arguments)
    mails = corpus()
    for scenario in options.scenarios:
        for seed in map(int, options.seeds):
            stream = SCENARIOS[scenario](mails, seed)
            if options.messages:
                stream = stream[: options.messages]
            for name in options.filters:
                with tempfile.TemporaryDirectory(prefix="mailframe-spam-") as directory:
                    try:
                        with started(name, Path(directory)) as filter_:
                            result = run(filter_, stream, only_errors=scenario == "errors")
                    except Unavailable as missing:
                        print(f"{name:<13}{scenario:<8}left out: {missing}", flush=True)
                        continue
                table(name, scenario, seed, result)


if __name__ == "__main__":
    main()
