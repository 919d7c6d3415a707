"""``mailframe status|reload|stop``: words to the running server."""

from __future__ import annotations

import json

import click

from mailframe.app import exits
from mailframe.app.commands.shared import (
    config_option,
    configuration,
    control_socket,
    json_option,
)
from mailframe.app.commands.workers import line
from mailframe.errors import ConfigError

_RELOAD_SECONDS = 300.0
"""Applications may take their time to begin."""


@click.command()
@json_option
@config_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Whether the server runs; exit status 69 when it does not."""
    from mailframe.app.control import ask

    answer = ask(control_socket(configuration(ctx)), "status")
    if as_json:
        click.echo(json.dumps(answer))
        return
    listeners = answer.pop("listeners", {})
    workers = answer.pop("workers", [])
    for name, value in answer.items():
        click.echo(f"{name:<11} {value}")
    for name, address in listeners.items():
        click.echo(f"{'listener':<11} {name} {address}")
    for worker in workers:
        click.echo(f"{'worker':<11} {line(worker)}")


@click.command()
@config_option
@click.pass_context
def reload(ctx: click.Context) -> None:
    """Read configuration and certificates again; sessions under way go on.

    Applications and plug-ins of which the code has changed are imported anew, and tested; new
    sessions have the new ones. What has a problem changes nothing: the server says so and goes on
    with what it has. Exit status 78 then, or 1 where it was neither configuration nor code.
    """
    from mailframe.app.control import ServerRefused, ask

    try:
        answer = ask(control_socket(configuration(ctx)), "reload", timeout=_RELOAD_SECONDS)
    except ConfigError as error:
        click.echo(error, err=True)
        raise exits.CommandFailed("nothing was changed", exits.CONFIG) from error
    except ServerRefused as refusal:
        status = exits.CONFIG if refusal.status == exits.CONFIG else exits.PROBLEM
        raise exits.CommandFailed(str(refusal), status) from refusal
    click.echo("reloaded")
    if answer.get("needs_restart"):
        click.echo(f"needs a restart to count: {', '.join(answer['needs_restart'])}")


@click.command()
@config_option
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the server; messages being received are finished first."""
    from mailframe.app.control import ask

    ask(control_socket(configuration(ctx)), "stop")
    click.echo("stopping")
