"""``mailframe restore``: a whole base, or single messages into a mailbox that is in use."""

from __future__ import annotations

import json
import os
import time

import click

from mailframe.app import exits
from mailframe.app.commands.listing import counted
from mailframe.app.commands.mail import progress_bar
from mailframe.app.commands.shared import (
    act_as_owner,
    config_option,
    configuration,
    confirm,
    directory_admin,
    json_option,
    yes_option,
)
from mailframe.core.units import format_size


@click.command()
@click.argument("backup", metavar="BACKUP")
@click.option("--base", metavar="DIR", help="Restore into DIR, not into the configuration's base.")
@click.option(
    "--force", is_flag=True, help="Move what the base has aside, into BASE/before-restore-TIME."
)
@click.option(
    "--keep-uids",
    is_flag=True,
    help="The server was stopped before the backup: IMAP clients need not read all again.",
)
@click.option(
    "--hold",
    is_flag=True,
    help="Put waiting mail for elsewhere on hold: it may have been sent since.",
)
@click.option("--account", metavar="ADDRESS", help="Only mail of this account, while all runs.")
@click.option(
    "--message", "message_ids", metavar="MESSAGE-ID", multiple=True, help="Only this message."
)
@click.option("--folder", metavar="FOLDER", help="Only what lies in this folder of the backup.")
@click.option("--into", metavar="FOLDER", default="", help="Put it below this folder.")
@yes_option
@json_option
@config_option
@click.pass_context
def restore(
    ctx: click.Context,
    backup: str,
    base: str | None,
    force: bool,
    keep_uids: bool,
    hold: bool,
    account: str | None,
    message_ids: tuple[str, ...],
    folder: str | None,
    into: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring back BACKUP, one of the directories that "mailframe backup" made.

    Without --account: everything, into an empty base, of a server that does not run. The backup
    is checked before and after. IMAP clients read their folders again.

    With --account: what the mailbox has no more, beside the running server. With --message only
    that message, with --folder only that folder of the backup.

    \b
    mailframe restore /srv/backup/2026-11-25T22-40-00Z
    mailframe restore /srv/backup --account ann@a.test --message '<7@b.test>'
    """
    from mailframe.backup.manifest import BadBackup
    from mailframe.backup.sets import BackupBusy, find_set
    from mailframe.runtime.disk import Disk

    partial = message_ids or folder is not None or into
    if account is None and partial:
        raise click.UsageError("--message, --folder and --into need --account")
    if account is not None and (force or keep_uids or hold):
        raise click.UsageError("--force, --keep-uids and --hold are for a whole base")
    try:
        source = find_set(os.path.abspath(backup), Disk())
        if account is not None:
            _return(ctx, source, base, account, message_ids, folder, into, as_json)
        else:
            _restore(ctx, source, base, force, keep_uids, hold, yes, as_json)
    except BadBackup as error:
        raise exits.CommandFailed(str(error), exits.DATA) from error
    except BackupBusy as error:
        raise exits.CommandFailed(str(error), exits.TEMPORARY) from error


def _restore(
    ctx: click.Context,
    source: str,
    base: str | None,
    force: bool,
    keep_uids: bool,
    hold: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from mailframe.app.backups.restoring import restore_base
    from mailframe.backup.manifest import read_total
    from mailframe.backup.placing import NotEmpty
    from mailframe.runtime.disk import Disk

    target = os.path.abspath(base or configuration(ctx).base)
    _require_stopped(target)
    _make_base(target, source)
    act_as_owner(target)
    if force:
        confirm(f"Move what is in {target} aside and restore {source}?", yes)
    total = read_total(Disk(), source).octets
    with progress_bar("restoring") as bar:
        try:
            restored = restore_base(
                source,
                target,
                disk=Disk(),
                now=time.time(),
                force=force,
                keep_uids=keep_uids,
                hold=hold,
                progress=lambda what, octets: bar(octets, total),
            )
        except NotEmpty as error:
            message = f"{error}; --force moves that aside"
            raise exits.CommandFailed(message, exits.CANNOT_CREATE) from error
    if as_json:
        shown = {
            "backup": source,
            "made": restored.header.made,
            "base": target,
            "files": restored.total.files,
            "octets": restored.total.octets,
            "accounts": restored.accounts,
            "relayed": restored.relayed,
            "held": restored.held,
            "aside": restored.aside,
            "damaged": restored.damaged,
        }
        click.echo(json.dumps(shown))
        return
    size = format_size(restored.total.octets)
    what = f"{counted(restored.total.files, 'file')}, {size}"
    click.echo(f"restored {what}, {counted(restored.accounts, 'account')} into {target}")
    for fault in restored.damaged:
        click.echo(f"damaged in the backup already, the server mends what it can: {fault}")
    if restored.aside:
        click.echo(f"what was there before is in {restored.aside}")
    if restored.relayed:
        waits = counted(restored.relayed, "recipient")
        fate = (
            "are on hold: see mailframe queue list --state hold"
            if restored.held
            else "are sent again, also what was sent after the backup (--hold keeps them)"
        )
        click.echo(f"{waits} elsewhere {fate}")


def _return(
    ctx: click.Context,
    source: str,
    base: str | None,
    address: str,
    message_ids: tuple[str, ...],
    folder: str | None,
    into: str,
    as_json: bool,
) -> None:
    from mailframe.app.backups.returning import return_messages
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    if base is None:
        with directory_admin(ctx) as admin:
            account = admin.user(address).name
    else:
        account = address
    target = os.path.abspath(base or config.base)
    act_as_owner(target)
    with progress_bar("restoring") as progress:
        try:
            returned = return_messages(
                source,
                target,
                account,
                disk=Disk(),
                hostname=config.hostname,
                now=time.time(),
                message_ids=message_ids,
                folder=folder,
                into=into,
                progress=progress,
            )
        except ValueError as error:
            raise exits.CommandFailed(str(error), exits.DATA) from error
    if as_json:
        shown = {
            "account": account,
            "found": returned.found,
            "returned": returned.returned,
            "present": returned.present,
        }
        click.echo(json.dumps(shown))
    else:
        there = f", {returned.present} were there" if returned.present else ""
        click.echo(f"returned {counted(returned.returned, 'message')}{there}")
    if not returned.found:
        raise exits.CommandFailed("the backup has no such message", exits.NO_INPUT)


def _require_stopped(base: str) -> None:
    from mailframe.app.control import ServerNotRunning, ask

    try:
        ask(os.path.join(base, "run", "control.sock"), "status", timeout=5.0)
    except ServerNotRunning:
        return
    except TimeoutError:
        pass
    message = f"a server runs on {base}: stop it, or restore single accounts with --account"
    raise exits.CommandFailed(message, exits.TEMPORARY)


def _make_base(base: str, source: str) -> None:
    """Whose the backup is, his is the base: root must not end up with files of root's."""
    if os.path.isdir(base):
        return
    os.makedirs(base, mode=0o700)
    if os.geteuid() == 0:
        owner = os.stat(source)
        # By its descriptor: whoever may write beside it could put a link in its place.
        made = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(made, owner.st_uid, owner.st_gid)
        finally:
            os.close(made)
