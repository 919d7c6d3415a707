"""``mailframe status|reload|stop``: words to the running server."""

from __future__ import annotations

import json

import click

from mailframe.app.commands.shared import (
    config_option,
    configuration,
    control_socket,
    json_option,
)
from mailframe.app.commands.workers import line


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

    A configuration with a problem changes nothing: the server says so and goes on with what
    it has.
    """
    from mailframe.app.control import ask

    ask(control_socket(configuration(ctx)), "reload")
    click.echo("reloaded")


@click.command()
@config_option
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the server; messages being received are finished first."""
    from mailframe.app.control import ask

    ask(control_socket(configuration(ctx)), "stop")
    click.echo("stopping")
