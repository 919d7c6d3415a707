"""``mailframe domain add|list|set|show|rm``."""

from __future__ import annotations

import json
from dataclasses import asdict
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
@click.option("--tenant", metavar="T", help="Whose it is. Default: nobody else's.")
@config_option
@click.pass_context
def add(ctx: click.Context, name: str, tenant: str | None) -> None:
    """Take mail for DOMAIN from now on."""
    with directory_admin(ctx) as admin:
        click.echo(f"added {admin.add_domain(name, tenant=tenant)}")


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


@domain.command("set")
@click.argument("name", metavar="DOMAIN")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Go back to what the configuration says.")
@config_option
@click.pass_context
def set_(ctx: click.Context, name: str, key: str, value: str | None, unset: bool) -> None:
    """Let DOMAIN differ from the configuration in KEY.

    \b
    tenant  whose domain it is; domains of one tenant trust each other
    junk    score from which mail goes to Junk
    reject  score from which it is refused (0 = never)
    share   whose training counts for its users: user, domain or site

    \b
    Example: mailframe domain set example.org junk 4.5
    """
    if (value is None) is not unset:
        raise click.UsageError("give either a VALUE or --unset")
    with directory_admin(ctx) as admin:
        admin.set_domain(name, key, value)
    click.echo(f"{name}: {key} is {'as configured' if unset else value}")


@domain.command("show")
@click.argument("name", metavar="DOMAIN")
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, name: str, as_json: bool) -> None:
    """What DOMAIN decides for itself."""
    with directory_admin(ctx) as admin:
        settings = asdict(admin.settings(name))
    if as_json:
        click.echo(json.dumps({"domain": name, **settings}, ensure_ascii=False))
        return
    for key, value in settings.items():
        click.echo(f"{key:<8}{'as configured' if value is None else value}")


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
