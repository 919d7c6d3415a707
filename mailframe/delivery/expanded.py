"""The ``expanded`` courier: for an alias whose targets are recipients of their own.

It sends nothing. That the alias is in the queue at all is how the sender, who asked to be
told of success, gets the one report about it; the targets do not report success, or anybody
could learn who is behind the alias.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.interfaces import Batch, ICourier

_EXPANDED = Reply(250, status.OTHER, "Sent on to all members")


@implementer(ICourier)
class ExpandedCourier:
    """Done as soon as it is asked."""

    name = "expanded"

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return succeed(
            [
                DeliveryReport(recipient, Outcome.EXPANDED, _EXPANDED)
                for recipient in batch.recipients
            ]
        )
