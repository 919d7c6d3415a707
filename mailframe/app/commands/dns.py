"""``mailframe dns show``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from mailframe.app.commands.listing import printable
from mailframe.app.commands.shared import config_option, configuration, dkim_keys, json_option

if TYPE_CHECKING:
    from mailframe.app.dns_records import DnsRecord


@click.group()
@config_option
def dns() -> None:
    """The DNS records that the domains here should have.

    Example: mailframe dns show example.org
    """


@dns.command()
@click.argument("name", metavar="DOMAIN")
@click.option("--zone", is_flag=True, help="Lines for a zone file.")
@click.option(
    "--address", "addresses", metavar="IP", multiple=True, help="A public address of this server."
)
@json_option
@config_option
@click.pass_context
def show(
    ctx: click.Context, name: str, zone: bool, addresses: tuple[str, ...], as_json: bool
) -> None:
    """Every record that DOMAIN should have, and why.

    MUST: mail does not flow without it. want: better with it. may: needs more than the DNS.
    `mailframe check --domain DOMAIN` tells which are missing.
    """
    from mailframe.accounts.names import entered_domain
    from mailframe.app.dns_records import records_of, zone_fragment
    from mailframe.app.dns_site import site_of

    if zone and as_json:
        raise click.UsageError("--zone and --json exclude each other")
    _check_addresses(addresses)
    domain = entered_domain(name)
    with dkim_keys(ctx) as keys:
        site = site_of(configuration(ctx), addresses)
        records = list(records_of(domain, site, keys.keys(domain), time.time()))
    if zone:
        for line in zone_fragment(domain, records):
            click.echo(line)
    else:
        for record in records:
            _show(record, as_json)
    if not site.addresses:
        text = f"no public address of this server is known: publish those of {site.hostname}"
        click.echo(f"{text} (--address names them)", err=True)


def _check_addresses(addresses: tuple[str, ...]) -> None:
    import ipaddress

    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise click.UsageError(f"{address!r} is no IP address") from None


def _show(record: DnsRecord, as_json: bool) -> None:
    if as_json:
        found = {
            "need": record.need.value,
            "name": record.name,
            "type": record.type,
            "value": record.value,
            "rdata": record.rdata,
            "why": record.why,
        }
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"{record.need.value:<4}  {record.name}.  {record.type}  {record.rdata}")
    click.echo(f"{'':<6}{printable(record.why)}")
