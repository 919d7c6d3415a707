"""Which way a recipient goes: to a program or mailbox here, by a configured route, the smarthost,
or MX.

The first that fits decides: the program (``Local.courier``) or mailbox chosen when the recipient
was accepted; the route of the domain itself, of the nearest domain above it (``.example.org``),
or of everything (``*``); the smarthost; the DNS. Logins stay in here: a ``Route`` names hosts
only, and couriers ask ``next_hop`` for the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import idna
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import AddressError, normal_domain
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local
from mailframe.core.routing import Route
from mailframe.delivery.nexthop import Kind, NextHop, parse_next_hop
from mailframe.errors import TransientFailure
from mailframe.interfaces import IRouter

_NO_PROGRAMS = frozenset({"local", "expanded", "mx", "smtp", "lmtp", "pipe"})
"""Couriers that no account may name as its program: their next hop is a host, a command to run
or a mailbox, and what an account is called comes from a database or a directory of others."""


@implementer(IRouter)
class Router:
    def __init__(
        self,
        routes: Mapping[str, str],
        smarthost: str | None,
        couriers: Collection[str] = (),
    ) -> None:
        """``routes``: domain, ``.domain`` or ``*`` -> next hop, as in ``nexthop``; ``couriers``:
        names of those that are not built in.

        Raises ValueError with the key and what is wrong with it."""
        self._routes = {
            _key(domain): _parse(domain, hop, couriers) for domain, hop in routes.items()
        }
        self._smarthost = _parse("smarthost", smarthost) if smarthost else None
        if self._smarthost and self._smarthost.kind not in (Kind.SMTP, Kind.LMTP):
            raise ValueError("smarthost: expected smtp://, smtps:// or lmtp://")
        hops = [*self._routes.values(), *([self._smarthost] if self._smarthost else [])]
        self._next_hops = {hop.public: hop for hop in hops if hop.kind in (Kind.SMTP, Kind.LMTP)}

    def route(self, recipient: Recipient) -> Route:
        if recipient.mailbox is not None:
            if recipient.mailbox.courier:
                return _to_program(recipient.mailbox)
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


def _to_program(mailbox: Local) -> Route:
    if mailbox.courier in _NO_PROGRAMS:
        reply = Reply(451, status.UNABLE_TO_ROUTE, f"The courier {mailbox.courier} is no program")
        raise TransientFailure(reply, f"named by the account {mailbox.account}")
    return Route(mailbox.courier, mailbox.account, f"accepted for {mailbox.courier}")


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
    if hop.kind is Kind.NAMED:
        return Route(hop.host, hop.path or recipient.address.domain, why)
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


def _parse(key: str, text: str, couriers: Collection[str] = ()) -> NextHop:
    try:
        return parse_next_hop(text, couriers)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
