"""``mailframe mail import|export|fsck``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from mailframe.app import exits
from mailframe.app.commands.fsck import fsck
from mailframe.app.commands.listing import counted
from mailframe.app.commands.shared import config_option, configuration, directory_admin

account_option = click.option(
    "-u", "--user", "address", required=True, metavar="ADDRESS", help="Whose mailbox."
)


@click.group()
@config_option
def mail() -> None:
    """Bring mail into a mailbox, take it out, mend it. The server may run meanwhile."""


mail.add_command(fsck)


@mail.command("import")
@account_option
@click.option("--folder", default="", help="Put everything below this folder.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@config_option
@click.pass_context
def import_(ctx: click.Context, address: str, folder: str, paths: tuple[str, ...]) -> None:
    """Bring in a Maildir, an mbox, a directory of .eml files, or a single message.

    Messages that an earlier import of the same archive brought are left out, so an import that
    was interrupted can be repeated.

    \b
    Example: mailframe mail import -u ann@example.org ~/Mail/archive.mbox
    """
    from mailframe.mailbox.archives import BadArchive, open_archive
    from mailframe.mailbox.importing import import_mail
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    account = _account(ctx, address)
    disk = Disk()
    imported = present = 0
    for path in paths:
        if not os.path.exists(path):
            raise exits.CommandFailed(f"{path}: no such file or directory", exits.NO_INPUT)
        with progress_bar(f"importing {os.path.basename(path)}") as progress:
            try:
                result = import_mail(
                    config.base,
                    account,
                    open_archive(path, disk),
                    disk,
                    hostname=config.hostname,
                    now=time.time(),
                    below=folder,
                    progress=progress,
                )
            except (BadArchive, ValueError) as error:
                raise exits.CommandFailed(str(error), exits.DATA) from error
        imported += result.imported
        present += result.present
    there = f", {present} were there already" if present else ""
    click.echo(f"imported {counted(imported, 'message')}{there}")


@mail.command()
@account_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["maildir", "mbox", "eml"]),
    default="maildir",
    show_default=True,
)
@click.argument("target", metavar="DIRECTORY")
@config_option
@click.pass_context
def export(ctx: click.Context, address: str, form: str, target: str) -> None:
    """Write all folders of a mailbox below DIRECTORY, which is made as needed."""
    from mailframe.mailbox.exporting import Form, export_mail
    from mailframe.runtime.disk import Disk

    config = configuration(ctx)
    account = _account(ctx, address)
    with progress_bar("exporting") as progress:
        count = export_mail(config.base, account, target, Form(form), Disk(), progress=progress)
    click.echo(f"exported {counted(count, 'message')}")


def _account(ctx: click.Context, address: str) -> str:
    """The canonical name of the account. Raises NoSuchUser."""
    with directory_admin(ctx) as admin:
        return admin.user(address).name


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that hears (octets done, octets in all); only where a person watches."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
