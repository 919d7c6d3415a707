"""``mailframe plugins``: applications and plug-ins, their hooks, their origin, their cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import config_option, control_socket, json_option

if TYPE_CHECKING:
    from mailframe.app.config import Config

_NO_COST: dict[str, Any] = {"calls": None, "failures": None, "seconds": None, "longest": None}


@click.command()
@click.option("--app", "apps", metavar="MODULE:APP", multiple=True, help="As for `run`.")
@json_option
@config_option
@click.pass_context
def plugins(ctx: click.Context, apps: tuple[str, ...], as_json: bool) -> None:
    """List the hooks and parts of applications and plug-ins, in the order they are asked.

    Each with its phase and order, the package or file it comes from, and what it has cost since
    the server has had this version of it; without a server only what the files say. Plug-ins that
    are installed and not switched on are listed last.
    """
    from mailframe.app.config import load_config

    config = load_config(ctx.obj, os.environ, code=True, apps=apps)
    costs = _costs(config)
    rows = sorted(_rows(config), key=_rank)
    found = [row | _NO_COST | costs.get(row["hook"], {}) for row in rows]
    show([*found, *_not_on(config)], _COLUMNS, lambda row: row, as_json)


def _rank(row: Mapping[str, Any]) -> tuple[int, int]:
    return _PHASES.get(row["phase"], len(_PHASES)), row["order"] or 0


def _costs(config: Config) -> dict[str, dict[str, Any]]:
    """By hook; empty, with a word on stderr, where no server answers."""
    from mailframe.app.control import ServerNotRunning, ServerRefused, ask

    try:
        answer = ask(control_socket(config), "plugins")
    except (ServerNotRunning, ServerRefused, TimeoutError):
        click.echo("no server answers: what hooks have cost is not known", err=True)
        return {}
    return {hook["hook"]: {key: hook.get(key) for key in _NO_COST} for hook in answer["hooks"]}


def _rows(config: Config) -> Iterator[dict[str, Any]]:
    from mailframe.app.extensions import applications, named_parts
    from mailframe.app.plugin_origins import origin_of
    from mailframe.hooks.hook import place_of
    from mailframe.hooks.running import name_of

    found = applications(config)
    for name, app in found.items():
        origin = origin_of(config, name)
        for hook in app.hooks:
            about = str(hook.pattern or hook.event or hook.schedule)
            row = _row(name_of(app), hook.name, hook.phase.value, origin, hook.place)
            yield row | {"order": hook.order, "for": about}
        for interface, make in app.parts:
            yield _row(name_of(app), _name(make), interface.__name__, origin, place_of(make))
    for path, name, interface in named_parts(config):
        row = _row(".".join(path), name, interface.__name__, origin_of(config, name), "")
        yield row | {"hook": name}


def _row(app: str, name: str, phase: str, origin: str, place: str) -> dict[str, Any]:
    return {
        "hook": f"{app}.{name}",
        "app": app,
        "phase": phase,
        "order": None,
        "for": "",
        "origin": origin,
        "place": place,
        "state": "on",
    }


def _not_on(config: Config) -> Iterator[dict[str, Any]]:
    from mailframe.app.extensions import installed
    from mailframe.app.plugin_origins import origin_of

    there = installed()
    for name in sorted({*there, *config.plugins}):
        table = config.plugins.get(name)
        if table is not None and table.enabled:
            continue
        state = "not installed" if name not in there else "off"
        origin = origin_of(config, name) if name in there else ""
        yield _row(name, "", "", origin, "") | {"hook": name, "state": state} | _NO_COST


def _name(make: Any) -> str:
    return str(getattr(make, "__name__", make))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


_PHASES = {
    phase: number
    for number, phase in enumerate(
        (
            *("startup", "selftest", "connect", "helo", "auth", "mail", "recipient", "rcpt"),
            *("message", "filter", "deliver", "event", "schedule", "shutdown"),
        )
    )
}
_COLUMNS: list[Column[dict[str, Any]]] = [
    Column("HOOK", lambda row: row["hook"]),
    Column("PHASE", lambda row: row["phase"] or row["state"]),
    Column("ORDER", lambda row: "" if row["order"] is None else str(row["order"]), right=True),
    Column("FOR", lambda row: row["for"]),
    Column("ORIGIN", lambda row: row["origin"]),
    Column("PLACE", lambda row: row["place"]),
    Column("CALLS", lambda row: "" if row["calls"] is None else str(row["calls"]), right=True),
    Column(
        "FAILED", lambda row: "" if row["failures"] is None else str(row["failures"]), right=True
    ),
    Column("SECONDS", lambda row: _seconds(row["seconds"]), right=True),
    Column("LONGEST", lambda row: _seconds(row["longest"]), right=True),
]
