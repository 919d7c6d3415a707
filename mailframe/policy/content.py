"""Is it wanted? The filter that learns, the rules beside it, and what is done about the sum.

A score is the sum of three: what earlier policies found (``session.found.symbols``), what the
rules see in the message, and what the filter thinks of it. Rules see every message once; the
filter is asked for each mailbox, since people's training differs, and each domain has its own
thresholds. Of many recipients only some mailboxes are looked at one by one; the others, and
recipients elsewhere, get what the site's training says.

A mailbox whose score is high enough gets the message in Junk. The message is refused, with 550
5.7.1, only where every recipient would refuse it: half a refusal cannot be said to the peer.

Judged are strangers' mail and what comes by LMTP. A filter, a rule or a directory that fails
costs no mail, nor does a filter that takes too long: the message passes by what is known, and the
failure is logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Filing, Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IContent, IFilter, IMessagePolicy, IWorkers, Opinion
from mailframe.policy.content_rules import look_at
from mailframe.policy.content_score import (
    BAYES,
    BAYES_POINTS,
    Score,
    bayes_points,
    score_fields,
    weighed,
)
from mailframe.policy.content_view import MessageView, read_view
from mailframe.policy.own_rules import OwnRule, OwnRules, RuleFunction
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.sources import read_and_close

JUNK = "Junk"
MOST_MAILBOXES = 50
"""That are judged one by one."""
_EVIDENCE = 100  # of which some tell a person something
_SECONDS = 20.0
"""That the filter may take for all mailboxes of a message."""
_QUIET = 60.0
"""Seconds between two complaints about a filter that fails."""
_REFUSED = Reply(550, status.NOT_AUTHORIZED, "The message looks like spam and is not accepted")


class DomainThresholds(Protocol):
    """What a domain chose for itself; None: as the configuration says."""

    @property
    def junk(self) -> float | None: ...

    @property
    def reject(self) -> float | None: ...


@implementer(IMessagePolicy)
class ContentPolicy:
    """``settings``: the thresholds of a domain. ``junk``, ``reject``: for domains that chose none,
    and for recipients elsewhere; ``reject`` 0 is never. ``weights``: points by name instead of
    a rule's own; that of BAYES is what 98 % are worth. ``rules``: see ``own_rules``. ``header``:
    whether messages get ``X-Spam-*``. ``max_size``: octets of a message that are read."""

    name = "content"
    log = Logger()

    def __init__(
        self,
        *,
        strangers: Strangers,
        filter: IFilter,
        workers: IWorkers,
        clock: IReactorTime,
        settings: Callable[[str], Awaitable[DomainThresholds]],
        junk: float = 5.0,
        reject: float = 0.0,
        weights: Mapping[str, float] | None = None,
        rules: Iterable[RuleFunction | OwnRule] = (),
        header: bool = True,
        max_size: int = 1 << 20,
    ) -> None:
        self._strangers = strangers
        self._filter = filter
        self._workers = workers
        self._clock = clock
        self._settings = settings
        self._junk = junk
        self._reject = reject
        self._weights = dict(weights or {})
        self._own = OwnRules(rules, self._weights, workers, clock)
        self._header = header
        self._max_size = max_size
        self._complained = -_QUIET

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if session.role is not Role.LMTP and not self._strangers.is_stranger(session):
            return None
        data = await read_and_close(await content.open(), self._max_size)
        symbols, own = await self._symbols(session, envelope, content, data)
        scores = await self._scores(envelope, data, symbols)
        worst = max(scores.values(), key=lambda score: score.points)
        reason = _reason(worst, scores)
        if all(score.is_refused for score in scores.values()):
            raise PermanentFailure(_REFUSED, reason)
        # only this policy's own finds: the others' are known already
        return Tag(
            reason,
            headers=score_fields(scores[""]) if self._header and set(scores) == {""} else (),
            filings=tuple(self._filing(*each) for each in scores.items() if each[0]),
            symbols=own,
        )

    # -- rules ------------------------------------------------------------------------

    async def _symbols(
        self, session: Session, envelope: Envelope, content: IContent, data: bytes
    ) -> tuple[tuple[Symbol, ...], tuple[Symbol, ...]]:
        """All that counts but for the filter, and of it what was found here."""
        known = weighed(session.found.symbols, self._weights)
        try:
            view, seen = await self._workers.run(
                self._look, session, envelope, content.added, content.size, data
            )
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - neither a bug nor a full queue costs mail
            self._complain("rules failed", error)
            return known, ()
        own = seen + await self._own.look_at(view)
        return known + own, own

    def _look(
        self, session: Session, envelope: Envelope, added: bytes, size: int, data: bytes
    ) -> tuple[MessageView, tuple[Symbol, ...]]:
        view = read_view(
            data,
            added=added,
            size=size,
            now=self._clock.seconds(),
            session=session,
            envelope=envelope,
            found=session.found,
        )
        return view, tuple(look_at(view, self._weights))

    # -- the score of each mailbox ----------------------------------------------------

    async def _scores(
        self, envelope: Envelope, data: bytes, symbols: tuple[Symbol, ...]
    ) -> dict[str, Score]:
        """By account; the empty one stands for recipients elsewhere."""
        mailboxes = [each.mailbox for each in envelope.recipients if not each.is_expanded]
        accounts = dict.fromkeys(box.account if box is not None else "" for box in mailboxes)
        thresholds: dict[str, tuple[float, float]] = {"": (self._junk, self._reject)}
        until = self._clock.seconds() + _SECONDS
        common: Opinion | None = None
        if "" in accounts or len(accounts) > MOST_MAILBOXES or not accounts:
            common = await self._opinion(data, "", until)
        scores = {}
        for number, account in enumerate(accounts or [""]):
            domain = account.rpartition("@")[2]
            if domain not in thresholds:
                thresholds[domain] = await self._thresholds(domain)
            opinion = common
            if account and number < MOST_MAILBOXES:
                opinion = await self._opinion(data, account, until)
            points = bayes_points(opinion, self._weights.get(BAYES, BAYES_POINTS))
            scores[account] = Score(*thresholds[domain], symbols, opinion, points)
        return scores

    async def _opinion(self, data: bytes, account: str, until: float) -> Opinion | None:
        left = until - self._clock.seconds()
        if left <= 0:
            return None
        try:
            judged = as_deferred(self._judged(data, account))
            return await judged.addTimeout(left, self._clock)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a filter that fails costs no mail
            self._complain("the filter failed", error)
            return None

    async def _judged(self, data: bytes, account: str) -> Opinion:
        return await self._filter.judge(data, account, _EVIDENCE)

    async def _thresholds(self, domain: str) -> tuple[float, float]:
        try:
            chosen = await self._settings(domain)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the directory may be busy, the mail waits not
            self._complain("no settings of the domain", error)
            return self._junk, self._reject
        junk = self._junk if chosen.junk is None else chosen.junk
        return junk, self._reject if chosen.reject is None else chosen.reject

    def _filing(self, account: str, score: Score) -> Filing:
        return Filing(
            account,
            folder=JUNK if score.is_junk else "",
            headers=score_fields(score) if self._header else (),
        )

    def _complain(self, what: str, error: Exception) -> None:
        now = self._clock.seconds()
        if now - self._complained >= _QUIET:
            self._complained = now
            self.log.error("{what}, its say counts nothing: {error!r}", what=what, error=error)


def _reason(worst: Score, scores: Mapping[str, Score]) -> str:
    """The story of the mailbox that thinks worst of it, and how many agree."""
    junked = sum(score.is_junk for score in scores.values())
    if len(scores) == 1 or junked in (0, len(scores)):
        return str(worst)
    return f"{worst}; junk for {junked} of {len(scores)}"
