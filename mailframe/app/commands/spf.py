"""``mailframe spf``."""

from __future__ import annotations

import ipaddress
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mailframe.app import exits
from mailframe.app.commands.listing import printable
from mailframe.app.commands.shared import config_option, configuration, json_option, with_reactor

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.core.address import Address
    from mailframe.core.authentication import SpfResult


@click.group()
def spf() -> None:
    """Sender Policy Framework: who may send for a domain."""


@spf.command()
@click.argument("ip", metavar="IP")
@click.argument("sender", metavar="DOMAIN|ADDRESS")
@click.option("--helo", metavar="NAME", default="", help="The name that the client gives.")
@json_option
@config_option
@click.pass_context
def check(ctx: click.Context, ip: str, sender: str, helo: str, as_json: bool) -> None:
    """May the client at IP send for this domain or address? Asks the DNS.

    Exit status 0 for a pass, 1 for anything else.

    \b
    Example: mailframe spf check 192.0.2.1 ann@example.org
    """
    try:
        client = str(ipaddress.ip_address(ip))
    except ValueError as error:
        raise exits.CommandFailed(str(error), exits.DATA) from error
    result = _check(configuration(ctx), client, _address(sender), helo)
    if "@" not in sender:
        result = replace(result, sender=sender)
    if as_json:
        fields = {name: getattr(result, name) for name in result.__dataclass_fields__}
        click.echo(json.dumps({**fields, "result": result.result.value}, ensure_ascii=False))
    else:
        for line in _lines(result, client):
            click.echo(printable(line))
    if not result:
        sys.exit(exits.PROBLEM)


def _address(text: str) -> Address:
    from mailframe.core.address import Address, AddressError

    try:
        # RFC 7208 section 4.3: without a local-part it is the postmaster
        return Address.parse(text if "@" in text else f"postmaster@{text}")
    except AddressError as error:
        raise exits.CommandFailed(f"{text}: {error}", exits.DATA) from error


def _check(config: Config, ip: str, sender: Address, helo: str) -> SpfResult:
    from mailframe.app.inquiry import dns_of
    from mailframe.mailauth.spf import check_spf

    async def ask(reactor: Any) -> SpfResult:
        return await check_spf(
            dns_of(config, reactor),
            ip,
            sender,
            helo or sender.domain,
            hostname=config.hostname,
            timeout=config.policy.spf.timeout,
            clock=reactor,
        )

    return with_reactor(ask)


def _lines(result: SpfResult, ip: str) -> list[str]:
    facts = {
        "record of": result.domain,
        "decided by": result.mechanism,
        "because": result.reason,
        "they say": result.explanation,
    }
    lines = [f"{result.result.value}  {ip} for {result.sender}"]
    return lines + [f"  {name}: {value}" for name, value in facts.items() if value]
