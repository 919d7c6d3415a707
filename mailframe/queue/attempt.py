"""One attempt: hand a batch to a courier and bring home one report for every recipient.

Whatever the courier does, the result is complete: an error of the attempt as a whole counts
for every recipient, an unexpected one defers with 451 4.3.0 and is logged under the message's
id, a recipient that it forgot is deferred likewise, and one that never answers is given up
after a time and may have succeeded all the same (``unknown``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure as Traceback

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.errors import INTERNAL_ERROR, Failure, MessageGone
from mailframe.interfaces import Batch, ICourier
from mailframe.runtime.aio import result_of

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


async def attempt(courier: ICourier, batch: Batch, clock: IReactorTime, seconds: float) -> Attempt:
    """Try once, for at most ``seconds``. Raises CancelledError only when it is cancelled."""
    try:
        given = await _within(result_of(courier.deliver(batch)), clock, seconds)
    except Failure as failure:
        reports = tuple(_whole(recipient, failure) for recipient in batch.recipients)
        return Attempt(reports, unreachable=_trouble(reports))
    except TimeoutError:
        _log.error("{queue_id}: no answer in {s} s", queue_id=batch.message.queue_id, s=seconds)
        return Attempt(_all_deferred(batch, NO_ANSWER), unknown=True, unreachable=NO_ANSWER)
    except CancelledError:
        raise
    except MessageGone as gone:
        # The operator has removed it meanwhile, or its body is lost: no bug of ours.
        _log.warn("{queue_id}: {gone}", queue_id=batch.message.queue_id, gone=gone)
        return Attempt(_all_deferred(batch, INTERNAL_ERROR), unknown=True)
    except Exception:  # noqa: BLE001 - our bug is never the sender's bounce
        _log.failure("{queue_id}: courier failed", queue_id=batch.message.queue_id)
        return Attempt(_all_deferred(batch, INTERNAL_ERROR), unknown=True)
    reports = tuple(_in_order(batch, given))
    return Attempt(reports, unreachable=_trouble(reports))


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


async def _within(
    work: Awaitable[Sequence[DeliveryReport]], clock: IReactorTime, seconds: float
) -> Sequence[DeliveryReport]:
    """The result of ``work``; TimeoutError after so long, whether or not it can be stopped."""
    outcome: Deferred[Sequence[DeliveryReport]] = Deferred()
    task = Deferred.fromCoroutine(_awaiting(work))

    def arrived(result: object) -> None:
        if not outcome.called:
            outcome.callback(result)  # type: ignore[arg-type]  # a Failure takes the errback side

    def give_up() -> None:
        outcome.errback(Traceback(TimeoutError()))
        task.cancel()

    task.addBoth(arrived)
    timer = clock.callLater(seconds, give_up)
    try:
        return await outcome
    except CancelledError:
        task.cancel()  # harmless when it is the task that was cancelled
        raise
    finally:
        if timer.active():
            timer.cancel()


async def _awaiting(work: Awaitable[Sequence[DeliveryReport]]) -> Sequence[DeliveryReport]:
    return await work
