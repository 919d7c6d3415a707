"""``mailframe user add|list|show|rm|passwd|quota|disable|enable|freeze|release``."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import Column, counted, printable, show
from mailframe.app.commands.shared import (
    F,
    config_option,
    configuration,
    confirm,
    directory_admin,
    json_option,
    new_password,
    yes_option,
)
from mailframe.core.units import format_size, parse_size

if TYPE_CHECKING:
    from mailframe.accounts.records import User
    from mailframe.app.config import Config
    from mailframe.policy.frozen import Frozen


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
    from mailframe.app.commands.freezing import frozen_accounts

    config = configuration(ctx)
    if config.realm.class_:
        click.echo(f"users are those of realm {config.realm.class_}", err=True)
    frozen = frozen_accounts(config)
    columns: list[Column[User]] = [
        Column("USER", lambda user: user.name),
        Column("QUOTA", _quota),
        Column("STATE", lambda user: _state(user, frozen.get(user.name))),
    ]
    with directory_admin(ctx) as admin:
        users = admin.users(domain)
        show(users, columns, lambda user: _object(user, frozen.get(user.name)), as_json)


@user.command("show")
@click.argument("address")
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, address: str, as_json: bool) -> None:
    """Show one user: what the mailbox holds, whether it may send, and why not."""
    from mailframe.app.commands.freezing import frozen_accounts

    config = configuration(ctx)
    with directory_admin(ctx) as admin:
        found = admin.user(address)
    frozen = frozen_accounts(config).get(found.name)
    octets, messages = _used(config, found)
    if as_json:
        facts = _object(found, frozen) | {"used": octets, "used_messages": messages}
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    shown = {
        "user": found.name,
        "state": _state(found, frozen),
        "quota": _quota(found),
        "used": f"{format_size(octets)}, {counted(messages, 'message')}",
        "created": _date(found.created),
    }
    if frozen is not None:
        shown |= {"frozen": _date(frozen.since), "why": frozen.reason}
    for key, value in shown.items():
        click.echo(f"{key:<8} {printable(value)}")


@user.command()
@click.argument("address")
@click.option("--reason", default="", help="For the journal, and for `user show`.")
@config_option
@click.pass_context
def freeze(ctx: click.Context, address: str, reason: str) -> None:
    """Keep an account from sending, until released: what it sends is put off with 450.

    It can still log in and get its mail. ADDRESS may be any account that can log in, of the
    directory or not.

    \b
    Example: mailframe user freeze ann@example.org --reason "password stolen"
    """
    from mailframe.app.commands import freezing

    account = _sender(ctx, address)
    is_new, held = freezing.freeze(configuration(ctx), account, reason or "by the administrator")
    click.echo(f"frozen {account}" if is_new else f"{account} is frozen already")
    if held:
        click.echo(f"held {counted(held, 'message')}")


@user.command()
@click.argument("address")
@config_option
@click.pass_context
def release(ctx: click.Context, address: str) -> None:
    """Undo freeze, whether it was you or the brake; what was held is due at once."""
    from mailframe.app.commands import freezing

    account = _sender(ctx, address)
    was_frozen, freed = freezing.release(configuration(ctx), account)
    if not was_frozen:
        raise exits.CommandFailed(f"{account} is not frozen", exits.NO_INPUT)
    click.echo(f"released {account}")
    if freed:
        click.echo(f"on their way: {counted(freed, 'message')}")


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


def _sender(ctx: click.Context, address: str) -> str:
    """The account that ADDRESS means. One the directory does not know is somebody else's realm's,
    and taken as it is; an alias is refused, since nobody logs in by one."""
    from mailframe.accounts.errors import InvalidEntry, NoSuchUser
    from mailframe.accounts.names import login_key

    config = configuration(ctx)
    account = login_key(address, config.auth.default_domain) or address
    with directory_admin(ctx) as admin:
        try:
            return admin.user(account).name
        except (NoSuchUser, InvalidEntry):
            aliases = [alias for alias in admin.aliases() if alias.name == account]
    if aliases:
        targets = ", ".join(str(target) for target in aliases[0].targets)
        message = f"{account} is an alias; the accounts behind it: {targets}"
        raise exits.CommandFailed(message, exits.DATA)
    return account


def _used(config: Config, user: User) -> tuple[int, int]:
    """Octets and messages."""
    from mailframe.mailbox.events import MailboxEvents
    from mailframe.mailbox.quota import Quota
    from mailframe.mailbox.store import MaildirStore
    from mailframe.runtime.aio import as_deferred, fired
    from mailframe.runtime.disk import Disk
    from mailframe.runtime.workers import InlineWorkers

    workers: Any = InlineWorkers()
    clock: Any = _Now()
    store = MaildirStore(
        config.base,
        Disk(),
        workers,
        events=MailboxEvents(),
        clock=clock,
        hostname=config.hostname,
        exists=lambda account: True,
        # where there is no limit nothing is counted
        quota=lambda account: Quota(1 << 62),
    )
    use = fired(as_deferred(store.quotas.use(user.name)))
    return (use.octets, use.messages) if use is not None else (0, 0)


class _Now:
    """The clock of a store that is asked one question."""

    def seconds(self) -> float:
        return time.time()


def _state(user: User, frozen: Frozen | None) -> str:
    if user.disabled:
        return "disabled"
    return "frozen" if frozen is not None else "active"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")


def _object(user: User, frozen: Frozen | None) -> dict[str, Any]:
    return {
        "user": user.name,
        "quota": user.quota_bytes,
        "quota_messages": user.quota_messages,
        "disabled": user.disabled,
        "created": datetime.fromtimestamp(user.created, UTC).isoformat(),
        "frozen": datetime.fromtimestamp(frozen.since, UTC).isoformat() if frozen else None,
        "frozen_reason": frozen.reason if frozen else None,
    }
