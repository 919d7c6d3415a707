"""The ``local`` courier: into the mailboxes here.

Once and only once: the store is told a token of the message and the recipient, so that a
delivery repeated after a crash finds the first one. Binary content (RFC 3030) is converted,
because mailboxes hold lines.

Where the store takes many deliveries at once, so does the courier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Traceback
from zope.interface import alsoProvides, implementer

from mailframe.core import status
from mailframe.core.envelope import Body, Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery.converted import converted
from mailframe.delivery.prefix import delivered_to, delivered_to_in, prefix, refuse_loop
from mailframe.errors import INTERNAL_ERROR, Failure, OutcomeUnknown
from mailframe.interfaces import (
    Batch,
    Delivery,
    ICourier,
    IGroupCourier,
    IGroupStore,
    IMailStore,
    IStoredMessage,
    IWorkers,
    MessageInfo,
)
from mailframe.runtime.aio import as_deferred, result_of

_DELIVERED = Reply(250, status.OTHER, "Delivered to the mailbox")

# Of one recipient: what the store is to do, or why it is not asked.
_Step = Delivery | Exception


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
        if IGroupStore.providedBy(store):
            alsoProvides(self, IGroupCourier)

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return as_deferred(self._deliver(batch))

    def deliver_together(
        self, batches: Sequence[Batch]
    ) -> Deferred[list[Sequence[DeliveryReport] | Exception]]:
        return as_deferred(self._deliver_together(batches))

    # ---- one

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
                copy = _delivery(batch, message, recipient)
                info: MessageInfo | Exception = await result_of(
                    self._store.deliver(
                        copy.account,
                        copy.folder,
                        copy.message,
                        copy.prefix,
                        copy.token,
                        copy.repeats,
                    )
                )
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the others' reports must not be lost
                info = error
            reports.append(self._report(message, recipient, info))
        return reports

    # ---- many

    async def _deliver_together(
        self, batches: Sequence[Batch]
    ) -> list[Sequence[DeliveryReport] | Exception]:
        results: list[Sequence[DeliveryReport] | Exception | None] = []
        steps: list[list[_Step]] = []
        for batch in batches:
            if batch.message.envelope.body is Body.BINARY:
                results.append(await self._deliver_alone(batch))
                steps.append([])
            else:
                results.append(None)
                steps.append(_steps(batch))
        copies = [step for each in steps for step in each if isinstance(step, Delivery)]
        infos = iter(await self._store_together(copies))
        return [
            self._reports(batch, each, infos) if result is None else result
            for batch, each, result in zip(batches, steps, results, strict=True)
        ]

    async def _deliver_alone(self, batch: Batch) -> Sequence[DeliveryReport] | Exception:
        try:
            return await self._deliver(batch)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - told as its result
            return error

    async def _store_together(
        self, copies: Sequence[Delivery]
    ) -> Sequence[MessageInfo | Exception]:
        if not copies:
            return ()
        store = IGroupStore(self._store)
        infos: Sequence[MessageInfo | Exception] = await result_of(store.deliver_together(copies))
        return infos

    def _reports(
        self, batch: Batch, steps: Sequence[_Step], infos: Iterator[MessageInfo | Exception]
    ) -> list[DeliveryReport]:
        reports = []
        for recipient, step in zip(batch.recipients, steps, strict=True):
            info = next(infos) if isinstance(step, Delivery) else step
            reports.append(self._report(batch.message, recipient, info))
        return reports

    def _report(
        self, message: IStoredMessage, recipient: Recipient, info: MessageInfo | Exception
    ) -> DeliveryReport:
        if isinstance(info, MessageInfo):
            detail = f"uid {info.uid}"
            return DeliveryReport(recipient, Outcome.DELIVERED, _DELIVERED, detail=detail)
        if isinstance(info, Failure):
            outcome = Outcome.FAILED if info.reply.is_permanent else Outcome.DEFERRED
            unknown = isinstance(info, OutcomeUnknown)
            return DeliveryReport(
                recipient, outcome, info.reply, detail=info.detail, unknown=unknown
            )
        self.log.failure("{queue_id}: delivery broke", Traceback(info), queue_id=message.queue_id)
        return DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR, unknown=True)


def _steps(batch: Batch) -> list[_Step]:
    message = batch.message
    assert message.octets is not None  # as ``IGroupCourier`` has it
    seen = delivered_to_in(message.octets)
    return [_step(batch, message, recipient, seen) for recipient in batch.recipients]


def _step(
    batch: Batch, message: IStoredMessage, recipient: Recipient, seen: frozenset[str]
) -> _Step:
    try:
        refuse_loop(recipient, seen)
        return _delivery(batch, message, recipient)
    except Exception as error:  # noqa: BLE001 - it is about this recipient, and reported so
        return error


def _delivery(batch: Batch, message: IStoredMessage, recipient: Recipient) -> Delivery:
    return Delivery(
        account=batch.next_hop,
        folder=recipient.mailbox.folder if recipient.mailbox is not None else "",
        message=message,
        prefix=prefix(message, recipient),
        token=f"{message.queue_id}:{recipient.address.key}",
        repeats=batch.repeats,
    )
