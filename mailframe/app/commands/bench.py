"""``mailframe bench``: load for any mail server, and a report."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.bench_target import Place, place, target_options
from mailframe.app.commands.listing import Column, printable, show
from mailframe.app.commands.shared import config_option, json_option

if TYPE_CHECKING:
    from mailframe.bench.processes import Work
    from mailframe.bench.running import Arrivals, Outcome
    from mailframe.bench.works import Extent, Mail, Manner

_DEFAULT_TOTAL = 1000
F = Callable[..., Any]


@click.group()
def bench() -> None:
    """Load for any mail server by SMTP, POP3 and IMAP, and a report.

    Only for servers that are yours: it is as much load as they can take.
    """


def _extent_options(what: str, default_sessions: int) -> Callable[[F], F]:
    """How much: ``what`` is counted."""
    options = [
        click.option(
            "--sessions", type=click.IntRange(1, 100_000), default=default_sessions,
            show_default=True, help="At the same time.",
        ),
        click.option(
            f"--{what}", "total", type=click.IntRange(1), default=None,
            help="Stop after so many.",
        ),
        click.option(
            "--seconds", type=click.FloatRange(0.1, 86_400), default=None,
            help="Stop after so long.",
        ),
        click.option(
            "--rate", type=click.FloatRange(0.01), default=None,
            help=f"So many {what} a second, come what may: latency counts from when one was due.",
        ),
        click.option(
            "--processes", type=click.IntRange(1, 64), default=1, show_default=True,
            help="That make the load.",
        ),
        click.option(
            "--patience", type=click.FloatRange(0.1, 3600), default=60.0, show_default=True,
            help="Seconds of silence after which a session has failed.",
        ),
    ]  # fmt: skip
    return _all(options)


_idle_option = click.option(
    "--idle", type=click.IntRange(1, 200_000), default=None, metavar="N",
    help="Instead: hold N connections that do nothing, for --seconds (10), "
    "and say what each costs the server's memory.",
)  # fmt: skip
_pipelining_option = click.option(
    "--pipelining/--no-pipelining", default=False, help="Send commands before answers are there."
)
_mail_options = [
    click.option("--from", "sender", metavar="ADDRESS", default="bench@client.test",
                 show_default=True),
    click.option("--to", "recipients", metavar="ADDRESS", multiple=True,
                 help="{n} counts mailboxes; several take turns."),
    click.option("--mailboxes", type=click.IntRange(1, 1_000_000), default=100,
                 show_default=True, help="How far {n} counts, from 1."),
    click.option("--recipients", "each", type=click.IntRange(1, 100_000), default=1,
                 show_default=True, help="Of each message."),
    click.option("--size", type=click.IntRange(300, 1 << 30), default=1024, show_default=True,
                 help="Octets of a message, with its header."),
    click.option("--reuse/--new-connections", default=False,
                 help="Message after message in a connection, or one in each (the default)."),
    click.option("--hello", metavar="NAME", default="bench.mailframe", show_default=True,
                 help="Said with EHLO."),
]  # fmt: skip


def _all(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# ---- the commands


@bench.command()
@target_options(mailboxes=False)
@_extent_options("messages", 10)
@_all(_mail_options)
@_pipelining_option
@_idle_option
@click.option(
    "--delivered",
    "maildirs",
    metavar="DIRECTORY",
    multiple=True,
    type=click.Path(file_okay=False),
    help="A Maildir of the server's here: wait until all is in new/, and say how fast.",
)
@json_option
@config_option
@click.pass_context
def smtp(ctx: click.Context, /, maildirs: tuple[str, ...], idle: int | None, **given: Any) -> None:
    """Send messages, as fast as the server takes them or at a rate.

    \b
    Examples:
      mailframe bench smtp 127.0.0.1:2525 --to user@example.org --sessions 50
      mailframe bench smtp --to 'user{n}@example.org' --mailboxes 20 --rate 300 --seconds 30
    """
    from mailframe.bench.running import Arrivals
    from mailframe.bench.works import idle_work, smtp_works

    if not idle:
        _need(given, "recipients", "--to")
    where = place(ctx, "mx", given)
    manner, mail, extent = _manner(where, given), _mail(given), _extent(given, idle)
    works = (
        [idle_work(manner.load(mail, 0, 1), idle, extent.seconds or 10.0, where.measured)]
        if idle
        else smtp_works(manner, mail, extent, given["processes"])
    )
    _perform(works, where, given, Arrivals(maildirs))


@bench.command()
@target_options(mailboxes=False)
@_extent_options("messages", 20)
@_all(_mail_options)
@_pipelining_option
@click.option(
    "--sink",
    "sinks",
    metavar="HOST:PORT",
    multiple=True,
    required=True,
    help="Where the server relays to: we listen there and count.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0.1, 3600),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the last one.",
)
@json_option
@config_option
@click.pass_context
def relay(ctx: click.Context, /, sinks: tuple[str, ...], drain: float, **given: Any) -> None:
    """Send messages, and be the next hop as well.

    The report has how long each took until it was there.

    The server has to relay the recipients' domains to the sink.

    \b
    Example: mailframe bench relay 127.0.0.1:2525 --to user@elsewhere.test --sink 127.0.0.1:2600
    """
    from mailframe.app.commands.bench_target import host_port
    from mailframe.bench.running import Arrivals
    from mailframe.bench.works import smtp_works

    _need(given, "recipients", "--to")
    where = place(ctx, "mx", given)
    works = smtp_works(
        _manner(where, given), _mail(given), _extent(given, None), given["processes"]
    )
    listening = tuple(host_port(each, "--sink") for each in sinks)
    _perform(works, where, given, Arrivals(sinks=listening, seconds=drain))


@bench.command()
@target_options(mailboxes=True)
@_extent_options("visits", 1)
@_pipelining_option
@_idle_option
@click.option(
    "--retr",
    "most",
    type=click.IntRange(0),
    default=None,
    help="Messages to fetch of each mailbox; all of them by default.",
)
@click.option(
    "--lists", default="STAT,UIDL,LIST", show_default=True, help="Commands before the messages."
)
@json_option
@config_option
@click.pass_context
def pop3(
    ctx: click.Context, /, most: int | None, lists: str, idle: int | None, **given: Any
) -> None:
    """Log in, list, fetch every message, again and again. Nothing is deleted.

    A mailbox is open for one POP3 client at a time: with --sessions let --user have {n}.

    \b
    Example: mailframe bench pop3 127.0.0.1:2110 --user ann@example.org --password-file pw
    """
    from mailframe.bench.pop3 import Pop3Load
    from mailframe.bench.works import idle_work, pop3_works

    commands = tuple(filter(None, lists.upper().split(",")))
    if not set(commands) <= {"STAT", "UIDL", "LIST"}:
        raise click.UsageError(f"--lists has STAT, UIDL and LIST, not {lists!r}")
    if not idle:
        _need(given, "user", "--user")
    where = place(ctx, "pop3", given)
    load = Pop3Load(
        where.target, where.users, where.password, where.starttls, commands, most,
        50 if given["pipelining"] else 1,
    )  # fmt: skip
    extent = _extent(given, idle, default=given["sessions"])
    works = (
        [idle_work(load, idle, extent.seconds or 10.0, where.measured)]
        if idle
        else pop3_works(load, extent, given["processes"])
    )
    _perform(works, where, given)


@bench.command()
@target_options(mailboxes=True)
@_extent_options("visits", 1)
@_idle_option
@click.option(
    "--commands",
    default="select,flags,search-unseen",
    show_default=True,
    help="Of each visit, timed one by one: select, examine, flags, envelope, bodies, "
    "search, search-from, search-unseen, store, unstore, noop, append.",
)
@click.option(
    "--size",
    type=click.IntRange(300, 1 << 30),
    default=1024,
    show_default=True,
    help="Octets of a message to append.",
)
@click.option(
    "--push",
    is_flag=True,
    help="Instead: --sessions wait in IDLE, --visits messages are appended; how long "
    "until they hear?",
)
@json_option
@config_option
@click.pass_context
def imap(
    ctx: click.Context, /, commands: str, size: int, push: bool, idle: int | None, **given: Any
) -> None:
    """Log in and run commands, again and again; or wait in IDLE.

    append and store change the mailbox.

    \b
    Examples:
      mailframe bench imap --user 'user{n}@example.org' --password-file pw --commands select,bodies
      mailframe bench imap 127.0.0.1:143 --user ann@example.org --password-file pw --idle 1000
    """
    from mailframe.bench.imap import COMMANDS, ImapLoad
    from mailframe.bench.works import idle_work, imap_works, push_work

    names = tuple(filter(None, commands.split(",")))
    unknown = set(names) - set(COMMANDS)
    if unknown:
        raise click.UsageError(f"--commands has no {', '.join(sorted(unknown))}")
    if not idle:
        _need(given, "user", "--user")
    where = place(ctx, "imap", given)
    message = _message(given, size)
    load = ImapLoad(where.target, where.users, where.password, where.starttls, names, message)
    extent = _extent(given, idle, default=given["sessions"])
    if idle:
        works = [idle_work(load, idle, extent.seconds or 10.0, where.measured)]
    elif push:
        works = [push_work(load, extent)]
    else:
        works = imap_works(load, extent, given["processes"])
    _perform(works, where, given)


# ---- what they have in common


def _need(given: dict[str, Any], name: str, option: str) -> None:
    if not given[name]:
        raise click.UsageError(f"{option} is needed")


def _extent(given: dict[str, Any], idle: int | None, default: int = _DEFAULT_TOTAL) -> Extent:
    from mailframe.bench.works import Extent

    total, seconds = given["total"], given["seconds"]
    if total is None and seconds is None and not idle:
        total = default
    return Extent(given["sessions"], total, seconds, given["rate"])


def _mail(given: dict[str, Any]) -> Mail:
    from mailframe.bench.mail import addresses
    from mailframe.bench.works import Mail

    recipients = addresses(given["recipients"] or [given["sender"]], given["mailboxes"])
    run = secrets.randbits(32)
    return Mail(given["sender"], recipients, given["each"], given["size"], run)


def _message(given: dict[str, Any], octets: int) -> bytes:
    from mailframe.bench.mail import Messages

    made = Messages("bench@client.test", octets, iter([0]), secrets.randbits(32)).next(0.0)
    return made.removesuffix(b".\r\n")


def _manner(where: Place, given: dict[str, Any]) -> Manner:
    from mailframe.bench.works import Manner

    login = (where.users[0], where.password) if where.users else None
    return Manner(
        where.target, given["hello"], given["reuse"], given["pipelining"], where.starttls, login
    )


def _perform(
    works: Sequence[Work], where: Place, given: dict[str, Any], arrivals: Arrivals | None = None
) -> None:
    from mailframe.bench.report import as_object, lines
    from mailframe.bench.running import Arrivals, Run

    # One clock for all processes of the machine.
    run = Run(time.monotonic, where.measured, arrivals or Arrivals(), given["patience"])
    outcome = run(works)
    found = {"target": where.text, **as_object(outcome)}
    if given["as_json"]:
        click.echo(json.dumps(found))
    else:
        show(lines(found), _columns(where.text), lambda row: {row[0]: row[1]}, as_json=False)
    _leave(outcome, where)


def _columns(name: str) -> list[Column[tuple[str, str]]]:
    return [Column(f"bench of {name}", lambda row: row[0]), Column("", lambda row: row[1])]


def _leave(outcome: Outcome, where: Place) -> None:
    """Raises CommandFailed unless all went well."""
    tally = outcome.tally
    if not tally.failures:
        if outcome.interrupted:
            raise click.Abort
        return
    kind, _ = tally.failures.most_common(1)[0]
    message = f"{where.text}: {kind}: {printable(tally.texts[kind])}"
    if any(tally.counts[name] for name in ("messages", "sessions", "held", "commands")):
        raise exits.CommandFailed(f"not everything went well; {message}", exits.PROBLEM)
    if kind.startswith(("connect", "greeting 421")):
        raise exits.CommandFailed(message, exits.UNAVAILABLE)
    refused_for_now = kind.rpartition(" ")[2].startswith("4")
    raise exits.CommandFailed(message, exits.TEMPORARY if refused_for_now else exits.PROBLEM)
