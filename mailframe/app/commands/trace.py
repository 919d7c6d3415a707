"""``mailframe trace``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import is_terminal, printable
from mailframe.app.commands.shared import (
    config_option,
    configuration,
    database,
    json_option,
    path_in_base,
)

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.journal.stories import Entry


@click.command()
@click.argument("term", metavar="ID|MESSAGE-ID|ADDRESS")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many messages to list, the newest, where several match.",
)
@json_option
@config_option
@click.pass_context
def trace(ctx: click.Context, term: str, limit: int, as_json: bool) -> None:
    """What became of a message, or why something was refused.

    Takes the id in our reply ("250 2.0.0 Ok: ID", "(ref ID)"), a Message-ID, an address, or the
    id under which the next server accepted the message.

    \b
    Example: mailframe trace 0S4MZ7X1K2AB
    """
    stories = _find(configuration(ctx), term, limit)
    if not stories:
        raise exits.CommandFailed(f"the journal knows nothing of {term}", exits.NO_INPUT)
    if as_json:
        for entry in [entry for story in stories.values() for entry in story]:
            click.echo(json.dumps(_object(entry), ensure_ascii=False))
        return
    for number, (id, story) in enumerate(stories.items()):
        if number:
            click.echo()
        _print_story(id, story)


def _find(config: Config, term: str, limit: int) -> dict[str, list[Entry]]:
    from mailframe.journal.journal import MIGRATIONS
    from mailframe.journal.stories import ids_of, story
    from mailframe.runtime.aio import fired

    with database(path_in_base(config, "journal.db"), MIGRATIONS, durable=False) as journal:
        ids = fired(journal.read(lambda connection: ids_of(connection, term, limit)))
        return {id: fired(journal.read(partial(story, id=id))) for id in ids}


def _print_story(id: str, story: list[Entry]) -> None:
    day = datetime.fromtimestamp(story[0].time).strftime("%Y-%m-%d")
    click.secho(f"{id}  {day}", bold=is_terminal())
    for entry in story:
        clock = datetime.fromtimestamp(entry.time).strftime("%H:%M:%S.%f")[:-3]
        mark = "" if entry.id == id else f" [{entry.id}]"
        words = " ".join(filter(None, [entry.result, _details(entry.detail)]))
        click.echo(f"{clock}  {entry.step:<10}  {printable(words)}{mark}".rstrip())


def _details(detail: dict[str, Any]) -> str:
    shown = {name: value for name, value in detail.items() if value not in ("", [])}
    return "  ".join(f"{name}={_value(name, value)}" for name, value in shown.items())


def _value(name: str, value: object) -> str:
    if name.endswith("_at") and isinstance(value, int | float):
        return datetime.fromtimestamp(value).strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _object(entry: Entry) -> dict[str, Any]:
    """``detail`` is laid out flat, but never over the members that every step has."""
    own = {
        "time": datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds"),
        "step": entry.step,
        "result": entry.result,
        "id": entry.id,
        "session": entry.session,
    }
    return own | {name: value for name, value in entry.detail.items() if name not in own}
