"""The way of each recipient, or what becomes of one that has none."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.routing import Route
from mailframe.errors import INTERNAL_ERROR, Failure
from mailframe.interfaces import ICourier, IPartedCourier, IRouter
from mailframe.queue.records import is_for_program
from mailframe.queue.traffic import Way

NO_COURIER = Reply(451, status.UNABLE_TO_ROUTE, "No way to this destination at present")


class Routing:
    """``couriers`` may change while it is in use."""

    log = Logger()

    def __init__(self, router: IRouter, couriers: Mapping[str, ICourier]) -> None:
        self._router = router
        self.couriers = couriers

    def route(self, recipient: Recipient) -> Route | DeliveryReport:
        try:
            route = self._router.route(recipient)
        except Failure as failure:
            permanent = failure.reply.is_permanent
            outcome = Outcome.FAILED if permanent else Outcome.DEFERRED
            return DeliveryReport(recipient, outcome, failure.reply, detail=failure.detail)
        except Exception:  # noqa: BLE001 - our bug is never the sender's bounce
            self.log.failure("no route for {address}", address=str(recipient.address))
            return DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR)
        if route.courier not in self.couriers:
            detail = f"{route.why}: there is no courier {route.courier}"
            return DeliveryReport(recipient, Outcome.DEFERRED, NO_COURIER, detail=detail)
        return route

    def way(self, recipient: Recipient, route: Route) -> Way:
        if not is_for_program(recipient):
            return Way(route.courier, route.next_hop)
        courier = self.couriers.get(route.courier)
        part = courier.part_of(route.next_hop) if IPartedCourier.providedBy(courier) else ""
        return Way(route.courier, route.next_hop, True, part)
