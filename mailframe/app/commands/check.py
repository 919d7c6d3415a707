"""``mailframe check``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import counted, is_terminal, printable
from mailframe.app.commands.shared import config_option, configuration, json_option, with_reactor

if TYPE_CHECKING:
    from mailframe.app.checks.finding import Finding

_STYLES: dict[str, dict[str, Any]] = {
    "ok": {"fg": "green"},
    "warn": {"fg": "yellow"},
    "fail": {"fg": "red", "bold": True},
    "skip": {"dim": True},
}


@click.command()
@click.option("--domain", "domains", metavar="D", multiple=True, help="Only this domain's DNS.")
@click.option("--no-network", is_flag=True, help="Look nothing up in the DNS.")
@json_option
@config_option
@click.pass_context
def check(ctx: click.Context, domains: tuple[str, ...], no_network: bool, as_json: bool) -> None:
    """Look for everything that would keep mail from flowing, or open what should be shut.

    Exit status 0, or 1 with problems. Nothing is changed and no mail is sent.
    """
    config = configuration(ctx, code=True)
    counts: Counter[str] = Counter()

    async def look(reactor: Any) -> None:
        from mailframe.app.checks.run import all_findings

        async for finding in all_findings(config, reactor, domains, not no_network):
            counts[finding.mark.value] += 1
            _show(finding, as_json)

    with_reactor(look)
    if not as_json:
        warnings = counted(counts["warn"], "warning")
        summary = f"{counts['ok']} ok, {warnings}, {counts['fail']} failed"
        click.echo(f"{summary}, {counts['skip']} skipped")
    if counts["fail"]:
        sys.exit(exits.PROBLEM)


def _show(finding: Finding, as_json: bool) -> None:
    mark = finding.mark.value
    if as_json:
        found = {"id": finding.id, "mark": mark, "text": finding.text, "fix": finding.fix}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    shown = click.style(f"{mark:<4}", **_STYLES[mark]) if is_terminal() else f"{mark:<4}"
    click.echo(f"{shown}  {finding.id:<24}  {printable(finding.text)}")
    if finding.fix:
        click.echo(f"{'':<32}fix: {printable(finding.fix)}")
