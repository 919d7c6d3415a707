"""Ways out: the couriers, and the router in front of them.

The queue keeps this one object as its router; a reload gives it new routes to follow, and
mail that is already queued follows them at its next attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from zope.interface import implementer

from mailframe.app.config import Config
from mailframe.app.config_extensions import owners
from mailframe.app.versions import Version
from mailframe.core.envelope import Recipient
from mailframe.core.routing import Route
from mailframe.delivery.dialler import Dialler
from mailframe.delivery.expanded import ExpandedCourier
from mailframe.delivery.hop import HopCourier
from mailframe.delivery.hosts import Timeouts
from mailframe.delivery.local import LocalCourier
from mailframe.delivery.mx import MxCourier
from mailframe.delivery.pipe import PipeCourier
from mailframe.delivery.router import Router
from mailframe.delivery.sender import Sender
from mailframe.delivery.targets import MxTargets
from mailframe.interfaces import (
    ICourier,
    IMailStore,
    IResolver,
    IRouter,
    ISigner,
    ITlsContexts,
    IWorkers,
)


def router_of(config: Config) -> Router:
    couriers = config.couriers.named.keys() | owners(config)
    return Router(config.routes, config.relay.smarthost_url or None, couriers)


@implementer(IRouter)
class Ways:
    """``couriers`` is what the queue is given; it is changed in place."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        *,
        resolver: IResolver,
        tls: ITlsContexts,
        store: IMailStore,
        workers: IWorkers,
        random: Random,
        listens_on: Callable[[str, int], bool],
        signer: ISigner | None = None,
        version: Version,
    ) -> None:
        """``version`` brings further couriers."""
        self._reactor = reactor
        self._workers = workers
        self._router = router_of(config)
        hostname = config.hostname
        dialler = Dialler(
            reactor, tls, hostname, workers=workers, random=random, timeouts=Timeouts()
        )
        self._sender = Sender(dialler, workers=workers, signer=signer)
        targets = MxTargets(
            resolver, random, port=config.relay.port, own_names=[hostname], listens_on=listens_on
        )
        built_in: list[ICourier] = [
            LocalCourier(store, workers=workers),
            ExpandedCourier(),
            MxCourier(self._sender, targets),
            PipeCourier(reactor, timeout=config.couriers.pipe_timeout),
            *(
                HopCourier(name, self._sender, resolver, next_hops=self._next_hops)
                for name in ("smtp", "lmtp")
            ),
        ]
        self.couriers: dict[str, ICourier] = {courier.name: courier for courier in built_in}
        self._store = store
        self._brought: set[str] = set()
        self._bring(version)

    def route(self, recipient: Recipient) -> Route:
        return self._router.route(recipient)

    def follow(self, router: Router, store: IMailStore, version: Version) -> None:
        """New routes from now on, and maybe another place for local mail and other couriers."""
        self._router = router
        if store is not self._store:
            self._store = store
            self.couriers["local"] = LocalCourier(store, workers=self._workers)
        self._bring(version)

    def _bring(self, version: Version) -> None:
        """What there is no more is forgotten: mail for it waits until there is one again."""
        found = version.couriers()
        for name in self._brought - found.keys():
            del self.couriers[name]
        self._brought = set(found)
        self.couriers.update(found)

    def close(self) -> None:
        """Say goodbye on connections that were kept open."""
        self._sender.close()

    def _next_hops(self) -> Any:
        return self._router.next_hops()
