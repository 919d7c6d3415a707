"""``mailframe spam learn|forget|test|explain|stats|log|rules|rollback``.

Training is in ``spam.db``, which a running server has open too: it notices what is learnt here
with the next message. What needs a connection (SPF, block lists ...) cannot be seen in a file, so
that ``test`` and ``explain`` count the filter and the rules about the message itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailframe.app import exits
from mailframe.app.commands.listing import Column, counted, printable, show
from mailframe.app.commands.shared import config_option, configuration, json_option

if TYPE_CHECKING:
    from mailframe.app.commands.training import Scoring, Whose
    from mailframe.spam.training_log import Counts, Training

F = TypeVar("F", bound=Callable[..., Any])


def whose_options(command: F) -> F:
    """Whose training: ``-u``, ``--domain`` or ``--site``; without one of them the server's."""
    options = (
        click.option("-u", "--user", "address", metavar="ACCOUNT", help="This account's training."),
        click.option("--domain", metavar="D", help="The training of a whole domain."),
        click.option("--site", is_flag=True, help="What users share who share with the site."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
@config_option
def spam() -> None:
    """The filter that learns: teach, test, explain, undo.

    \b
    Teach it:     mailframe spam learn --ham ~/Maildir
                  mailframe spam learn --spam ~/Maildir/.Junk
    Why junk?     mailframe spam explain -u ann@example.org message.eml
    Undo it:      mailframe spam rollback --since 2h -u ann@example.org
    """


@spam.command()
@click.option("--ham/--spam", "is_ham", default=None, help="What it is.")
@whose_options
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@config_option
@click.pass_context
def learn(
    ctx: click.Context,
    is_ham: bool | None,
    address: str | None,
    domain: str | None,
    site: bool,
    paths: tuple[str, ...],
) -> None:
    """Learn a Maildir, an mbox, a directory of messages, or a single message.

    Of a Maildir only the folder itself: name each that is to be learnt. What was learnt before
    teaches nothing new, so a command that was interrupted can be repeated.
    """
    from mailframe.app.commands.training import messages_at, training

    if is_ham is None:
        raise click.UsageError("say what it is: --ham or --spam")
    with training(ctx) as desk:
        whose = desk.whose(address, domain, site)
        learnt = seen = 0
        for path in paths:
            with messages_at(path, desk.max_size, "learning") as messages:
                new, read = desk.learn(messages, not is_ham, whose)
            learnt, seen = learnt + new, seen + read
        desk.save(whose)
    known = f", {seen - learnt} were learnt before" if seen > learnt else ""
    kind = "ham" if is_ham else "spam"
    click.echo(f"learnt {counted(learnt, 'message')} as {kind} for {whose.name}{known}")


@spam.command()
@whose_options
@click.argument("file")
@config_option
@click.pass_context
def forget(
    ctx: click.Context, address: str | None, domain: str | None, site: bool, file: str
) -> None:
    """Undo what was learnt from a message ("-": from stdin)."""
    from mailframe.app.commands.training import message_at, training

    with training(ctx) as desk:
        whose = desk.whose(address, domain, site)
        had = desk.forget(message_at(file, desk.max_size), whose)
    if not had:
        raise exits.CommandFailed(f"{file} was not learnt for {whose.name}", exits.PROBLEM)
    click.echo(f"forgotten for {whose.name}")


@spam.command()
@whose_options
@click.argument("file")
@config_option
@click.pass_context
def test(
    ctx: click.Context, address: str | None, domain: str | None, site: bool, file: str
) -> None:
    """Judge a message ("-": from stdin). Exit status 0 for ham, 1 for spam."""
    scoring, _ = _scored(ctx, file, address, domain, site, 0)
    click.echo(f"{_kind(scoring)}  {printable(str(scoring.score))}")
    if scoring.score.is_junk:
        sys.exit(exits.PROBLEM)


@spam.command()
@whose_options
@click.option("--most", default=30, show_default=True, metavar="N", help="So many features.")
@click.argument("file")
@json_option
@config_option
@click.pass_context
def explain(
    ctx: click.Context,
    address: str | None,
    domain: str | None,
    site: bool,
    most: int,
    file: str,
    as_json: bool,
) -> None:
    """Why a message is ham or spam: the features that count, and the rules that apply."""
    scoring, whose = _scored(ctx, file, address, domain, site, max(most, 0))
    if as_json:
        click.echo(json.dumps(_explained(scoring, whose), ensure_ascii=False))
        return
    click.echo(f"{_kind(scoring)}  {printable(str(scoring.score))}")
    opinion = scoring.opinion
    if opinion.hams or opinion.spams:
        learnt = f"{opinion.hams} ham, {opinion.spams} spam"
        click.echo(f"bayes {opinion.probability:.3f} by {printable(opinion.scope)} ({learnt})")
    else:
        click.echo(f"too little was learnt for {whose.name} (mailframe spam learn)")
    for each in opinion.evidence:
        counts = f"{each.ham} ham, {each.spam} spam" if each.ham or each.spam else ""
        click.echo(f"  {each.weight:+7.2f}  {printable(each.token)}  {counts}".rstrip())
    for symbol in scoring.score.symbols:
        click.echo(f"rule {symbol.name} {symbol.weight:+.1f}  {printable(symbol.detail)}".rstrip())


def _scored(
    ctx: click.Context,
    file: str,
    address: str | None,
    domain: str | None,
    site: bool,
    evidence: int,
) -> tuple[Scoring, Whose]:
    from mailframe.app.commands.training import message_at, training

    with training(ctx) as desk:
        whose = desk.whose(address, domain, site)
        return desk.score(message_at(file, desk.max_size), whose, evidence), whose


def _kind(scoring: Scoring) -> str:
    return "spam" if scoring.score.is_junk else "ham "


def _explained(scoring: Scoring, whose: Whose) -> dict[str, Any]:
    score, opinion = scoring.score, scoring.opinion
    return {
        "spam": score.is_junk,
        "score": score.points,
        "required": score.required,
        "asked_for": whose.name,
        "bayes": {
            "probability": round(opinion.probability, 6),
            "points": score.bayes,
            "scope": opinion.scope,
            "ham": opinion.hams,
            "spam": opinion.spams,
        },
        "features": [
            {"token": e.token, "weight": round(e.weight, 4), "ham": e.ham, "spam": e.spam}
            for e in opinion.evidence
        ],
        "rules": [{"name": s.name, "points": s.weight, "detail": s.detail} for s in score.symbols],
    }


@spam.command()
@whose_options
@json_option
@config_option
@click.pass_context
def stats(
    ctx: click.Context, address: str | None, domain: str | None, site: bool, as_json: bool
) -> None:
    """How much was learnt, by account, domain and site."""
    from mailframe.app.commands.training import training

    columns: list[Column[Counts]] = [
        Column("WHOSE", lambda found: found.scope),
        Column("HAM", lambda found: str(found.hams), right=True),
        Column("SPAM", lambda found: str(found.spams), right=True),
        Column("LATEST", lambda found: _time(found.latest)),
    ]
    with training(ctx) as desk:
        found = desk.counts(desk.chosen(address, domain, site))
    show(found, columns, _counts_object, as_json)


def _counts_object(found: Counts) -> dict[str, Any]:
    return {
        "scope": found.scope,
        "ham": found.hams,
        "spam": found.spams,
        "log_rows": found.rows,
        "octets": found.octets,
        "latest": _iso(found.latest),
    }


@spam.command()
@whose_options
@click.option("-n", "--limit", default=50, show_default=True, metavar="N", help="So many.")
@json_option
@config_option
@click.pass_context
def log(
    ctx: click.Context,
    address: str | None,
    domain: str | None,
    site: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Who taught the filter what, the latest first."""
    from mailframe.app.commands.training import training

    columns: list[Column[Training]] = [
        Column("TIME", lambda found: _time(found.at)),
        Column("WHOSE", lambda found: found.scope),
        Column("AS", _as_what),
        Column("BY", lambda found: found.taught_by or "administrator"),
        Column("HOW", lambda found: found.source),
        Column("MESSAGE", lambda found: found.digest.hex()[:12]),
        Column("STATE", lambda found: "" if found.is_in_force else "superseded"),
    ]
    with training(ctx) as desk:
        found = desk.trainings(desk.chosen(address, domain, site), max(limit, 0))
    show(found, columns, _training_object, as_json)


def _as_what(found: Training) -> str:
    return "forgotten" if found.is_spam is None else "spam" if found.is_spam else "ham"


def _training_object(found: Training) -> dict[str, Any]:
    return {
        "time": _iso(found.at),
        "scope": found.scope,
        "as": _as_what(found),
        "by": found.taught_by,
        "source": found.source,
        "message": found.digest.hex(),
        "in_force": found.is_in_force,
    }


@spam.command()
@json_option
@config_option
@click.pass_context
def rules(ctx: click.Context, as_json: bool) -> None:
    """The rules and their points; `[policy.content] weights` changes them."""
    from mailframe.app.commands.training import RuleLine, rule_lines

    columns: list[Column[RuleLine]] = [
        Column("NAME", lambda rule: rule.name),
        Column("POINTS", lambda rule: rule.shown_points, right=True),
        Column("", lambda rule: "changed" if rule.is_changed else ""),
        Column("MEANING", lambda rule: rule.meaning),
    ]
    show(rule_lines(configuration(ctx).policy.content), columns, RuleLine.as_object, as_json)


@spam.command()
@click.option("--since", required=True, metavar="T", help="2h, 3d, or 2026-02-01T12:00.")
@whose_options
@config_option
@click.pass_context
def rollback(
    ctx: click.Context, since: str, address: str | None, domain: str | None, site: bool
) -> None:
    """Make one training what it was at a time: what was taught since then never was.

    Only that one: what an account taught its domain, too, is undone with --domain.
    """
    from mailframe.app.commands.training import time_of, training

    with training(ctx) as desk:
        scope = desk.whose(address, domain, site).scopes[0]
        undone = desk.roll_back(scope, time_of(since))
    click.echo(f"undone {counted(undone, 'training')} of {scope}")


def _time(seconds: float) -> str:
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
