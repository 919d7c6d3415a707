"""This server as its DNS records describe it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence

from mailframe.accounts.names import domain_key
from mailframe.app.checks.listeners import is_loopback, tcp_place
from mailframe.app.config import Config
from mailframe.app.dns_records import Offer, Site
from mailframe.delivery.nexthop import parse_next_hop

_SERVICES = {"submission": "submission", "imap": "imap", "pop3": "pop3"}
# TEST-NET-1 and the documentation prefix: a route out, to where nobody is
_SOMEWHERE = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))


def site_of(config: Config, addresses: Sequence[str] = ()) -> Site:
    """``addresses``: the server's public ones, where its owner names them."""
    smarthost = config.relay.smarthost_url
    return Site(
        hostname=domain_key(config.hostname),
        addresses=tuple(addresses) or tuple(_public_addresses()),
        offers=tuple(_offers(config)),
        postmaster=config.postmaster,
        dmarc_reports=config.policy.dmarc.reports_to,
        smarthost=parse_next_hop(smarthost).host if smarthost else "",
    )


def _public_addresses() -> Iterator[str]:
    """From which this machine would talk to the world, where these are no private ones behind
    which there is a NAT. Nothing is sent: connecting a datagram socket only asks for a route."""
    for elsewhere, family in _SOMEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 53))
                ip = ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            continue
        if ip.is_global:
            yield str(ip)


def _offers(config: Config) -> Iterator[Offer]:
    for listen in config.listen.values():
        place = tcp_place(listen.endpoint) if listen.role in _SERVICES else None
        tls = config.tls_mode(listen)
        if place is None or not place[1] or is_loopback(place[0]) or tls == "none":
            continue
        yield Offer(_SERVICES[listen.role] + "s" * (tls == "implicit"), place[1])
