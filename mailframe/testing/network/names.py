"""Host names for endpoints that take any name: ``SimNetwork.names`` instead of a resolver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from mailframe.testing.network.network import SimNetwork


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over already."""


@implementer(IHostnameResolver)
class SimNameResolver:
    def __init__(self, network: SimNetwork) -> None:
        self._network = network

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[Any]] | None = None,
        transportSemantics: Any = "TCP",
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for ip in self._addresses(hostName):
            kind = IPv6Address if ":" in ip else IPv4Address
            if addressTypes is None or kind in addressTypes:
                resolutionReceiver.addressResolved(kind(transportSemantics, ip, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def first(self, name: str) -> Deferred[str]:
        addresses = self._addresses(name)
        return succeed(addresses[0]) if addresses else fail(DNSLookupError(name))

    def _addresses(self, name: str) -> list[str]:
        if isIPAddress(name) or isIPv6Address(name):
            return [name]
        return self._network.names.get(name.lower().rstrip("."), [])
