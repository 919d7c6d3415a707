"""The ``smtp`` and ``lmtp`` couriers: to a host that the configuration names.

``Batch.next_hop`` is the URL that the router put into the Route, without a login; logins
come from the router's table. MX records are not asked: the named host is meant.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import lru_cache

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport
from mailframe.delivery.hosts import Host
from mailframe.delivery.nexthop import Kind, NextHop, parse_next_hop
from mailframe.delivery.sender import Sender, Way
from mailframe.errors import DnsTemporary, NoSuchDomain, TransientFailure
from mailframe.interfaces import Batch, ICourier, IResolver
from mailframe.runtime.aio import as_deferred

_WAYS_REMEMBERED = 1000


@implementer(ICourier)
class HopCourier:
    """Make one named ``smtp`` and one named ``lmtp``; they may share everything else."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        resolver: IResolver,
        *,
        next_hops: Callable[[], Mapping[str, NextHop]] = dict,
        max_addresses: int = 10,
    ) -> None:
        """``next_hops``: ``Router.next_hops`` of the router now in use."""
        self.name = name
        self._sender = sender
        self._resolver = resolver
        self._next_hops = next_hops
        self._max_addresses = max_addresses
        self._way = lru_cache(_WAYS_REMEMBERED)(_way_to)

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return as_deferred(self._deliver(batch))

    async def _deliver(self, batch: Batch) -> Sequence[DeliveryReport]:
        hop = self._next_hops().get(batch.next_hop) or _parse(batch.next_hop)
        way = self._way(batch.next_hop, hop)
        return await self._sender.deliver(batch, way, lambda: self._hosts(hop))

    async def _hosts(self, hop: NextHop) -> AsyncGenerator[Host, None]:
        if hop.path:
            yield Host(hop.host, path=hop.path)
            return
        try:
            addresses = await self._resolver.addresses(hop.host)
        except (DnsTemporary, NoSuchDomain) as error:
            raise _unknown(hop, str(error)) from None
        if not addresses:
            raise _unknown(hop, "no address")
        for ip in addresses[: self._max_addresses]:
            yield Host(hop.host, ip, hop.port)


def _way_to(next_hop: str, hop: NextHop) -> Way:
    return Way(next_hop, hop.security, hop.credentials, lmtp=hop.kind is Kind.LMTP)


def _parse(next_hop: str) -> NextHop:
    """A next hop that is no longer configured: what it says without a login still holds."""
    try:
        return parse_next_hop(next_hop)
    except ValueError as error:
        reply = Reply(451, status.UNABLE_TO_ROUTE, "The next hop is not understood")
        raise TransientFailure(reply, str(error)) from None


def _unknown(hop: NextHop, detail: str) -> TransientFailure:
    # Even NXDOMAIN: a mistake in our own settings is no reason to bounce.
    text = f"The address of the next hop {hop.host} is not known"
    return TransientFailure(Reply(451, status.DIRECTORY_FAILURE, text), detail)
