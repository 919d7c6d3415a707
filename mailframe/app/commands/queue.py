"""``mailframe queue``: list, flush, hold, release, replay, rm, bounce, show."""

from __future__ import annotations

import getpass
import json
import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import Column, counted, is_terminal, printable, show
from mailframe.app.commands.shared import (
    F,
    config_option,
    configuration,
    confirm,
    control_socket,
    database,
    json_option,
    path_in_base,
    yes_option,
)
from mailframe.core.units import format_duration, format_size

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.queue.admin import QueuedMessage, QueuedRecipient, Selection
    from mailframe.runtime.database import Database

_NOT_TRIED = ("hold", "dead", "corrupt")
"""States in which nothing happens until somebody says so."""
_MAX_IDS = 30_000  # SQLite's limit on bound values is 32,766


def selectors(command: F) -> F:
    """Which messages: ids, addresses, domain. Several must all hold."""
    for option in (
        click.argument("ids", metavar="[ID]...", nargs=-1),
        click.option("--to", metavar="ADDRESS", help="Recipients with this address."),
        click.option("--from", "sender", metavar="ADDRESS", help="From this sender; <> is none."),
        click.option("--domain", metavar="DOMAIN", help="Recipients in this domain."),
        click.option(
            "--state",
            type=click.Choice(["active", "incoming", "deferred", "hold", "dead", "corrupt"]),
            help="Recipients in this state.",
        ),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@json_option
@config_option
@click.pass_context
def queue(ctx: click.Context, as_json: bool) -> None:
    """Mail that waits to be delivered. Without a verb: list it.

    A verb takes ids, and --to, --from, --domain, --state; those given must all hold.

    \b
    Example: mailframe queue hold --domain slow.example
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


@queue.command("list")
@selectors
@json_option
@config_option
@click.pass_context
def list_(
    ctx: click.Context,
    as_json: bool,
    ids: tuple[str, ...] = (),
    to: str | None = None,
    sender: str | None = None,
    domain: str | None = None,
    state: str | None = None,
) -> None:
    """List the queue, oldest first. --json has the members of Postfix's postqueue -j."""
    from mailframe.queue.admin import messages

    present = time.time()
    columns: list[Column[QueuedMessage]] = [
        Column("ID", lambda message: message.queue_id),
        Column("AGE", lambda message: format_duration(present - message.arrival_time), right=True),
        Column("SIZE", lambda message: format_size(message.message_size), right=True),
        Column("FROM", lambda message: message.sender or "<>"),
        Column("TO", _to),
        Column("STATE", lambda message: message.queue_name),
        Column("NEXT", lambda message: _next(message, present), right=True),
        Column("LAST REPLY", _reason),
    ]
    selection = _selection(ids, to, sender, domain, state)
    with spool(ctx) as (opened, _):
        shown = Tally(messages(opened, selection))
        show(shown, columns, _object, as_json)
    if is_terminal() and not as_json:
        click.echo(shown.summary(present))


_FLUSH_HELP = "Try again now. Held messages stay held, dead letters dead."
_REPLAY_HELP = """Try dead letters again now, all or those selected.

A dead letter is mail for a program here, such as an application's hook, that the program could not
take while there was time. One that fails again is dead again: see why with 'queue show', mend the
program, replay.

\b
Example: mailframe queue replay --domain shop.example
"""


def _verb(
    name: str, done: str, help_text: str, *, destroys: bool = False, needs_all: bool = True
) -> Callable[[F], click.Command]:
    """A verb that changes what is selected.

    ``destroys``: ask first. ``needs_all``: with nothing selected, --all must be said."""

    def make(change: F) -> click.Command:
        def run(ctx: click.Context, every: bool, yes: bool, **selected: Any) -> None:
            selection = _selection(**selected)
            if needs_all and not every and not any(selected.values()):
                words = "ids, --to, --from, --domain, --state or --all"
                raise click.UsageError(f"say which messages: {words}")
            if destroys:
                with spool(ctx) as (opened, _):
                    _confirm_count(opened, selection, name, yes)
            with spool(ctx) as (opened, config):
                missing = _not_in_queue(opened, selection.ids)
                changed = change(opened, selection)
            click.echo(f"{done} {counted(len(changed), 'message')}")
            _record(config, changed, name)
            _wake(config)
            if missing:
                raise exits.CommandFailed(f"not in the queue: {' '.join(missing)}", exits.NO_INPUT)

        command: Any = click.pass_context(run)
        for option in (
            selectors,
            click.option("--all", "every", is_flag=True, help="Everything in the queue."),
            yes_option,
            config_option,
        ):
            command = option(command)
        return queue.command(name, help=help_text)(command)

    return make


@_verb("flush", "due now:", _FLUSH_HELP, needs_all=False)
def flush(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    return admin.flush(opened, selection, time.time())


@_verb("hold", "held", "Do not try again until released.")
def hold(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    return admin.hold(opened, selection, time.time())


@_verb("release", "released", "Undo hold; due at once.")
def release(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    return admin.release(opened, selection, time.time())


@_verb("replay", "due now:", _REPLAY_HELP, needs_all=False)
def replay(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    return admin.replay(opened, selection, time.time())


@_verb("bounce", "returning", "Give up and tell the sender.", destroys=True)
def bounce(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    return admin.bounce(opened, selection, time.time())


@_verb("rm", "removed", "Remove without telling anybody.", destroys=True)
def rm(opened: Database, selection: Selection) -> list[str]:
    from mailframe.queue import admin

    # A body file that is left over is swept when the server starts.
    return [queue_id for queue_id, _ in admin.remove(opened, selection)]


@queue.command("show")
@click.argument("id")
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the envelope of one message and where each recipient stands."""
    from mailframe.queue.admin import Selection, details, messages

    with spool(ctx) as (opened, _):
        found = details(opened, id)
        listed = next(messages(opened, Selection(ids=(id,))), None)
    if found is None or listed is None:
        raise exits.CommandFailed(f"there is no message {id} in the queue", exits.NO_INPUT)
    arrival = found.arrival
    facts = {
        "message_id": arrival.message_id,
        "protocol": arrival.protocol,
        "peer": arrival.peer_ip,
        "helo": arrival.helo,
        "account": arrival.account,
        "session": arrival.session_id,
        "body": found.envelope.body.value,
        "smtputf8": found.envelope.smtputf8,
        "envid": found.envelope.envid,
    }
    if as_json:
        click.echo(json.dumps(_object(listed) | facts, ensure_ascii=False))
        return
    arrived = datetime.fromtimestamp(found.arrived, UTC).isoformat(" ", "seconds")
    shown: dict[str, Any] = {"id": id, "arrived": arrived, "size": format_size(found.size)}
    shown |= {"from": listed.sender or "<>"} | {k: v for k, v in facts.items() if v}
    for key, value in shown.items():
        click.echo(f"{key:<11} {printable(str(value))}")
    present = time.time()
    for recipient in listed.recipients:
        words = f"{recipient.address}  {_stand(recipient, present)}  {recipient.delay_reason}"
        click.echo(f"{'to':<11} {printable(words).rstrip()}")


def _stand(recipient: QueuedRecipient, present: float) -> str:
    words = [recipient.state, f"{recipient.attempts} attempts"]
    if recipient.courier:
        words.append(f"for the program {recipient.courier}")
    if recipient.state == "dead":
        since = format_duration(present - recipient.next_at)
        words.append(f"given up {since} ago and kept: mend the program, then queue replay")
    elif recipient.state not in _NOT_TRIED:
        words.append(f"next in {format_duration(recipient.next_at - present)}")
    return ", ".join(words)


class Tally:
    """Counts messages as they go by."""

    def __init__(self, found: Iterator[QueuedMessage]) -> None:
        self._found = found
        self._messages = self._recipients = 0
        self._oldest = math.inf

    def __iter__(self) -> Iterator[QueuedMessage]:
        for message in self._found:
            self._messages += 1
            self._recipients += len(message.recipients)
            self._oldest = min(self._oldest, message.arrival_time)
            yield message

    def summary(self, present: float) -> str:
        if not self._messages:
            return "no such message waits"
        count = f"{counted(self._messages, 'message')}, {counted(self._recipients, 'recipient')}"
        return f"{count}, oldest {format_duration(present - self._oldest)}"


@contextmanager
def spool(ctx: click.Context) -> Iterator[tuple[Database, Config]]:
    from mailframe.queue.schema import MIGRATIONS

    config = configuration(ctx)
    with database(path_in_base(config, "queue", "spool.db"), MIGRATIONS) as opened:
        yield opened, config


def _selection(
    ids: tuple[str, ...], to: str | None, sender: str | None, domain: str | None, state: str | None
) -> Selection:
    from mailframe.queue.admin import Selection

    if len(ids) > _MAX_IDS:
        raise click.UsageError(f"at most {_MAX_IDS} ids at once")
    return Selection(ids=ids, to=to, sender=sender, domain=domain, state=state)


def _confirm_count(opened: Database, selection: Selection, verb: str, yes: bool) -> None:
    from mailframe.queue.admin import messages

    if not yes:
        count = sum(1 for _ in messages(opened, selection))
        confirm(f"{verb} {counted(count, 'message')}?", yes)


def _not_in_queue(opened: Database, ids: Collection[str]) -> list[str]:
    """Ids that somebody named and that are not there, or not any more."""
    from mailframe.queue.admin import Selection, messages

    found = {message.queue_id for message in messages(opened, Selection(ids=ids))} if ids else ()
    return [id for id in dict.fromkeys(ids) if id not in found]


def _record(config: Config, ids: list[str], verb: str) -> None:
    """What an administrator did belongs to the message's story too."""
    from twisted.internet import reactor

    from mailframe.journal.journal import MIGRATIONS, Journal
    from mailframe.runtime.aio import fired

    path = path_in_base(config, "journal.db")
    with database(path, MIGRATIONS, durable=False) as opened:
        clock: Any = reactor
        journal = Journal(opened, clock, config.journal.keep, buffer=1_000_000, log_events=False)
        for id in ids:
            journal.record(id, "admin", verb, account=_who())
        fired(journal.stop())


def _who() -> str:
    """The login name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _wake(config: Config) -> None:
    from mailframe.app.control import poke

    poke(control_socket(config), "wake-queue")


def _to(message: QueuedMessage) -> str:
    count = len(message.recipients)
    return message.recipients[0].address if count == 1 else f"{count} recipients"


def _next(message: QueuedMessage, present: float) -> str:
    if message.queue_name in _NOT_TRIED:
        return "-"
    soonest = min(each.next_at for each in message.recipients if each.state not in _NOT_TRIED)
    return format_duration(soonest - present) if soonest > present else "now"


def _reason(message: QueuedMessage) -> str:
    return next((r.delay_reason for r in message.recipients if r.delay_reason), "")


def _object(message: QueuedMessage) -> dict[str, Any]:
    return {
        "queue_name": message.queue_name,
        "queue_id": message.queue_id,
        "arrival_time": message.arrival_time,
        "message_size": message.message_size,
        "sender": message.sender,
        "recipients": [_recipient_object(recipient) for recipient in message.recipients],
    }


def _recipient_object(recipient: QueuedRecipient) -> dict[str, Any]:
    is_dead = recipient.state == "dead"
    return {
        "address": recipient.address,
        **({"delay_reason": recipient.delay_reason} if recipient.delay_reason else {}),
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_attempt": None if is_dead else int(recipient.next_at),
        **({"courier": recipient.courier} if recipient.courier else {}),
        **({"dead_since": int(recipient.next_at)} if is_dead else {}),
    }
