"""``mailframe route``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import printable
from mailframe.app.commands.shared import config_option, configuration, json_option, with_reactor

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.app.routes import Way


@click.command()
@click.argument("address")
@click.option("--from", "sender", metavar="ADDRESS", help="Say whether this sender may, too.")
@click.option("--no-network", is_flag=True, help="Look nothing up in the DNS.")
@json_option
@config_option
@click.pass_context
def route(
    ctx: click.Context, address: str, sender: str | None, no_network: bool, as_json: bool
) -> None:
    """Where a message for ADDRESS would go, and why. Nothing is sent.

    Exit status 1 when it would go nowhere.

    \b
    Example: mailframe route bob@example.org
    """
    ways = _find(configuration(ctx), address, sender, no_network)
    for way in ways:
        if as_json:
            click.echo(json.dumps(way.as_object(), ensure_ascii=False))
        else:
            for line in way.lines():
                click.echo(printable(line))
    if any(way.is_dead_end for way in ways):
        sys.exit(exits.PROBLEM)


def _find(config: Config, address: str, sender: str | None, no_network: bool) -> list[Way]:
    from mailframe.app.inquiry import inquiry
    from mailframe.app.routes import ways_of
    from mailframe.core.address import Address, AddressError

    try:
        to = Address.parse(address)
        author = Address.parse(sender) if sender else None
    except AddressError as error:
        raise exits.CommandFailed(str(error), exits.DATA) from error

    async def ask(reactor: Any) -> list[Way]:
        async with inquiry(config, reactor) as parts:
            return await ways_of(parts, to, author, look_up=not no_network)

    return with_reactor(ask)
