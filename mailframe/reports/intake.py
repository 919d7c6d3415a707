"""Reading the reports that come in, as a policy: mail to the report addresses is looked into.

It stands behind everything that refuses, refuses nothing itself, and delays a message by at most
``timeout`` seconds: the report is in the mailbox too. Kept is what is plausible: about a domain
here (where ``is_ours`` is given), about a time that has been and not long ago. Who really sent the
message, as far as SPF, DKIM or DMARC prove it, is kept beside the report: anybody can write one.

Looks at messages of up to ``most`` octets, a few at a time. What cannot be read is told in the
journal with its reason, and stays in the mailbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.authentication import Authentication
from mailframe.core.envelope import Envelope
from mailframe.core.session import Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.errors import MailframeError
from mailframe.interfaces import IContent, IJournal, IMessagePolicy, IWorkers
from mailframe.reports.aggregate import AggregateReport
from mailframe.reports.found import FoundReports, find_reports
from mailframe.reports.store import ReportStore
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.sources import read_and_close

_AT_ONCE = 2
_LONGEST_PERIOD = 35 * 86_400
_OLDEST = 400 * 86_400
_SKEW = 2 * 86_400  # reporters' clocks, and days that end in other time zones


@implementer(IMessagePolicy)
class ReportIntake:
    log = Logger()
    name = "reports"

    def __init__(
        self,
        addresses: Iterable[str],
        store: ReportStore,
        *,
        workers: IWorkers,
        clock: IReactorTime,
        journal: IJournal,
        is_ours: Callable[[str], bool | Awaitable[bool]] | None = None,
        most: int = 25 << 20,
        timeout: float = 30.0,
    ) -> None:
        """``addresses`` as ``local-part@domain``; ``is_ours``: of a domain in A-labels."""
        self._addresses = frozenset(address.casefold() for address in addresses)
        self._store = store
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._is_ours = is_ours
        self._most = most
        self._timeout = timeout
        self._turns = DeferredSemaphore(_AT_ONCE)

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if not self._addresses or not self._is_addressed(envelope):
            return None
        if content.size > self._most:
            return Tag(f"not read: more than {self._most} octets")
        reading: Deferred[str] = as_deferred(self._read(session, content))
        try:
            return Tag(await reading.addTimeout(self._timeout, self._clock))
        except TimeoutError:
            return Tag("not read: took too long")
        except MailframeError as error:
            return Tag(f"not read: {error}")
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - a report is not worth a message
            self.log.failure("reading a report failed", Failure())
            return Tag("not read: internal error")

    def _is_addressed(self, envelope: Envelope) -> bool:
        return any(
            address is not None and address.key in self._addresses
            for recipient in envelope.recipients
            for address in (recipient.address, recipient.original)
        )

    async def _read(self, session: Session, content: IContent) -> str:
        await self._turns.acquire()
        try:
            octets = await read_and_close(await result_of(content.open()), self._most)
            found: FoundReports = await self._workers.run(find_reports, octets)
        finally:
            self._turns.release()
        sender = _proved(session.found.auth)
        words = [await self._keep(report, content, sender) for report in found.aggregate]
        if found.failure is not None:
            now = self._clock.seconds()
            await self._store.add_failure(
                found.failure, queue_id=content.queue_id, sender=sender, now=now
            )
            domain = found.failure.domain
            self._journal.record(
                content.queue_id, "report", "received", domain=domain, kind=found.failure.kind
            )
            words.append(f"{found.failure.kind} report about {domain or 'nobody'}")
        words += [f"refused: {trouble}" for trouble in found.troubles]
        return "; ".join(words) or "no report in it"

    async def _keep(self, report: AggregateReport, content: IContent, sender: str) -> str:
        now = self._clock.seconds()
        what = f"report of {report.organization[:80]} about {report.domain}"
        trouble = _implausible(report, now)
        if not trouble and not await self._is_about_us(report.domain):
            trouble = "not a domain here"
        if trouble:
            return f"refused: {what}: {trouble}"
        is_new = await self._store.add(report, queue_id=content.queue_id, sender=sender, now=now)
        if not is_new:
            return f"{what}: known already"
        self._journal.record(
            content.queue_id,
            "report",
            "received",
            domain=report.domain,
            kind="aggregate",
            organization=report.organization,
            messages=report.messages,
            passed=report.passed,
        )
        return f"{what}: {report.messages} messages, {report.passed} passed"

    async def _is_about_us(self, domain: str) -> bool:
        if self._is_ours is None:
            return True
        answer: bool = await result_of(self._is_ours(domain))
        return answer


def _implausible(report: AggregateReport, now: float) -> str:
    if not report.rows:
        return "no usable row"
    if report.ends - report.begins > _LONGEST_PERIOD:
        return "its period is too long"
    if report.ends > now + _SKEW or report.begins < now - _OLDEST:
        return "its period is not now"
    return ""


def _proved(auth: Authentication) -> str:
    """The domain that the message is proved to come from."""
    if auth.dmarc:
        return auth.dmarc.domain
    signer = next((each.domain for each in auth.dkim if each), "")
    return signer or (auth.spf.domain if auth.spf else "")
