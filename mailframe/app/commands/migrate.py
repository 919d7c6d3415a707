"""``mailframe migrate``: data of an older version, brought up to this one."""

from __future__ import annotations

import click

from mailframe import __version__
from mailframe.app import exits
from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import (
    act_as_owner,
    config_option,
    configuration,
    control_socket,
    json_option,
)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@json_option
@config_option
@click.pass_context
def migrate(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Bring every database up to the schema of this version, as the next start would.

    Before the first step a copy of the file is kept beside it (NAME.v1.bak). Each step is done
    wholly or not at all. Indexes of mailboxes follow when the mailbox is opened. Exit status 1
    where data is newer than this version.
    """
    from mailframe.app.backups import layout
    from mailframe.app.backups.upgrading import (
        Step,
        migrate,
        note_version,
        noted_version,
        plan,
    )
    from mailframe.app.control import ServerNotRunning, ask
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    act_as_owner(config.base)
    disk = Disk()
    steps = list(plan(config.base, disk))
    columns: list[Column[Step]] = [
        Column("FILE", lambda step: step.path),
        Column("HAS", lambda step: str(step.has), right=True),
        Column("THIS VERSION", lambda step: str(step.knows), right=True),
        Column("TO DO", lambda step: step.action),
    ]
    show(steps, columns, _object, as_json)
    newer = [step.path for step in steps if step.has > step.knows]
    if newer:
        theirs = noted_version(config.base, disk) or "a newer version"
        message = f"{', '.join(newer)}: written by mailframe {theirs}, this is {__version__}"
        raise exits.CommandFailed(message, exits.PROBLEM)
    due = [s for s in steps if s.has < s.knows and not s.path.endswith(layout.INDEX_NAME)]
    if dry_run:
        return
    if due:
        try:
            ask(control_socket(config), "status", timeout=5.0)
        except ServerNotRunning:
            pass
        else:
            message = "stop the server first: the one that runs is of an older version"
            raise exits.CommandFailed(message, exits.TEMPORARY)
    for step in due:
        migrate(config.base, disk, step)
    note_version(config.base, disk)
    if not as_json:
        click.echo(f"{len(due)} migrated")


def _object(step: object) -> dict[str, object]:
    from mailframe.app.backups.upgrading import Step

    assert isinstance(step, Step)
    return {"file": step.path, "has": step.has, "knows": step.knows, "action": step.action}
