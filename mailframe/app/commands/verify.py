"""``mailframe verify``: is the live base sound, or a backup what it says?"""

from __future__ import annotations

import json
import os
import sys
import time

import click

from mailframe.app import exits
from mailframe.app.commands.listing import counted, printable
from mailframe.app.commands.mail import progress_bar
from mailframe.app.commands.shared import (
    act_as_owner,
    config_option,
    configuration,
    json_option,
)
from mailframe.core.units import format_size


@click.command()
@click.argument("backup", metavar="[BACKUP]", required=False)
@click.option("--quick", is_flag=True, help="Do not read messages, only measure them.")
@json_option
@config_option
@click.pass_context
def verify(ctx: click.Context, backup: str | None, quick: bool, as_json: bool) -> None:
    """Look at every file: of the live base, or of BACKUP (a directory of many: the youngest).

    A backup is counted, measured and hashed against its manifest, and its databases are
    checked. Of the live base every queued body, message, folder and database is looked at,
    beside the running server; what is wrong with a mailbox is mended by "mailframe mail fsck
    --repair". Exit status 0, or 1 with something wrong. Nothing is changed.
    """
    if backup is not None:
        sys.exit(_backup(os.path.abspath(backup), as_json))
    sys.exit(_live(ctx, quick, as_json))


def _backup(directory: str, as_json: bool) -> int:
    from mailframe.backup.checking import check_set
    from mailframe.backup.manifest import BadBackup, Total, read_header, read_total
    from mailframe.backup.sets import find_set
    from mailframe.runtime.disk import Disk

    disk, total, faults = Disk(), Total(), 0
    try:
        source = find_set(directory, disk)
        header, octets = read_header(disk, source), read_total(disk, source).octets
    except BadBackup as error:
        raise exits.CommandFailed(str(error), exits.PROBLEM) from error
    with progress_bar("verifying") as progress:
        for fault in check_set(disk, source, total, lambda done: progress(done, octets)):
            faults += 1
            _tell("backup", fault.path, fault.what, as_json)
    if as_json:
        shown = {"backup": source, "made": header.made, "files": total.files}
        click.echo(json.dumps({**shown, "octets": total.octets, "faults": faults}))
    else:
        size = format_size(total.octets)
        click.echo(f"{source}: {counted(total.files, 'file')}, {size} as they were; {faults} wrong")
    return exits.PROBLEM if faults else exits.OK


def _live(ctx: click.Context, quick: bool, as_json: bool) -> int:
    from mailframe.app.backups.verifying import Verification
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    act_as_owner(config.base)
    verification = Verification(config.base, Disk(), time.time, read=not quick)
    faults = 0
    for fault in verification.faults():
        faults += 1
        _tell(fault.kind, fault.path, fault.text, as_json)
    counts = verification.counts()
    if as_json:
        click.echo(json.dumps({"base": config.base, **counts, "faults": faults}))
    else:
        looked = ", ".join(f"{number} {name}" for name, number in counts.items())
        click.echo(f"{config.base}: {looked}; {faults} wrong")
    return exits.PROBLEM if faults else exits.OK


def _tell(kind: str, path: str, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"kind": kind, "path": path, "text": text}))
    else:
        click.echo(f"{kind:<12}  {printable(path)}: {printable(text)}")
