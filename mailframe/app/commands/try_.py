"""``mailframe try``."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mailframe.app import exits
from mailframe.app.commands.listing import printable
from mailframe.app.commands.shared import json_option

if TYPE_CHECKING:
    from mailframe.testing.letters import Received
    from mailframe.testing.rehearsal import Rehearsal, Seen

_JUDGING = ("apps", "plugins", "policy", "limits", "routing", "relay", "routes", "directory")
"""Sections of a configuration that say what becomes of a message."""


def _record(ctx: click.Context, param: click.Parameter, values: Iterable[str]) -> dict[str, Any]:
    records: dict[str, list[str]] = {}
    for value in values:
        name, equals, data = value.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not NAME=RECORD")
        records.setdefault(name, []).append(data)
    return records


def _one_line(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """It becomes part of a command of SMTP's."""
    for text in value if isinstance(value, tuple) else (value,):
        if not text.isprintable():
            raise click.BadParameter(f"{text!r} has control characters in it")
    return value


def _address_of_host(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("try")
@click.argument("app", metavar="MODULE:APP")
@click.argument("message", type=click.File("rb"), default="-")
@click.option(
    "--from",
    "sender",
    metavar="ADDRESS",
    required=True,
    callback=_one_line,
    help="Its sender.",
)
@click.option(
    "--to", "recipients", metavar="ADDRESS", required=True, multiple=True, callback=_one_line
)
@click.option(
    "--ip",
    default="198.51.100.25",
    show_default=True,
    callback=_address_of_host,
    help="Whom it comes from.",
)
@click.option("--helo", default="client.test", show_default=True, callback=_one_line)
@click.option("--auth", metavar="ADDRESS", default="", help="Who has logged in to submit it.")
@click.option("--dns", metavar="NAME=RECORD", multiple=True, callback=_record, help="Repeatable.")
@click.option("--deliver", is_flag=True, help="Go on after the 250: call @app.deliver, too.")
@click.option("--settings", metavar="FILE", help="Policies and limits of this configuration.")
@json_option
def try_(
    app: str,
    message: BinaryIO,
    sender: str,
    recipients: tuple[str, ...],
    ip: str,
    helo: str,
    auth: str,
    dns: Mapping[str, Any],
    deliver: bool,
    settings: str | None,
    as_json: bool,
) -> None:
    """Show what an application says to one message, read from MESSAGE or standard input.

    Nothing is kept and nothing is sent: the server is one in memory, and the DNS knows what --dns
    says. But hooks do what they do. Exit status 1: the message would be refused.

    \b
    Example: mailframe try shop:app --from a@b.example --to c@d.example m.eml
    """
    content = _wire(message.read())
    if not content.strip():
        raise exits.CommandFailed("there is no message", exits.DATA)
    from mailframe.app.extensions import application
    from mailframe.runtime.loading import look_in
    from mailframe.testing.rehearsal import rehearse

    look_in([os.getcwd()])
    done = rehearse(
        [application(app)],
        sender,
        list(recipients),
        content,
        ip=ip,
        helo=helo,
        login=auth,
        dns=dns,
        config=_settings(settings) if settings else None,
        deliver=deliver,
    )
    if as_json:
        _print_objects(done)
    else:
        _print(done)
    if not done.answer.is_accepted:
        sys.exit(exits.PROBLEM)


def _settings(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        data = tomllib.load(file)
    return {section: data[section] for section in _JUDGING if section in data}


def _wire(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _print(done: Rehearsal) -> None:
    for seen in done.seen:
        click.echo(_line(seen))
    click.secho(str(done.answer), bold=True)
    for account, folder, message in done.filed:
        click.echo(f"would lie in {folder or 'INBOX'} of {account}: {printable(message.subject)}")
    for message in done.sent:
        to = ", ".join(message.to)
        click.echo(f"would go to {to} from <{message.sender}>: {printable(message.subject)}")
        for line in message.text.splitlines():
            click.echo(f"  | {printable(line)}".rstrip())
        if names := _attached(message):
            click.echo(f"  attached: {', '.join(map(printable, names))}")
    for error in done.errors:
        click.echo(f"error: {type(error).__name__}: {printable(str(error))}", err=True)


def _attached(message: Received) -> list[str]:
    return [each.name or each.type for each in message.attachments]


def _line(seen: Seen) -> str:
    place = f"  ({os.path.relpath(seen.place)})" if seen.place else ""
    took = f"  {seen.milliseconds:.1f} ms" if seen.milliseconds is not None else ""
    return f"{seen.stage:<10} {seen.by:<20} {printable(seen.answer)}{took}{place}".rstrip()


def _print_objects(done: Rehearsal) -> None:
    for seen in done.seen:
        click.echo(_json(dataclasses.asdict(seen)))
    answer = done.answer
    last = {
        "code": answer.code,
        "status": answer.status,
        "text": answer.text,
        "stage": answer.stage,
        "id": answer.id,
        "filed": [
            {"account": account, "folder": folder, "subject": message.subject}
            for account, folder, message in done.filed
        ],
        "sent": [
            {
                "to": message.to,
                "sender": message.sender,
                "subject": message.subject,
                "text": message.text,
                "attachments": _attached(message),
            }
            for message in done.sent
        ],
        "errors": [f"{type(error).__name__}: {error}" for error in done.errors],
    }
    click.echo(_json(last))


def _json(told: Mapping[str, Any]) -> str:
    text = json.dumps(told, ensure_ascii=False)
    # An exception's text may have half characters in it, which nothing else can write.
    return text if _is_unicode(text) else json.dumps(told)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
