"""``mailframe run``."""

from __future__ import annotations

import sys
from functools import partial

import click

from mailframe.app.commands.shared import config_option, configuration


@click.command()
@config_option
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the server in the foreground until SIGTERM; SIGHUP reloads.

    The same server as: twistd -n mailframe --config FILE
    """
    from mailframe.app.run import serve

    sys.exit(serve(partial(configuration, ctx, to_start=True)))
