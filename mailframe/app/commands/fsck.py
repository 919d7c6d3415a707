"""``mailframe mail fsck``: what a damaged disk left of mailboxes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mailframe.app import exits
from mailframe.app.commands.listing import counted, printable
from mailframe.app.commands.shared import (
    act_as_owner,
    config_option,
    configuration,
    json_option,
)

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.mailbox.maildir import Maildir
    from mailframe.runtime.disk import Disk


@click.command()
@click.option("-u", "--user", "address", metavar="ADDRESS", help="Whose mailbox.")
@click.option("--all", "every", is_flag=True, help="All mailboxes.")
@click.option("--repair", is_flag=True, help="Mend what is found.")
@click.option("--quick", is_flag=True, help="Do not read messages, only measure them.")
@json_option
@config_option
@click.pass_context
def fsck(
    ctx: click.Context, address: str | None, every: bool, repair: bool, quick: bool, as_json: bool
) -> None:
    """Find what a damaged disk, or a careless program, left of mailboxes; --repair mends it.

    The server may run meanwhile. Nothing is deleted: what is no mail any more goes to
    BASE/damaged. Exit status 0, or 1 where something is wrong still.
    """
    from mailframe.backup.sets import name_of
    from mailframe.mailbox.fsck.account import AccountLook
    from mailframe.mailbox.fsck.mending import Mender, settle_quota
    from mailframe.mailbox.names import host_part
    from mailframe.runtime.disk import Disk

    if (address is None) != every:
        raise click.UsageError("say whose mailbox: -u ADDRESS, or --all")
    config = configuration(ctx)
    act_as_owner(config.base)
    disk, now = Disk(), time.time()
    mender = Mender(config.base, disk, stamp=name_of(now), host=host_part(config.hostname), now=now)
    counts: Counter[str] = Counter()
    for account, inbox in _chosen(config, disk, address):
        counts["accounts"] += 1
        look = AccountLook(account, os.path.dirname(inbox.path), disk, read=not quick, now=now)
        for fault in list(look.faults()):  # before the first is mended
            counts["faults"] += 1
            done = ""
            if repair:
                try:
                    done = fault.remedy if mender.mend(fault) else "gone meanwhile"
                    counts["mended"] += 1
                except OSError as error:
                    done = f"NOT mended: {error.strerror or error}"
            shown = {"kind": fault.kind.value, "path": fault.path, "text": fault.text}
            if as_json:
                click.echo(json.dumps({"account": account, **shown, "done": done}))
            else:
                line = f"{fault.kind.value:<12}  {fault.path}: {fault.text}"
                click.echo(printable(f"{line}; {done}" if done else line))
        counts["messages"] += look.messages
        if repair:
            settle_quota(disk, inbox)
    if address is not None and not counts["accounts"]:
        raise exits.CommandFailed("there is no such mailbox", exits.NO_USER)
    names = ("accounts", "messages", "faults", "mended")
    if as_json:
        click.echo(json.dumps({name: counts[name] for name in names}))
    else:
        looked = (
            f"{counted(counts['messages'], 'message')} of {counted(counts['accounts'], 'account')}"
        )
        ended = f", {counts['mended']} mended" if repair else ""
        click.echo(f"{looked}: {counts['faults']} wrong{ended}")
        if repair and disk.exists(mender.directory):
            click.echo(f"what was set aside is in {mender.directory}")
    if counts["faults"] > counts["mended"]:
        sys.exit(exits.PROBLEM)


def _chosen(config: Config, disk: Disk, address: str | None) -> Iterator[tuple[str, Maildir]]:
    from mailframe.accounts.names import login_key
    from mailframe.mailbox.tree import inboxes

    wanted = login_key(address, config.auth.default_domain) if address is not None else None
    for account, inbox in inboxes(config.base, disk):
        if address is None or account == wanted:
            yield account, inbox
