"""``mailframe run``."""

from __future__ import annotations

import os
import sys

import click

from mailframe.app.commands.shared import config_option


@click.command()
@click.option(
    "--app",
    "apps",
    metavar="MODULE:APP",
    multiple=True,
    help="An application to run, beside those of the configuration. Repeatable.",
)
@config_option
@click.pass_context
def run(ctx: click.Context, apps: tuple[str, ...]) -> None:
    """Run the server in the foreground until SIGTERM; SIGHUP reloads.

    The same server as: twistd -n mailframe --config FILE [--app MODULE:APP]
    """
    from mailframe.app.config import ConfigSource
    from mailframe.app.run import serve

    sys.exit(serve(ConfigSource(ctx.obj, os.environ, apps)))
