"""Which way a recipient goes: a mailbox here, a configured route, the smarthost, or MX.

The first that fits decides: the mailbox chosen when the recipient was accepted; the route
of the domain itself, of the nearest domain above it (``.example.org``), or of everything
(``*``); the smarthost; the DNS. Logins stay in here: a ``Route`` names hosts only, and
couriers ask ``next_hop`` for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import idna
from zope.interface import implementer

from mailframe.core.address import AddressError, normal_domain
from mailframe.core.envelope import Recipient
from mailframe.core.routing import Route
from mailframe.delivery.nexthop import Kind, NextHop, parse_next_hop
from mailframe.interfaces import IRouter


@implementer(IRouter)
class Router:
    def __init__(self, routes: Mapping[str, str], smarthost: str | None) -> None:
        """``routes``: domain, ``.domain`` or ``*`` -> next hop, as in ``nexthop``.

        Raises ValueError with the key and what is wrong with it."""
        self._routes = {_key(domain): _parse(domain, hop) for domain, hop in routes.items()}
        self._smarthost = _parse("smarthost", smarthost) if smarthost else None
        if self._smarthost and self._smarthost.kind not in (Kind.SMTP, Kind.LMTP):
            raise ValueError("smarthost: expected smtp://, smtps:// or lmtp://")
        hops = [*self._routes.values(), *([self._smarthost] if self._smarthost else [])]
        self._next_hops = {hop.public: hop for hop in hops if hop.kind in (Kind.SMTP, Kind.LMTP)}

    def route(self, recipient: Recipient) -> Route:
        if recipient.mailbox is not None:
            return Route("local", recipient.mailbox.account, "a mailbox here")
        if recipient.is_expanded:
            return Route("expanded", recipient.address.domain, "an alias with several targets")
        domain = _in_ascii(recipient.address.domain)
        for pattern in _patterns(domain):
            if hop := self._routes.get(pattern):
                return _route(hop, recipient, f'routes."{pattern}"')
        if self._smarthost is not None:
            return _route(self._smarthost, recipient, "relay.smarthost")
        return Route("mx", domain, "no route or smarthost: by MX")

    def next_hops(self) -> Mapping[str, NextHop]:
        """Every configured SMTP and LMTP next hop by its ``Route.next_hop``, logins included:
        for ``HopCourier`` only."""
        return self._next_hops


def _patterns(domain: str) -> Iterator[str]:
    """``a.b.c`` -> ``a.b.c``, ``.b.c``, ``.c``, ``*``."""
    yield domain
    rest = domain
    while not domain.startswith("[") and "." in rest:
        rest = rest.partition(".")[2]
        yield f".{rest}"
    yield "*"


def _route(hop: NextHop, recipient: Recipient, why: str) -> Route:
    if hop.kind is Kind.MX:
        return Route("mx", recipient.address.domain, why)
    if hop.kind is Kind.LOCAL:
        return Route("local", recipient.address.key, why)
    return Route(hop.kind.value, hop.public, why)


def _in_ascii(domain: str) -> str:
    """A-labels: a domain is the same one in either form (RFC 5890 section 2.3.2.4)."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain  # no name that the DNS could have; whoever goes there will say so


def _key(domain: str) -> str:
    if domain == "*":
        return domain
    dot = "." if domain.startswith(".") else ""
    try:
        return dot + _in_ascii(normal_domain(domain.removeprefix(".")))
    except AddressError as error:
        raise ValueError(f"{domain}: {error}") from None


def _parse(key: str, text: str) -> NextHop:
    try:
        return parse_next_hop(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
