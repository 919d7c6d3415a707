"""``mailframe dkim new|show|check|rotate|activate|rm``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import Column, printable, show
from mailframe.app.commands.shared import (
    config_option,
    configuration,
    confirm,
    dkim_keys,
    json_option,
    with_reactor,
    yes_option,
)

if TYPE_CHECKING:
    from mailframe.accounts.dkim_keys import DkimKey
    from mailframe.app.checks.dkim import Published


@click.group()
@config_option
def dkim() -> None:
    """The keys that sign mail (DKIM), and their rotation.

    \b
    The first time:  mailframe dkim new example.org, then publish its output.
    Once a year:     mailframe dkim rotate example.org, publish; hours later:
                     mailframe dkim activate example.org
    """


@dkim.command()
@click.argument("domain")
@click.option(
    "--algorithm", type=click.Choice(["rsa", "ed25519", "both"]), default="both", show_default=True
)
@click.option("--selector", metavar="S", help="The key's name; with one algorithm only.")
@config_option
@click.pass_context
def new(ctx: click.Context, domain: str, algorithm: str, selector: str | None) -> None:
    """Make keys for DOMAIN, and show the records to publish.

    The first key of an algorithm signs at once; further ones wait for `activate`.
    """
    from mailframe.accounts.dkim_keys import ALGORITHMS

    if selector and algorithm == "both":
        raise click.UsageError("--selector names one key: choose its --algorithm")
    algorithms = list(ALGORITHMS.values()) if algorithm == "both" else [ALGORITHMS[algorithm]]
    with dkim_keys(ctx) as keys:
        _announce(keys.create(domain, algorithms, selector))


@dkim.command()
@click.argument("domain")
@config_option
@click.pass_context
def rotate(ctx: click.Context, domain: str) -> None:
    """Make the keys that are to follow those DOMAIN signs with.

    They wait until `activate`; nothing changes before.
    """
    with dkim_keys(ctx) as keys:
        _announce(keys.rotate(domain))


def _announce(made: Sequence[DkimKey]) -> None:
    from mailframe.app.dns_records import txt_rdata

    for key in made:
        click.echo(f"{key.record_name}. TXT {txt_rdata(key.record)}")
    waiting = [key.selector for key in made if key.state.value == "waiting"]
    for key in made:
        if key.selector not in waiting:
            click.echo(f"{key.selector} signs from now on: publish its record at once", err=True)
    if waiting:
        command = f"mailframe dkim activate {made[0].domain}"
        click.echo(f"publish, wait until the DNS has it everywhere, then: {command}", err=True)


@dkim.command("show")
@click.argument("domain")
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, domain: str, as_json: bool) -> None:
    """The keys of DOMAIN and their states."""
    columns: list[Column[DkimKey]] = [
        Column("SELECTOR", lambda key: key.selector),
        Column("ALGORITHM", lambda key: key.algorithm),
        Column("STATE", lambda key: key.state.value),
        Column("SINCE", lambda key: _day(key.changed)),
        Column("NEEDED UNTIL", lambda key: _day(key.needed_until) if key.needed_until else ""),
    ]
    with dkim_keys(ctx) as keys:
        show(keys.keys(domain), columns, _as_object, as_json)


def _as_object(key: DkimKey) -> dict[str, Any]:
    """What may be shown: never the private key."""
    until = key.needed_until
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state.value,
        "created": _iso(key.created),
        "changed": _iso(key.changed),
        "needed_until": _iso(until) if until is not None else None,
        "name": key.record_name,
        "record": key.record,
    }


def _day(seconds: float) -> str:
    return str(datetime.fromtimestamp(seconds, UTC).date())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dkim.command()
@click.argument("domain")
@json_option
@config_option
@click.pass_context
def check(ctx: click.Context, domain: str, as_json: bool) -> None:
    """Ask the DNS whether it has the keys of DOMAIN. Exit status 1 if one is wrong.

    Caches elsewhere may know an older state for as long as the record's TTL.
    """
    with dkim_keys(ctx) as keys:
        wanted = [key for key in keys.keys(domain) if key.is_published(time.time())]
    looked_up = _look_up(ctx, wanted)
    for key, published in looked_up:
        if as_json:
            found = {"selector": key.selector, "ok": published.is_right, "text": published.text}
            click.echo(json.dumps(found, ensure_ascii=False))
        else:
            mark = "ok" if published.is_right else "fail"
            click.echo(f"{mark:<4}  {key.selector:<16}  {printable(published.text)}")
    if not wanted:
        raise exits.CommandFailed(f"{domain} has no keys (mailframe dkim new {domain})", exits.DATA)
    if not all(published.is_right for _, published in looked_up):
        sys.exit(exits.PROBLEM)


@dkim.command()
@click.argument("domain")
@click.argument("selector", required=False)
@click.option("--force", is_flag=True, help="Do not ask the DNS.")
@config_option
@click.pass_context
def activate(ctx: click.Context, domain: str, selector: str | None, force: bool) -> None:
    """Sign with the keys that wait, or with SELECTOR; those before retire.

    Refused while the DNS does not have them. Leave the records of retired keys in place until
    `dkim show` says otherwise: mail that they signed is under way.
    """
    with dkim_keys(ctx) as keys:
        chosen = _to_activate(keys.keys(domain), selector)
        if not chosen:
            what = selector or "key that waits"
            raise exits.CommandFailed(f"{domain} has no {what}", exits.DATA)
        if not force:
            _must_be_published(ctx, chosen)
        retired = keys.activate(domain, [key.selector for key in chosen])
    for key in chosen:
        click.echo(f"{key.selector} signs from now on")
    for key in retired:
        click.echo(f"{key.selector} is retired; leave its record published for now")


def _to_activate(keys: Sequence[DkimKey], selector: str | None) -> list[DkimKey]:
    if selector is not None:
        return [key for key in keys if key.selector == selector.lower()]
    return [key for key in keys if key.state.value == "waiting"]


def _must_be_published(ctx: click.Context, chosen: Sequence[DkimKey]) -> None:
    for key, published in _look_up(ctx, chosen):
        if not published.is_right:
            raise exits.CommandFailed(
                f"{key.selector} is not activated: {printable(published.text)} (--force does it"
                " all the same, and its signatures will fail)",
                exits.TEMPORARY if published.is_unknown else exits.PROBLEM,
            )


@dkim.command()
@click.argument("domain")
@click.argument("selector")
@yes_option
@config_option
@click.pass_context
def rm(ctx: click.Context, domain: str, selector: str, yes: bool) -> None:
    """Destroy a key. Remove its record from the DNS afterwards, not before."""
    from mailframe.accounts.dkim_keys import in_use

    with dkim_keys(ctx) as keys:
        reasons = [
            in_use(key, time.time())
            for key in keys.keys(domain)
            if key.selector == selector.lower()
        ]
        if any(reasons):
            confirm(f"{reasons[0]}. Destroy the key?", yes)
        keys.remove(domain, selector, force=True)
    click.echo(f"removed {selector}")


def _look_up(ctx: click.Context, keys: Sequence[DkimKey]) -> list[tuple[DkimKey, Published]]:
    config = configuration(ctx)

    async def look(reactor: Any) -> list[tuple[DkimKey, Published]]:
        from mailframe.app.checks.dkim import published
        from mailframe.app.inquiry import dns_of

        dns = dns_of(config, reactor)
        return [(key, await published(key, dns)) for key in keys]

    return with_reactor(look) if keys else []
