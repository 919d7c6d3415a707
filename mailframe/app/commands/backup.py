"""``mailframe backup``."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time

import click

from mailframe.app import exits
from mailframe.app.commands.listing import counted, printable
from mailframe.app.commands.shared import (
    act_as_owner,
    config_option,
    configuration,
    json_option,
)
from mailframe.core.units import format_size

_NICENESS = 10


@click.command()
@click.argument("directory", metavar="DIR")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="Remove all but the youngest N backups in DIR, once the new one is complete.",
)
@json_option
@config_option
@click.pass_context
def backup(ctx: click.Context, directory: str, keep: int | None, as_json: bool) -> None:
    """Make a backup of everything in DIR/TIME, while the server runs.

    Nothing waits for it. Messages are linked where DIR is on the same file system, or else to
    what the backup before has, so that each costs only what is new. What was acknowledged
    before it began is in it, whatever happens meanwhile.

    \b
    Example: mailframe backup /srv/backup --keep 14
    """
    from mailframe.app.backups.taking import BadTarget, take_backup
    from mailframe.backup.manifest import BadBackup
    from mailframe.backup.sets import BackupBusy
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    act_as_owner(config.base)
    os.nice(_NICENESS)
    try:
        taken = take_backup(
            config.base,
            directory,
            disk=Disk(),
            clock=time.time,
            hostname=config.hostname,
            config_file=ctx.obj or os.environ.get("MAILFRAME_CONFIG"),
            keep=keep or 0,
        )
    except BadTarget as error:
        raise exits.CommandFailed(str(error), exits.USAGE) from error
    except BackupBusy as error:
        raise exits.CommandFailed(str(error), exits.TEMPORARY) from error
    except (BadBackup, sqlite3.Error) as error:
        raise exits.CommandFailed(f"no backup was made: {error}", exits.CANNOT_CREATE) from error
    except OSError as error:
        status = exits.PERMISSION if isinstance(error, PermissionError) else exits.CANNOT_CREATE
        where = f"{error.filename}: " if error.filename else ""
        message = f"no backup was made: {where}{error.strerror or error}"
        raise exits.CommandFailed(message, status) from error
    tally = taken.tally
    if as_json:
        shown = {
            "path": taken.path,
            "files": taken.total.files,
            "octets": taken.total.octets,
            "linked": tally.linked,
            "reused": tally.reused,
            "copied": tally.copied,
            "read": tally.octets_read,
            "accounts": taken.accounts,
            "messages": taken.messages,
            "queued": taken.queued,
            "removed": taken.removed,
            "warnings": taken.warnings,
        }
        click.echo(json.dumps(shown))
    else:
        click.echo(printable(taken.path))
        ways = f"{tally.linked} linked, {tally.reused} as before, {tally.copied} copied"
        size = format_size(taken.total.octets)
        click.echo(f"{counted(taken.total.files, 'file')}, {size} ({ways})")
        mail = f"{counted(taken.messages, 'message')} of {counted(taken.accounts, 'account')}"
        click.echo(f"{mail}, {taken.queued} in the queue")
        for name in taken.removed:
            click.echo(f"removed {name}")
        for warning in taken.warnings:
            click.echo(f"mailframe: {printable(warning)}", err=True)
    if taken.warnings:
        sys.exit(exits.PROBLEM)
