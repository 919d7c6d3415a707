"""``mailframe alias add|list|rm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import (
    config_option,
    confirm,
    directory_admin,
    json_option,
    yes_option,
)

if TYPE_CHECKING:
    from mailframe.accounts.records import Alias


@click.group()
@config_option
def alias() -> None:
    """Addresses that stand for others. @DOMAIN is the catch-all of a domain.

    Example: mailframe alias add sales@example.org ann@example.org bob@example.org
    """


@alias.command()
@click.argument("alias", metavar="ALIAS")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--list", "is_list", is_flag=True, help="EXPN may name the targets.")
@config_option
@click.pass_context
def add(ctx: click.Context, alias: str, targets: tuple[str, ...], is_list: bool) -> None:
    """Add TARGETs to ALIAS, which is made where needed."""
    with directory_admin(ctx) as admin:
        missing = admin.add_alias(alias, targets, is_list=is_list)
    click.echo(f"added {alias}")
    for target in missing:
        click.echo(f"warning: there is no {target} yet: its mail is left out", err=True)


@alias.command("list")
@click.argument("domain", required=False)
@json_option
@config_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """List the aliases, of DOMAIN or of all."""
    columns: list[Column[Alias]] = [
        Column("ALIAS", lambda alias: alias.name),
        Column("TARGETS", lambda alias: ", ".join(map(str, alias.targets))),
        Column("KIND", lambda alias: "list" if alias.is_list else "alias"),
    ]
    with directory_admin(ctx) as admin:
        show(
            admin.aliases(domain),
            columns,
            lambda alias: {
                "alias": alias.name,
                "targets": [str(target) for target in alias.targets],
                "list": alias.is_list,
            },
            as_json,
        )


@alias.command()
@click.argument("alias", metavar="ALIAS")
@click.argument("targets", metavar="[TARGET...]", nargs=-1)
@yes_option
@config_option
@click.pass_context
def rm(ctx: click.Context, alias: str, targets: tuple[str, ...], yes: bool) -> None:
    """Remove ALIAS, or only the named TARGETs of it."""
    with directory_admin(ctx) as admin:
        what = f"{', '.join(targets)} from {alias}" if targets else f"the alias {alias}"
        confirm(f"Remove {what}?", yes)
        admin.remove_alias(alias, targets)
    click.echo(f"removed {what}")
