"""``mailframe sim``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from mailframe.app import exits

if TYPE_CHECKING:
    from mailframe.simulation.campaign import Played, Summary

_MOST_FAILED = 20  # seeds that are listed by name


class _Seeds(click.ParamType[range]):
    """``A:B``, both included, or one number."""

    name = "A:B"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        first, colon, last = str(value).partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            self.fail(f"{value!r} is neither a number nor two as in 1:1000", param, ctx)
        return range(int(first), int(last if colon else first) + 1)


@click.command()
@click.option("--seeds", type=_Seeds(), default="1:100", show_default=True, help="Which worlds.")
@click.option("--scenario", metavar="NAME", default="", help="Only this kind of world.")
@click.option(
    "--mutate",
    metavar="NAME",
    default="",
    help="Plant this bug first; all: each of them, and say where it is seen.",
)
@click.option("--list", "lists", is_flag=True, help="Name the scenarios and the bugs, and stop.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True)
@click.option("--story", is_flag=True, help="Tell the story also of a seed that did well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a seed, and a summary.")
@click.option("--keep-going", is_flag=True, help="Play all seeds even after one has failed.")
def sim(
    seeds: range,
    scenario: str,
    mutate: str,
    lists: bool,
    processes: int,
    story: bool,
    as_json: bool,
    keep_going: bool,
) -> None:
    """Play whole networks of servers, with faults, and look for a broken promise.

    Every seed is a world of its own: servers, users, foreign servers, links, disks, and what
    goes wrong with them. The first seed that fails is made as small as possible and told.

    \b
    Example: mailframe sim --seeds 1:1000 --processes 2
    """
    from mailframe.simulation.campaign import Summary, campaign
    from mailframe.simulation.mutations import MUTATIONS
    from mailframe.simulation.scenarios import SCENARIOS

    if lists:
        _list()
        return
    _check("scenario", scenario, list(SCENARIOS))
    if mutate == "all":
        _hunt(list(MUTATIONS), seeds, scenario, processes, as_json=as_json)
        return
    _check("mutate", mutate, list(MUTATIONS))
    summary = Summary()
    for played in campaign(seeds, processes, scenario, mutate):
        summary.add(played)
        if as_json:
            click.echo(json.dumps(_object(played), ensure_ascii=False))
        if played.violations and not keep_going:
            break
    _report(summary, scenario, mutate, as_json=as_json, story=story and len(seeds) == 1)
    if summary.failed:
        sys.exit(exits.PROBLEM)


def _hunt(names: list[str], seeds: range, scenario: str, processes: int, *, as_json: bool) -> None:
    from mailframe.simulation.campaign import hunts

    unseen = 0
    for name, played in hunts(names, seeds, processes, scenario):
        unseen += played is None
        seed = None if played is None else played.seed
        what = "not seen" if played is None else str(played.violations[0])
        if as_json:
            click.echo(json.dumps({"mutation": name, "seed": seed, "violation": what}))
        else:
            click.echo(f"{name:24} {'' if seed is None else f'seed {seed}: '}{what[:160]}")
    if unseen:
        sys.exit(exits.PROBLEM)


def _check(option: str, name: str, known: list[str]) -> None:
    if name and name not in known:
        raise click.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint=option)


def _list() -> None:
    from mailframe.simulation.mutations import MUTATIONS
    from mailframe.simulation.scenarios import SCENARIOS

    for title, table in (("Scenarios", SCENARIOS), ("Bugs to plant", MUTATIONS)):
        click.echo(f"{title}:")
        for name, function in table.items():
            words = " ".join((function.__doc__ or "").split())
            click.echo(f"  {name:24} {words}")


def _report(summary: Summary, scenario: str, mutate: str, *, as_json: bool, story: bool) -> None:
    if as_json:
        click.echo(json.dumps({"summary": summary.line(), "failed": len(summary.failed)}))
        return
    click.echo(summary.line())
    if summary.failed:
        seeds = [str(played.seed) for played in summary.failed[:_MOST_FAILED]]
        click.echo(f"failed: {', '.join(seeds)}")
        click.echo()
    if summary.failed or story:
        seed = summary.failed[0].seed if summary.failed else None
        _tell(seed, summary, scenario, mutate)


def _tell(seed: int | None, summary: Summary, scenario: str, mutate: str) -> None:
    from mailframe.simulation.campaign import prepare
    from mailframe.simulation.play import play
    from mailframe.simulation.scenarios import draw
    from mailframe.simulation.shrink import shrink
    from mailframe.simulation.telling import tell

    prepare()
    number = seed if seed is not None else summary.last
    outcome = play(draw(number, scenario), mutate)
    if outcome.violations:
        outcome = shrink(outcome, mutate)
    options = "".join(
        f" --{option} {value}"
        for option, value in (("scenario", scenario), ("mutate", mutate))
        if value
    )
    for line in tell(outcome, f"mailframe sim --seeds {number}{options} --story"):
        click.echo(line)


def _object(played: Played) -> dict[str, object]:
    return {
        "seed": played.seed,
        "scenario": played.scenario,
        "digest": played.digest,
        "violations": [str(violation) for violation in played.violations],
        "counts": dict(sorted(played.counts.items())),
        "simulated": round(played.simulated, 3),
    }
