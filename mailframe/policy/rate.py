"""How many messages a user may send in an hour: what limits the harm of a stolen password.

A sliding window with one-minute steps, counted when the data has come; at MAIL a user who is
over the limit is told so before sending it. Messages count, not recipients: those have a
limit of their own. Memory is bounded: sixty numbers a user, for the latest ``most`` users.
Counts do not outlive the process: a restart is forgiving, not strict.
"""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Verdict
from mailframe.interfaces import IContent, IMailPolicy, IMessagePolicy

TOO_MANY = Reply(450, status.NOT_AUTHORIZED, "Too many messages within an hour, try again later")
_STEP = 60.0
_STEPS = 60


@implementer(IMailPolicy, IMessagePolicy)
class RatePolicy:
    """``per_hour`` messages for each account that logged in; 0 means no limit."""

    name = "rate"

    def __init__(self, per_hour: int, clock: IReactorTime, *, most: int = 100_000) -> None:
        self._per_hour = per_hour
        self._clock = clock
        self._most = most
        self._sent: OrderedDict[str, dict[int, int]] = OrderedDict()

    def allow(self, per_hour: int) -> None:
        """Another limit from now on; what was sent still counts."""
        self._per_hour = per_hour

    def mail(self, session: Session, envelope: Envelope) -> Verdict:
        if session.account is None or not self._per_hour:
            return None
        return TOO_MANY if self._within_hour(session.account) >= self._per_hour else None

    def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if session.account is None or not self._per_hour:
            return None
        # asked again: other sessions of the user may have been quicker since MAIL
        if self._within_hour(session.account) >= self._per_hour:
            return TOO_MANY
        self._count(session.account)
        return None

    def _within_hour(self, account: str) -> int:
        sent = self._sent.get(account)
        if sent is None:
            return 0
        oldest = self._step() - _STEPS
        for step in [step for step in sent if step <= oldest]:
            del sent[step]
        return sum(sent.values())

    def _count(self, account: str) -> None:
        sent = self._sent.setdefault(account, {})
        step = self._step()
        sent[step] = sent.get(step, 0) + 1
        self._sent.move_to_end(account)
        if len(self._sent) > self._most:
            self._sent.popitem(last=False)

    def _step(self) -> int:
        return int(self._clock.seconds() // _STEP)
