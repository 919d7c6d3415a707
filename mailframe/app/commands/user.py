"""``mailframe user add|list|rm|passwd|quota|disable|enable``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import (
    F,
    config_option,
    confirm,
    directory_admin,
    json_option,
    new_password,
    yes_option,
)
from mailframe.core.units import format_size, parse_size

if TYPE_CHECKING:
    from mailframe.accounts.records import User


def _size(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def password_options(command: F) -> F:
    command = click.option("--stdin", is_flag=True, help="Read the password from stdin.")(command)
    return click.option("--generate", is_flag=True, help="Make one up and print it.")(command)


@click.group()
@config_option
def user() -> None:
    """The users and their mailboxes.

    Example: mailframe user add ann@example.org --generate
    """


@user.command()
@click.argument("address")
@password_options
@click.option(
    "--quota", callback=_size, default="0", help="How much the mailbox may hold, as in 2G."
)
@click.option("--quota-messages", type=click.IntRange(0), default=0, help="... in messages.")
@config_option
@click.pass_context
def add(
    ctx: click.Context, address: str, stdin: bool, generate: bool, quota: int, quota_messages: int
) -> None:
    """Add a user; the password is asked for unless an option says otherwise."""
    with directory_admin(ctx) as admin:
        password, made_up = new_password(stdin, generate)
        name = admin.add_user(address, password, quota_bytes=quota, quota_messages=quota_messages)
    click.echo(f"added {name}")
    if made_up:
        click.echo(f"password {password}")


@user.command("list")
@click.argument("domain", required=False)
@json_option
@config_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """List the users, of DOMAIN or of all."""
    columns: list[Column[User]] = [
        Column("USER", lambda user: user.name),
        Column("QUOTA", _quota),
        Column("STATE", lambda user: "disabled" if user.disabled else "active"),
    ]
    with directory_admin(ctx) as admin:
        show(admin.users(domain), columns, _object, as_json)


@user.command()
@click.argument("address")
@yes_option
@config_option
@click.pass_context
def rm(ctx: click.Context, address: str, yes: bool) -> None:
    """Remove a user. Mail that is stored stays on disk."""
    with directory_admin(ctx) as admin:
        admin.user(address)
        confirm(f"Remove the user {address}?", yes)
        dangling = admin.remove_user(address)
    click.echo(f"removed {address}")
    for alias in dangling:
        click.echo(f"warning: the alias {alias} still points there", err=True)


@user.command()
@click.argument("address")
@password_options
@config_option
@click.pass_context
def passwd(ctx: click.Context, address: str, stdin: bool, generate: bool) -> None:
    """Set a user's password."""
    with directory_admin(ctx) as admin:
        admin.user(address)
        password, made_up = new_password(stdin, generate)
        admin.set_password(address, password)
    click.echo("changed")
    if made_up:
        click.echo(f"password {password}")


@user.command()
@click.argument("address")
@click.argument("size", callback=_size)
@click.option("--messages", type=click.IntRange(0), help="Largest number of messages.")
@config_option
@click.pass_context
def quota(ctx: click.Context, address: str, size: int, messages: int | None) -> None:
    """Set how much a mailbox may hold, as in 2G; 0 means what directory.quota says."""
    with directory_admin(ctx) as admin:
        kept = admin.user(address).quota_messages if messages is None else messages
        admin.set_quota(address, size, kept)
    click.echo("changed")


@user.command()
@click.argument("address")
@config_option
@click.pass_context
def disable(ctx: click.Context, address: str) -> None:
    """Neither logins nor mail for this user, until enabled again."""
    with directory_admin(ctx) as admin:
        admin.set_disabled(address, True)
    click.echo("disabled")


@user.command()
@click.argument("address")
@config_option
@click.pass_context
def enable(ctx: click.Context, address: str) -> None:
    """Undo disable."""
    with directory_admin(ctx) as admin:
        admin.set_disabled(address, False)
    click.echo("enabled")


def _quota(user: User) -> str:
    parts = []
    if user.quota_bytes:
        parts.append(format_size(user.quota_bytes))
    if user.quota_messages:
        parts.append(f"{user.quota_messages} messages")
    return ", ".join(parts) or "default"


def _object(user: User) -> dict[str, Any]:
    return {
        "user": user.name,
        "quota": user.quota_bytes,
        "quota_messages": user.quota_messages,
        "disabled": user.disabled,
        "created": datetime.fromtimestamp(user.created, UTC).isoformat(),
    }
