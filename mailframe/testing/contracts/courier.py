"""``ICourier``: one way out; and ``IGroupCourier``, where it is provided."""

from __future__ import annotations

from typing import Any

from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Local
from mailframe.errors import MessageGone
from mailframe.interfaces import Batch, ICourier, IGroupCourier
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import MESSAGES, SHORT, Stored

DONE = (Outcome.DELIVERED, Outcome.RELAYED, Outcome.PASSED_ON, Outcome.EXPANDED)


class CourierContract(Contract):
    """Give it ``make``, and say to whom it can deliver."""

    next_hop = ""
    """Where to, as a route names it."""
    recipients: tuple[str, ...] = ("ann@example.test", "bob@example.test", "cy@example.test")
    """Who get mail by it."""
    mailboxes = False
    """Whether it takes only what was resolved to a mailbox here (``Recipient.mailbox``)."""

    def make(self) -> Any:
        """A courier that can deliver now."""
        self.not_given("make")

    def delivered(self, courier: Any) -> list[bytes] | None:
        """What has arrived, without what was put on top; None: nobody can look."""
        return None

    def test_it_provides_what_it_says(self) -> None:
        courier = self.make()
        self.provides(ICourier, courier)
        assert isinstance(courier.name, str)
        assert courier.name

    def test_one_report_for_each_recipient(self) -> None:
        """A recipient without a report would be tried for ever, or forgotten."""
        for count in (1, len(self.recipients)):
            batch = self.batch(count=count)
            reports = self._reports(self.make(), batch)
            assert all(report.outcome in DONE for report in reports), f"{reports}"

    def test_what_arrives_is_what_was_sent(self) -> None:
        for content in self.contents():
            courier = self.make()
            self._reports(courier, self.batch(content))
            arrived = self.delivered(courier)
            if arrived is not None:
                assert [each for each in arrived if each.endswith(content)], (
                    "the message has changed on its way"
                )

    def test_the_message_is_closed(self) -> None:
        """Each that stays open is a file of the spool that cannot be removed."""
        batch = self.batch()
        self._reports(self.make(), batch)
        assert batch.message.all_closed  # type: ignore[attr-defined]

    def test_a_later_attempt(self) -> None:
        """``repeats``: an earlier one may have succeeded. Where that can be known there is no
        second copy; where it cannot, once too often is better than never."""
        courier = self.make()
        self._reports(courier, self.batch())
        reports = self._reports(courier, self.batch(attempt=2, repeats=True))
        assert all(report.outcome in DONE for report in reports)

    def test_a_message_that_breaks_off_is_not_delivered(self) -> None:
        """Its file is damaged. Half a message must not count as delivered."""
        courier = self.make()
        batch = self.batch(MESSAGES[1], breaks_at=50_000)
        found = self.may_fail(lambda: courier.deliver(batch), MessageGone)
        if not isinstance(found, Exception):
            assert all(report.outcome not in DONE for report in found), "half of it was delivered"
        assert batch.message.all_closed  # type: ignore[attr-defined]

    def test_an_attempt_can_be_given_up(self) -> None:
        """The server stops: the message stays in the queue, and nothing of it stays open."""
        courier = self.make()
        batch = self.batch(MESSAGES[1])
        self.give_up_on(courier.deliver(batch))
        assert batch.message.all_closed  # type: ignore[attr-defined]

    def test_several_at_once(self) -> None:
        """What is delivered together is told in its order: one message's failure must not be taken
        for another's."""
        courier = self.make()
        self.needs(IGroupCourier, courier)
        batches = [
            self.batch(content, queue_id=f"7KQ2M4X{number}", in_memory=True)
            for number, content in enumerate(self.contents())
        ]
        found = self.wait(courier.deliver_together(batches))
        assert len(found) == len(batches)
        for batch, reports in zip(batches, found, strict=True):
            if not isinstance(reports, Exception):
                self._check(batch, reports)
        assert self.wait(courier.deliver_together([])) in ([], ())

    # ---- how

    def contents(self) -> list[bytes]:
        """In wire format; leave out what this way cannot carry."""
        return [content for content in MESSAGES if b"\0" not in content]

    def batch(
        self,
        content: bytes = SHORT,
        *,
        count: int = 1,
        queue_id: str = "7KQ2M4XD",
        attempt: int = 1,
        repeats: bool = False,
        breaks_at: int | None = None,
        in_memory: bool = False,
    ) -> Batch:
        """What the suite hands to the courier; ``breaks_at``: the message cannot be read from that
        octet on."""
        message = Stored(
            content,
            queue_id,
            breaks_at=breaks_at,
            octets=content if in_memory else None,
        )
        recipients = tuple(self.recipient(each) for each in self.recipients[:count])
        return Batch(message, recipients, self.next_hop, attempt, repeats)

    def recipient(self, text: str) -> Recipient:
        """As it was accepted."""
        address = Address.parse(text)
        return Recipient(address, mailbox=Local(address.key) if self.mailboxes else None)

    def _reports(self, courier: Any, batch: Batch) -> list[DeliveryReport]:
        reports = self.wait(courier.deliver(batch))
        self._check(batch, reports)
        return list(reports)

    def _check(self, batch: Batch, reports: Any) -> None:
        assert all(isinstance(report, DeliveryReport) for report in reports), f"{reports!r}"
        told = [report.recipient for report in reports]
        assert len(told) == len(batch.recipients), f"{len(told)} reports"
        assert set(told) == set(batch.recipients), "a report about somebody else"
        for report in reports:
            expected = {Outcome.DEFERRED: (4,), Outcome.FAILED: (4, 5)}.get(report.outcome, (2,))
            assert report.reply.code // 100 in expected, (
                f"{report.outcome} with {report.reply}: the sender is told one of the two"
            )
