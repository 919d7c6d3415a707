"""The ``local`` courier: into the mailboxes here.

Once and only once: the store is told a token of the message and the recipient, so that a
delivery repeated after a crash finds the first one. Binary content (RFC 3030) is converted,
because mailboxes hold lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Body, Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery.converted import converted
from mailframe.delivery.prefix import delivered_to, prefix, refuse_loop
from mailframe.errors import INTERNAL_ERROR, Failure
from mailframe.interfaces import Batch, ICourier, IMailStore, IStoredMessage, IWorkers, MessageInfo
from mailframe.runtime.aio import as_deferred, result_of

_DELIVERED = Reply(250, status.OTHER, "Delivered to the mailbox")


@implementer(ICourier)
class LocalCourier:
    """``Batch.next_hop`` is the account; each recipient's mailbox names the folder."""

    name = "local"
    log = Logger()

    def __init__(self, store: IMailStore, *, workers: IWorkers, scratch: str | None = None) -> None:
        """``scratch``: directory for conversions, None the system's."""
        self._store = store
        self._workers = workers
        self._scratch = scratch

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return as_deferred(self._deliver(batch))

    async def _deliver(self, batch: Batch) -> list[DeliveryReport]:
        if batch.message.envelope.body is not Body.BINARY:
            return await self._deliver_each(batch, batch.message)
        text = await converted(batch.message, Body.EIGHT_BIT, self._workers, self._scratch)
        if text is None:
            return await self._deliver_each(batch, batch.message)
        try:
            return await self._deliver_each(batch, text)
        finally:
            text.close()

    async def _deliver_each(self, batch: Batch, message: IStoredMessage) -> list[DeliveryReport]:
        seen = await delivered_to(message)
        reports = []
        for recipient in batch.recipients:
            try:
                refuse_loop(recipient, seen)
                detail = await self._deliver_one(batch, message, recipient)
                reports.append(
                    DeliveryReport(recipient, Outcome.DELIVERED, _DELIVERED, detail=detail)
                )
            except Failure as failure:
                outcome = Outcome.FAILED if failure.reply.is_permanent else Outcome.DEFERRED
                reports.append(
                    DeliveryReport(recipient, outcome, failure.reply, detail=failure.detail)
                )
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - the other recipients' reports must not be lost
                self.log.failure("{queue_id}: delivery broke", queue_id=message.queue_id)
                reports.append(DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR))
        return reports

    async def _deliver_one(
        self, batch: Batch, message: IStoredMessage, recipient: Recipient
    ) -> str:
        folder = recipient.mailbox.folder if recipient.mailbox is not None else ""
        info: MessageInfo = await result_of(
            self._store.deliver(
                batch.next_hop,
                folder,
                message,
                prefix(message, recipient),
                f"{message.queue_id}:{recipient.address.key}",
                batch.repeats,
            )
        )
        return f"uid {info.uid}"
