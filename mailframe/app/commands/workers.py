"""``mailframe workers list|restart``: the processes that serve."""

from __future__ import annotations

import json
from typing import Any

import click

from mailframe.app.commands.shared import (
    config_option,
    configuration,
    control_socket,
    json_option,
)

_ROLL_SECONDS = 3600.0  # each of them may have half a minute of sessions to end


@click.group(invoke_without_command=True)
@json_option
@config_option
@click.pass_context
def workers(ctx: click.Context, as_json: bool) -> None:
    """The processes that serve (`workers` in the configuration)."""
    if ctx.invoked_subcommand is None:
        _list(ctx, as_json)


@workers.command("list")
@json_option
@config_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Each with its process id, what it does, how long it has been there, and its connections."""
    _list(ctx, as_json)


@workers.command()
@json_option
@config_option
@click.pass_context
def restart(ctx: click.Context, as_json: bool) -> None:
    """Replace them one after the other; nobody who connects is refused.

    Each new one runs the code that is on the disk now, and accepts before the old one stops,
    whose sessions may end by themselves, within half a minute. When a new one cannot work,
    the others are left as they are, and the exit status is 1.
    """
    from mailframe.app.control import ask

    answer = ask(control_socket(configuration(ctx)), "restart-workers", _ROLL_SECONDS)
    _show(answer["workers"], as_json)


def _list(ctx: click.Context, as_json: bool) -> None:
    from mailframe.app.control import ask

    _show(ask(control_socket(configuration(ctx)), "workers")["workers"], as_json)


def _show(found: list[dict[str, Any]], as_json: bool) -> None:
    for worker in found:
        click.echo(json.dumps(worker) if as_json else line(worker))
    if not found and not as_json:
        click.echo("one process (workers = 1)")


def line(worker: dict[str, Any]) -> str:
    """``w1-5f0c21aa07 pid 4711, serving for 12 s, 3 connections``."""
    connections = worker.get("connections")
    doing = "does not answer" if connections is None else f"{connections} connections"
    since = f"{worker['state']} for {worker['uptime']} s"
    return f"{worker['name']} pid {worker['pid']}, {since}, {doing}"
