"""``mailframe domain add|list|rm``."""

from __future__ import annotations

from datetime import UTC, datetime
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
    from mailframe.accounts.records import Domain


@click.group()
@config_option
def domain() -> None:
    """The domains that mail is taken for.

    Example: mailframe domain add example.org
    """


@domain.command()
@click.argument("name", metavar="DOMAIN")
@config_option
@click.pass_context
def add(ctx: click.Context, name: str) -> None:
    """Take mail for DOMAIN from now on."""
    with directory_admin(ctx) as admin:
        click.echo(f"added {admin.add_domain(name)}")


@domain.command("list")
@json_option
@config_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the domains."""
    columns: list[Column[Domain]] = [
        Column("DOMAIN", lambda domain: domain.name),
        Column("USERS", lambda domain: str(domain.users), right=True),
        Column("ALIASES", lambda domain: str(domain.aliases), right=True),
    ]
    with directory_admin(ctx) as admin:
        show(
            admin.domains(),
            columns,
            lambda domain: {
                "domain": domain.name,
                "users": domain.users,
                "aliases": domain.aliases,
                "created": datetime.fromtimestamp(domain.created, UTC).isoformat(),
            },
            as_json,
        )


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.option("--force", is_flag=True, help="Also remove its users and aliases.")
@yes_option
@config_option
@click.pass_context
def rm(ctx: click.Context, name: str, force: bool, yes: bool) -> None:
    """Take no more mail for DOMAIN. Mail that is stored stays on disk."""
    with directory_admin(ctx) as admin:
        what = f"{name} with its users and aliases" if force else name
        confirm(f"Remove the domain {what}?", yes)
        admin.remove_domain(name, force=force)
        click.echo(f"removed {name}")
