"""One attempt: hand a batch to a courier and bring home one report for every recipient.

Whatever the courier does, the result is complete: an error of the attempt as a whole counts
for every recipient, an unexpected one defers with 451 4.3.0 and is logged under the message's
id, a recipient that it forgot is deferred likewise, and one that never answers is given up
after a time and may have succeeded all the same (``unknown``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Traceback

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.errors import INTERNAL_ERROR, Failure, MessageGone
from mailframe.interfaces import Batch, ICourier, IGroupCourier
from mailframe.queue.deadlines import Deadlines
from mailframe.runtime.aio import as_deferred, is_awaitable

T = TypeVar("T")

NO_ANSWER = Reply(451, status.BAD_CONNECTION, "The delivery attempt took too long")

_log = Logger()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a batch: one report a recipient, in the batch's order."""

    reports: tuple[DeliveryReport, ...]
    unknown: bool = False
    """It may have succeeded although the reports say deferred."""
    unreachable: Reply | None = None
    """What was heard where the next hop itself was in trouble, not single recipients."""


async def attempt(courier: ICourier, batch: Batch, deadlines: Deadlines) -> Attempt:
    """Try once, for as long as ``deadlines`` gives. Raises CancelledError only when it is
    cancelled."""
    try:
        given = await _within(courier.deliver(batch), deadlines)
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - our bug is never the sender's bounce
        return _broken(batch, error)
    return _heard(batch, given)


async def attempt_together(
    courier: IGroupCourier, batches: Sequence[Batch], deadlines: Deadlines
) -> list[Attempt]:
    """As ``attempt`` for each, in their order."""
    try:
        results = await _within(courier.deliver_together(batches), deadlines)
        if len(results) != len(batches):
            raise ValueError(f"{len(results)} results of {len(batches)} batches")
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return [_broken(batch, error) for batch in batches]
    return [
        _broken(batch, result) if isinstance(result, Exception) else _heard(batch, result)
        for batch, result in zip(batches, results, strict=True)
    ]


def _heard(batch: Batch, given: Sequence[DeliveryReport]) -> Attempt:
    if len(given) == len(batch.recipients) == 1 and given[0].recipient is batch.recipients[0]:
        reports = tuple(given)
    else:
        reports = tuple(_in_order(batch, given))
    return Attempt(reports, unreachable=_trouble(reports))


def _broken(batch: Batch, error: Exception) -> Attempt:
    """The attempt as a whole came to nothing."""
    queue_id = batch.message.queue_id
    if isinstance(error, Failure):
        reports = tuple(_whole(recipient, error) for recipient in batch.recipients)
        return Attempt(reports, unreachable=_trouble(reports))
    if isinstance(error, TimeoutError):
        _log.error("{queue_id}: no answer, and no time is left", queue_id=queue_id)
        return Attempt(_all_deferred(batch, NO_ANSWER), unknown=True, unreachable=NO_ANSWER)
    if isinstance(error, MessageGone):
        # The operator has removed it meanwhile, or its body is lost: no bug of ours.
        _log.warn("{queue_id}: {gone}", queue_id=queue_id, gone=error)
    else:
        _log.failure("{queue_id}: courier failed", Traceback(error), queue_id=queue_id)
    return Attempt(_all_deferred(batch, INTERNAL_ERROR), unknown=True)


def _whole(recipient: Recipient, failure: Failure) -> DeliveryReport:
    outcome = Outcome.FAILED if failure.reply.is_permanent else Outcome.DEFERRED
    return DeliveryReport(recipient, outcome, failure.reply, detail=failure.detail)


def _all_deferred(batch: Batch, reply: Reply) -> tuple[DeliveryReport, ...]:
    return tuple(DeliveryReport(each, Outcome.DEFERRED, reply) for each in batch.recipients)


def _in_order(batch: Batch, given: Sequence[DeliveryReport]) -> list[DeliveryReport]:
    """One report for each recipient, also where two recipients are equal."""
    waiting: dict[Recipient, list[DeliveryReport]] = {}
    for report in given:
        waiting.setdefault(report.recipient, []).append(report)
    found = []
    for recipient in batch.recipients:
        reports = waiting.get(recipient)
        if not reports:
            _log.error(
                "{queue_id}: the courier said nothing about {address}",
                queue_id=batch.message.queue_id,
                address=str(recipient.address),
            )
            found.append(DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR))
        else:
            # Equal recipients may share one report.
            found.append(reports.pop(0) if len(reports) > 1 else reports[0])
    return found


def _trouble(reports: Sequence[DeliveryReport]) -> Reply | None:
    """The reply that shows the next hop itself in trouble; None where it did its work."""
    for report in reports:
        reply = report.reply
        about_host = reply.code == 421 or (
            reply.status is not None and reply.status.subject in _HOST_SUBJECTS
        )
        if report.outcome is not Outcome.DEFERRED or not about_host:
            return None
    return reports[0].reply if reports else None


# RFC 3463: the mail system's and the network's status, not the mailbox's or the message's
_HOST_SUBJECTS = (status.SYSTEM_OTHER.subject, status.NETWORK_OTHER.subject)


async def _within(work: Awaitable[T], deadlines: Deadlines) -> T:
    """The result of ``work``; TimeoutError when it has taken too long, whether or not it can
    be stopped."""
    if not is_awaitable(work):  # an extension may return the value itself
        return cast(T, work)
    task: Deferred[T] = work if isinstance(work, Deferred) else as_deferred(_awaiting(work))
    outcome: Deferred[T] = Deferred()

    def arrived(result: object) -> None:
        if not outcome.called:
            outcome.callback(result)  # type: ignore[arg-type]  # a Failure takes the errback side

    def give_up() -> None:
        outcome.errback(Traceback(TimeoutError()))
        task.cancel()

    task.addBoth(arrived)
    if outcome.called:
        return await outcome
    began = deadlines.begin(give_up)
    try:
        return await outcome
    except CancelledError:
        task.cancel()  # harmless when it is the task that was cancelled
        raise
    finally:
        deadlines.end(began)


async def _awaiting(work: Awaitable[T]) -> T:
    return await work
