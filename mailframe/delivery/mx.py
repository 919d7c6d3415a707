"""The ``mx`` courier: to whoever the DNS says takes mail for a domain.

``Batch.next_hop`` is the mail domain. TLS is opportunistic (RFC 7435): taken where offered,
never a condition, since whoever can forge the MX answer can name any host.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.core.report import DeliveryReport
from mailframe.delivery.hosts import IF_OFFERED
from mailframe.delivery.sender import Sender, Way
from mailframe.delivery.targets import MxTargets
from mailframe.interfaces import Batch, ICourier
from mailframe.runtime.aio import as_deferred


@implementer(ICourier)
class MxCourier:
    name = "mx"

    def __init__(self, sender: Sender, targets: MxTargets) -> None:
        self._sender = sender
        self._targets = targets

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        domain = batch.next_hop
        way = Way(f"mx:{domain}", IF_OFFERED)
        sending = self._sender.deliver(batch, way, lambda: self._targets.find(domain))
        return as_deferred(sending)
