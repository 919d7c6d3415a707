from __future__ import annotations

from collections.abc import Sequence

from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery import ExpandedCourier
from mailframe.interfaces import ICourier
from tests.unit.delivery.delivery_world import batch


def test_it_provides_the_interface() -> None:
    verifyObject(ICourier, ExpandedCourier())


def test_it_is_done_at_once() -> None:
    aliases = [Address.parse(f"{name}@here.example") for name in ("team", "all")]
    recipients = tuple(Recipient(one, original=one) for one in aliases)
    fired: list[Sequence[DeliveryReport]] = []
    ExpandedCourier().deliver(batch("here.example", *recipients)).addCallback(fired.append)
    [reports] = fired
    assert [report.recipient for report in reports] == list(recipients)
    assert {report.outcome for report in reports} == {Outcome.EXPANDED}
    assert all(report.reply.is_positive for report in reports)
