"""``mailframe plugins``: applications and plug-ins, their hooks, their origin, their cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import config_option, control_socket, json_option

if TYPE_CHECKING:
    from mailframe.app.config import Config

_NO_COST: dict[str, Any] = {"calls": None, "failures": None, "seconds": None, "longest": None}
_SERVED = frozenset({"phase", "order", "for", "place"})
"""What a server tells of a hook, beside its costs."""


@click.command()
@click.option("--app", "apps", metavar="MODULE:APP", multiple=True, help="As for `run`.")
@json_option
@config_option
@click.pass_context
def plugins(ctx: click.Context, apps: tuple[str, ...], as_json: bool) -> None:
    """List the hooks and parts of applications and plug-ins, in the order they are asked.

    Each with its phase and order, the package or file it comes from, and what it has cost since
    the server has had this version of it: what a server runs, where one answers, also what was
    named on its command line; without a server only what the files say. Plug-ins that are
    installed and not switched on are listed last. With --app no configuration is needed.
    """
    config = _configuration(ctx, apps)
    rows = [row | _NO_COST for row in _rows(config)]
    if ctx.obj or not apps:
        rows = _as_served(config, rows)
    found = sorted(rows, key=_rank)
    show([*found, *_not_on(config)], _COLUMNS, lambda row: row, as_json)


def _configuration(ctx: click.Context, apps: Sequence[str]) -> Config:
    """Without any, that of the applications alone. Raises ConfigError and LoadError."""
    from mailframe.app.config import load_config
    from mailframe.app.config_dev import dev_config
    from mailframe.runtime.loading import look_in

    ctx.obj = ctx.obj or os.environ.get("MAILFRAME_CONFIG")
    if ctx.obj or not apps:
        return load_config(ctx.obj, os.environ, code=True, apps=apps)
    look_in([os.getcwd()])
    click.echo("no configuration is named: no server is asked", err=True)
    return dev_config(os.getcwd(), smtp=0, pop3=0, imap=0, apps=apps)


def _rank(row: Mapping[str, Any]) -> tuple[int, int]:
    return _PHASES.get(row["phase"], len(_PHASES)), row["order"] or 0


def _as_served(config: Config, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the server runs; the same rows, with a word on stderr, where none answers."""
    from mailframe.app.control import ServerNotRunning, ServerRefused, ask
    from mailframe.app.plugin_origins import origin_of
    from mailframe.runtime.loading import is_part_name

    try:
        answer = ask(control_socket(config), "plugins")
    except (ServerNotRunning, ServerRefused, TimeoutError):
        click.echo("no server answers: what hooks have cost is not known", err=True)
        return list(rows)
    known = {row["hook"]: row for row in rows}
    served: dict[str, dict[str, Any]] = {}
    for each in (*answer["hooks"], *answer["parts"]):
        app, _, name = each["hook"].rpartition(".")
        row = known.get(each["hook"]) or _row(app, name, "", origin_of(config, app), "")
        served[each["hook"]] = (
            row
            | {key: each[key] for key in each.keys() & _SERVED}
            | {key: each.get(key) for key in _NO_COST}
        )
    left = (row for row in rows if row["hook"] not in served)
    # Parts that the configuration names itself are nobody's, and no server tells of them.
    told = (row if is_part_name(row["hook"]) else row | {"state": "not running"} for row in left)
    return [*served.values(), *told]


def _rows(config: Config) -> Iterator[dict[str, Any]]:
    from mailframe.app.extensions import applications, named_parts
    from mailframe.app.plugin_origins import origin_of
    from mailframe.app.plugin_reports import parts_of
    from mailframe.hooks.running import name_of

    found = applications(config)
    for name, app in found.items():
        origin = origin_of(config, name)
        for hook in app.hooks:
            about = str(hook.pattern or hook.event or hook.schedule)
            row = _row(name_of(app), hook.name, hook.phase.value, origin, hook.place)
            yield row | {"order": hook.order, "for": about}
        for part in parts_of(app):
            row = _row(name_of(app), "", part["phase"], origin, part["place"])
            yield row | {"hook": part["hook"]}
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


def _phase(row: Mapping[str, Any]) -> str:
    said = (row["phase"], "" if row["state"] == "on" else row["state"])
    return ", ".join(filter(None, said))


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
    Column("PHASE", _phase),
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
