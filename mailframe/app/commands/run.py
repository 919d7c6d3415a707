"""``mailframe run``."""

from __future__ import annotations

import os
import sys

import click

from mailframe.app.commands.shared import config_option


@click.command()
@config_option
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the server in the foreground until SIGTERM; SIGHUP reloads.

    The same server as: twistd -n mailframe --config FILE
    """
    from mailframe.app.config import ConfigSource
    from mailframe.app.run import serve

    sys.exit(serve(ConfigSource(ctx.obj, os.environ)))
