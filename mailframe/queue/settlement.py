"""What an attempt means: who is done, who waits, who is told.

Promises
    A recipient's row is deleted by the same transaction that spools the report about it, so
    that neither can be on disk without the other. A message from the null reverse-path never
    brings a report. What a program here (``Local.courier``) could not take while there was time
    is kept as a dead letter: only what it refused itself, or the administrator returns, brings a
    report. What cannot be written now (disk full, directory not there) is tried
    again until it can; meanwhile the recipient stays leased and is not tried anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.envelope import Notify
from mailframe.core.events import RecipientFailed
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.interfaces import IJournal
from mailframe.message.dsn import Action, ReportedRecipient
from mailframe.queue import ledger
from mailframe.queue.bounces import Bounces, Unreportable
from mailframe.queue.ledger import Again, Done, Fenced
from mailframe.queue.records import Message, NewMessage, Row, is_for_program
from mailframe.queue.retry import RetrySchedule
from mailframe.queue.schema import State
from mailframe.queue.spool import Spool

EXPIRED = Reply(451, status.DELIVERY_TIME_EXPIRED, "The message could not be delivered in time")
RETURNED = Reply(554, status.OTHER, "Returned by the administrator")
_MOST_WHY = 500  # characters
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """One leased recipient and what came of it."""

    message: Message
    row: Row
    report: DeliveryReport
    unknown: bool = False
    """The attempt may have succeeded although the report says deferred."""


@dataclass(frozen=True, slots=True)
class Decision:
    tried: Tried
    change: Done | Again
    told: Action | None
    """What the sender is told; None: nothing, or not asked for."""
    status: str = ""
    """For the report, where it is not the reply's own."""


# Queue id of the message it is about, what happened, the report or why there is none.
SpooledReport = tuple[str, Action, NewMessage]
UntoldReport = tuple[str, Action, str]


class Settlement:
    """Shared by all attempts of one queue."""

    log = Logger()

    def __init__(
        self,
        spool: Spool,
        schedule: RetrySchedule,
        bounces: Bounces,
        *,
        journal: IJournal,
        clock: IReactorTime,
        later: Callable[[str, float], None],
        recipient_failed: Callable[[RecipientFailed], None] = lambda event: None,
    ) -> None:
        """``later(lane, time)`` is told when a recipient that stays is due again,
        ``recipient_failed`` of permanent failures; it does not raise."""
        self._later = later
        self._recipient_failed = recipient_failed
        self._spool = spool
        self._schedule = schedule
        self._bounces = bounces
        self._journal = journal
        self._clock = clock

    async def settle(self, tried: Sequence[Tried], whole: Collection[Message] = ()) -> None:
        """Make it durable, then journal it. Ends only when that is done, or when cancelled.

        ``whole``: messages whose recipients, all that they ever had, are among ``tried``."""
        now = self._clock.seconds()
        decisions = [self._decide(each, now) for each in tried]
        entire = {message.queue_id: message for message in whole}
        for decision in decisions:
            if isinstance(decision.change, Again):
                entire.pop(decision.tried.row.queue_id, None)
        failures = 0
        while decisions:
            try:
                await self._commit(decisions, now, tuple(entire.values()))
                return
            except Fenced as fenced:
                decisions = [each for each in decisions if each.tried.row not in fenced.rows]
                for row in fenced.rows:
                    entire.pop(row.queue_id, None)
                self.log.warn("not ours any more: {rows}", rows=str(fenced))
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - giving up would try the recipients twice
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                ids = sorted({each.tried.row.queue_id for each in decisions})
                self.log.failure("cannot settle {ids}, again in {pause} s", ids=ids, pause=pause)
                await deferLater(self._clock, pause)

    def quiet_decisions(self, tried: Sequence[Tried], now: float) -> list[Decision] | None:
        """What is decided, where all of them are done and nobody is told; else None."""
        decisions = []
        for each in tried:
            decision = self._decide(each, now)
            is_told = decision.told is not None and _is_wanted(decision)
            if is_told or isinstance(decision.change, Again):
                return None
            decisions.append(decision)
        return decisions

    def _decide(self, tried: Tried, now: float) -> Decision:
        outcome = tried.report.outcome
        if outcome is not Outcome.DEFERRED:
            return Decision(tried, Done(tried.row), _ACTIONS[outcome])
        if not self._schedule.is_expired(now, tried.message.arrived):
            return self._defer(tried, now)
        if is_for_program(tried.row.recipient):
            # Our bug, or the program's, is never the sender's bounce.
            return Decision(tried, self._again(tried, now, now, is_dead=True), None)
        return Decision(tried, Done(tried.row), Action.FAILED, EXPIRED.enhanced)

    def _defer(self, tried: Tried, now: float) -> Decision:
        row, arrived = tried.row, tried.message.arrived
        warn = (
            not row.warned
            and _is_warned_of_delay(row)
            and tried.message.envelope.reverse_path is not None
            and self._schedule.wants_warning(now, arrived)
        )
        next_at = self._schedule.next_at(now, row.attempts + 1, arrived)
        again = self._again(tried, now, next_at, warn=warn)
        return Decision(tried, again, Action.DELAYED if warn else None)

    def _again(
        self,
        tried: Tried,
        now: float,
        next_at: float,
        *,
        warn: bool = False,
        is_dead: bool = False,
    ) -> Again:
        return Again(
            row=tried.row,
            next_at=next_at,
            tried_at=now,
            reply=_noted(tried),
            remote=tried.report.remote,
            warned=tried.row.warned or warn,
            unknown=tried.unknown,
            is_dead=is_dead,
        )

    async def _commit(
        self, decisions: Sequence[Decision], now: float, whole: Sequence[Message]
    ) -> None:
        reports, unreported = await self._reports(decisions, now)
        changes = [each.change for each in decisions]
        messages = [report for _, _, report in reports]

        def write(connection: sqlite3.Connection) -> list[tuple[str, bool]]:
            return ledger.settle(connection, changes, messages, whole)

        removed = await self._spool.database.write(write)
        for change in changes:
            if isinstance(change, Again) and not change.is_dead:
                self._later(change.row.lane, change.next_at)
        self.record(decisions, now)
        self._record_reports(reports, unreported)
        await self.forget(removed)

    async def forget(self, removed: Sequence[tuple[str, bool]]) -> None:
        """These messages have left the tables: (queue id, whether it has a body file)."""
        for queue_id, _ in removed:
            self._journal.record(queue_id, "remove")
        if files := [queue_id for queue_id, in_file in removed if in_file]:
            await self._spool.discard(files)

    def _record_reports(
        self, reports: Sequence[SpooledReport], unreported: Sequence[UntoldReport]
    ) -> None:
        for queue_id, action, report in reports:
            self._journal.record(
                queue_id,
                "bounce",
                action.value,
                dsn=report.message.queue_id,
                forward_path=[str(each.address) for each in report.recipients],
            )
            self._journal.record(
                report.message.queue_id, "accept", reverse_path="", reason=f"DSN for {queue_id}"
            )
            self._spool.announce(report.recipients)
        for queue_id, action, why in unreported:
            self._journal.record(queue_id, "bounce", "dropped", reason=why)
            self.log.warn(
                "{queue_id}: {action}, and nobody can be told: {why}",
                queue_id=queue_id,
                action=action.value,
                why=why,
            )

    async def _reports(
        self, decisions: Sequence[Decision], now: float
    ) -> tuple[list[SpooledReport], list[UntoldReport]]:
        """The reports to spool, and those that nobody can get."""
        groups: dict[tuple[str, Action], list[Decision]] = {}
        for decision in decisions:
            if decision.told is not None and _is_wanted(decision):
                key = (decision.tried.row.queue_id, decision.told)
                groups.setdefault(key, []).append(decision)
        reports, unreported = [], []
        for (queue_id, action), members in groups.items():
            recipients = tuple(self._reported(member, action, now) for member in members)
            try:
                report = await self._bounces.build(members[0].tried.message, recipients, now)
            except Unreportable as error:
                unreported.append((queue_id, action, str(error)))
            else:
                reports.append((queue_id, action, report))
        return reports, unreported

    def _reported(self, decision: Decision, action: Action, now: float) -> ReportedRecipient:
        tried = decision.tried
        delayed = action is Action.DELAYED
        return ReportedRecipient(
            recipient=tried.row.recipient,
            action=action,
            reply=tried.report.reply,
            remote=tried.report.remote,
            status=decision.status,
            attempted=now,
            retry_until=self._schedule.expires_at(tried.message.arrived) if delayed else None,
        )

    def record(self, decisions: Sequence[Decision], now: float) -> None:
        """They are durable."""
        for decision in decisions:
            tried = decision.tried
            report = tried.report
            step, result, next_at = _told_as(decision)
            self._journal.record(
                tried.row.queue_id,
                step,
                result,
                forward_path=str(tried.row.recipient.address),
                reply=str(report.reply),
                remote=report.remote,
                remote_ip=report.remote_ip,
                delay=round(now - tried.message.arrived, 3),
                next_at=next_at,
                reason=report.detail or None,
                courier=_program(tried.row) or None,
            )
            self._tell_of_failure(decision)

    def _tell_of_failure(self, decision: Decision) -> None:
        tried = decision.tried
        arrival = tried.message.arrival
        # what the server wrote itself has no account, and who wrote it wants to know
        account = arrival.account or ""
        is_told = bool(account) or arrival.protocol == "local"
        if tried.report.outcome is Outcome.FAILED and is_told and not is_returning(tried.row):
            row = tried.row
            event = RecipientFailed(
                account, row.recipient.address, tried.report.reply, row.queue_id
            )
            self._recipient_failed(event)


def returned(row: Row) -> DeliveryReport:
    """What becomes of a recipient that the administrator sends back."""
    return DeliveryReport(row.recipient, Outcome.FAILED, RETURNED)


def is_returning(row: Row) -> bool:
    return row.state is State.RETURNING


def _program(row: Row) -> str:
    """Which program is to take it; empty where it is none's."""
    return row.recipient.mailbox.courier if row.recipient.mailbox is not None else ""


def _noted(tried: Tried) -> Reply:
    """What the tables keep, for the administrator to see. Of a program with its reason: there the
    reply is our own, the same for every trouble, and no peer ever hears what is kept."""
    report = tried.report
    if not report.detail or not is_for_program(tried.row.recipient):
        return report.reply
    why = " ".join(report.detail.replace("\0", " ").split())[:_MOST_WHY]
    return report.reply.with_text(f"{report.reply.text} ({why})")


def _is_warned_of_delay(row: Row) -> bool:
    """Whether the sender hears that it takes long.

    Of a program, only who asked for it in so many words (RFC 3461 section 4.1): the warning is to
    let a person choose another way before the failure comes. Here none comes, the trouble is
    this house's, and its administrator is the one who is told.
    """
    recipient = row.recipient
    if recipient.notify is None and is_for_program(recipient):
        return False
    return recipient.wants(Notify.DELAY)


def _told_as(decision: Decision) -> tuple[str, str, int | None]:
    """Step of the journal, result, when it is tried again."""
    change = decision.change
    if isinstance(change, Again):
        if change.is_dead:
            return "dead", "kept", None
        return "defer", "", round(change.next_at)
    step = "fail" if decision.told is Action.FAILED else "deliver"
    return step, "expired" if decision.status else decision.tried.report.outcome.value, None


_ACTIONS: dict[Outcome, Action | None] = {
    Outcome.DELIVERED: Action.DELIVERED,
    Outcome.RELAYED: Action.RELAYED,
    Outcome.EXPANDED: Action.EXPANDED,
    # RFC 3461 section 5.2.2: whoever was passed the wishes owes the report
    Outcome.PASSED_ON: None,
    Outcome.FAILED: Action.FAILED,
}

_KEYWORDS: dict[Action, Notify] = {
    Action.DELIVERED: Notify.SUCCESS,
    Action.RELAYED: Notify.SUCCESS,
    Action.EXPANDED: Notify.SUCCESS,
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
}


def _is_wanted(decision: Decision) -> bool:
    """Whether the sender asked for this word (RFC 3461 section 5.2).

    Nobody is at the null reverse-path, but that its mail failed must not pass in silence.
    """
    assert decision.told is not None
    if decision.tried.message.envelope.reverse_path is None:
        return decision.told is Action.FAILED
    return decision.tried.row.recipient.wants(_KEYWORDS[decision.told])
