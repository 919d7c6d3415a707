"""``mailframe alias add|list|rm``."""

from __future__ import annotations

from dataclasses import dataclass
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
    from mailframe.accounts.records import Alias, MovedAddress


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
@click.option("--moved", is_flag=True, help="Deliver nothing: tell senders the new address (551).")
@config_option
@click.pass_context
def add(
    ctx: click.Context, alias: str, targets: tuple[str, ...], is_list: bool, moved: bool
) -> None:
    """Add TARGETs to ALIAS, which is made where needed."""
    if moved and (is_list or len(targets) > 1):
        raise click.UsageError("--moved takes one TARGET, and no --list")
    with directory_admin(ctx) as admin:
        if moved:
            missing: list[str] = []
            admin.add_moved(alias, targets[0])
        else:
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
    columns: list[Column[Entry]] = [
        Column("ALIAS", lambda entry: entry.name),
        Column("TARGETS", lambda entry: ", ".join(entry.targets)),
        Column("KIND", lambda entry: entry.kind),
    ]
    with directory_admin(ctx) as admin:
        show(
            [*map(_of_alias, admin.aliases(domain)), *map(_of_moved, admin.moved(domain))],
            columns,
            lambda entry: {
                "alias": entry.name,
                "targets": entry.targets,
                "list": entry.kind == "list",
                "moved": entry.kind == "moved",
            },
            as_json,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the listing."""

    name: str
    targets: list[str]
    kind: str


def _of_alias(alias: Alias) -> Entry:
    kind = "list" if alias.is_list else "alias"
    return Entry(alias.name, [str(target) for target in alias.targets], kind)


def _of_moved(moved: MovedAddress) -> Entry:
    return Entry(moved.name, [str(moved.to)], "moved")


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
        if not targets and admin.is_moved(alias):
            admin.remove_moved(alias)
        else:
            admin.remove_alias(alias, targets)
    click.echo(f"removed {what}")
