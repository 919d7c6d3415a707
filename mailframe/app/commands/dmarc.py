"""``mailframe dmarc``: look a policy up, and what reports say, received and sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import Column, printable, show
from mailframe.app.commands.shared import (
    config_option,
    configuration,
    database,
    json_option,
    path_in_base,
    with_reactor,
)

if TYPE_CHECKING:
    from mailframe.mailauth.dmarc import DmarcRecord
    from mailframe.mailauth.dmarc.discovery import Walk
    from mailframe.reports.sent import Outcome
    from mailframe.reports.store import ReceivedReport
    from mailframe.runtime.database import Database

domain_option = click.option("--domain", metavar="DOMAIN", default="", help="About this domain.")
limit_option = click.option("--limit", default=100, show_default=True, help="At most so many.")


@click.group()
def dmarc() -> None:
    """DMARC: what domains ask for, and the reports about it."""


@dmarc.command()
@click.argument("domain")
@json_option
@config_option
@click.pass_context
def lookup(ctx: click.Context, domain: str, as_json: bool) -> None:
    """Ask the DNS what DOMAIN wants done with mail that only pretends to be from it.

    Exit status 1 where it asks for nothing: there is no record.

    \b
    Example: mailframe dmarc lookup example.org
    """
    from mailframe.mailauth.dmarc.names import a_label

    name = a_label(domain)
    if not name:
        raise exits.CommandFailed(f"{domain} is no domain name", exits.DATA)
    walk = _walk(ctx, name)
    found = walk.applicable()
    if as_json:
        click.echo(json.dumps(_looked_up(walk), ensure_ascii=False))
    elif found is None:
        click.echo(f"{name} has no DMARC record, and nobody above it")
    else:
        for line in _lines(walk, *found):
            click.echo(printable(line))
    if found is None:
        sys.exit(exits.PROBLEM)


def _walk(ctx: click.Context, domain: str) -> Walk:
    config = configuration(ctx)

    async def look(reactor: Any) -> Walk:
        from mailframe.app.inquiry import dns_of
        from mailframe.mailauth.dmarc.discovery import walk

        return await walk(dns_of(config, reactor), domain)

    from mailframe.errors import DnsTemporary

    try:
        return with_reactor(look)
    except DnsTemporary as error:
        raise exits.CommandFailed(f"the DNS does not answer: {error}", exits.TEMPORARY) from error


def _lines(walk: Walk, where: str, record: DmarcRecord) -> Iterator[str]:
    yield f"record        {record.text}"
    yield f"found at      _dmarc.{where}"
    yield f"organization  {walk.organization}"
    action = record.action_for(is_own=where == walk.domain, exists=True)
    yield f"failures      {action.value}{' (testing)' * record.is_testing}"
    if record.nonexistent is not None and where != walk.domain:
        yield f"made up       {record.nonexistent.value}"
    if record.percent < 100:
        yield f"of messages   {record.percent} %"
    yield f"alignment     dkim {_mode(record.strict_dkim)}, spf {_mode(record.strict_spf)}"
    for uri in record.aggregate:
        limit = f" (up to {uri.most} octets)" if uri.most else ""
        yield f"reports to    {uri.address}{limit}"


def _mode(strict: bool) -> str:
    return "strict" if strict else "relaxed"


def _looked_up(walk: Walk) -> dict[str, Any]:
    found = walk.applicable()
    shown: dict[str, Any] = {"domain": walk.domain, "organization": walk.organization}
    if found is None:
        return {**shown, "record": None}
    where, record = found
    return {
        **shown,
        "record": record.text,
        "record_domain": where,
        "action": record.action_for(is_own=where == walk.domain, exists=True).value,
        "reports_to": [str(uri.address) for uri in record.aggregate],
    }


@dmarc.command()
@domain_option
@limit_option
@json_option
@config_option
@click.pass_context
def received(ctx: click.Context, domain: str, limit: int, as_json: bool) -> None:
    """List the reports that others sent, the latest first.

    FROM is whose mail the report came in, as far as that was proved.
    """
    from mailframe.reports.store import received as list_received

    columns: list[Column[ReceivedReport]] = [
        Column("ID", lambda report: str(report.id), right=True),
        Column("DOMAIN", lambda report: report.domain),
        Column("BY", lambda report: report.organization),
        Column("FROM", lambda report: report.sender or "?"),
        Column("DAY", lambda report: _day(report.begins)),
        Column("MESSAGES", lambda report: str(report.messages), right=True),
        Column("PASSED", lambda report: str(report.passed), right=True),
    ]
    with _reports(ctx) as opened:
        found = opened.read(lambda c: list(list_received(c, domain=domain.lower(), limit=limit)))
        show(_fired(found), columns, asdict, as_json)


@dmarc.command()
@domain_option
@limit_option
@json_option
@config_option
@click.pass_context
def sent(ctx: click.Context, domain: str, limit: int, as_json: bool) -> None:
    """List the reports that went out, or why they did not, the latest first."""
    from mailframe.reports.sent import sent as list_sent

    columns: list[Column[Outcome]] = [
        Column("DAY", lambda outcome: _day(outcome.day * 86_400)),
        Column("DOMAIN", lambda outcome: outcome.domain),
        Column("TO", lambda outcome: outcome.destination),
        Column("MESSAGES", lambda outcome: str(outcome.messages), right=True),
        Column("RESULT", lambda outcome: outcome.result),
        Column("QUEUE ID", lambda outcome: outcome.queue_id),
        Column("WHY", lambda outcome: outcome.detail),
    ]
    with _reports(ctx) as opened:
        found = opened.read(lambda c: list(list_sent(c, domain=domain.lower(), limit=limit)))
        show(_fired(found), columns, asdict, as_json)


@dmarc.command("show")
@click.argument("number", metavar="ID", type=int)
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, number: int, as_json: bool) -> None:
    """Show a received report: who sent mail in the name of the domain, and did it pass?"""
    from mailframe.reports.store import one, rows

    columns: list[Column[dict[str, Any]]] = [
        Column("ADDRESS", lambda row: row["source_ip"]),
        Column("MESSAGES", lambda row: str(row["count"]), right=True),
        Column("DKIM", lambda row: row["dkim"]),
        Column("SPF", lambda row: row["spf"]),
        Column("DONE", lambda row: row["disposition"]),
        Column("FROM", lambda row: row["header_from"]),
        Column("SIGNED BY", lambda row: _names(row["dkim_results"])),
        Column("SENT BY", lambda row: _names(row["spf_results"])),
    ]
    with _reports(ctx) as opened:
        report = _fired(opened.read(lambda c: one(c, number)))
        if report is None:
            raise exits.CommandFailed(f"there is no report {number}", exits.NO_INPUT)
        if not as_json:
            for line in _about(report):
                click.echo(printable(line))
        show(_fired(opened.read(lambda c: list(rows(c, number)))), columns, dict, as_json)


def _about(report: ReceivedReport) -> Iterator[str]:
    period = f"{_time(report.begins)} to {_time(report.ends)}"
    yield f"{report.organization or '?'} about {report.domain}, {period}"
    yield f"id {report.report_id}, came in {report.queue_id} from {report.sender or 'somebody'}"
    policy = "; ".join(f"{name}={value}" for name, value in report.detail["policy"].items())
    yield f"policy {policy or '?'}"
    for error in report.detail["errors"]:
        yield f"error {error}"
    yield f"{report.messages} messages, {report.passed} passed"
    yield ""


def _names(results: list[dict[str, str]]) -> str:
    return " ".join(f"{each['domain']}:{each['result']}" for each in results)


def _day(seconds: float) -> str:
    return _time(seconds)[:10]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes").removesuffix("+00:00")


def _fired(deferred: Any) -> Any:
    from mailframe.runtime.aio import fired

    return fired(deferred)


@contextmanager
def _reports(ctx: click.Context) -> Iterator[Database]:
    from mailframe.reports.schema import MIGRATIONS

    path = path_in_base(configuration(ctx), "reports.db")
    with database(path, MIGRATIONS, durable=False) as opened:
        yield opened
