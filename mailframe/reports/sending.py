"""Aggregate reports, once a day, to the domains that ask for them: and the brake.

What a report costs us is a message; what makes us send it is one forged From. So that nobody can
make us write to people who do not want it, or fill our own queue, a report is sent only

- about a domain in whose name a message passed here (SPF or DKIM in alignment) within ``proved``
  seconds. Forged mail alone never does that; the owner of a domain that is only forged loses our
  figures, which is the price for not being a tool of those who invent domains by the thousand;
- to an address in the same organization, or whose domain agreed (RFC 7489 section 7.1), and which
  takes mail: there is a host to send to, and no null MX (RFC 7505);
- that did not fail lately: after a failure an address is left alone for a day, then two, then four,
  up to a month;
- if it is not larger than the address takes (``!10m``), where that leaves nothing it is skipped;
- within ``a_day`` reports in all, the domains with the most messages first, and ``a_day_each`` to
  one host of addresses; never more than two addresses of one record.

Mail to our own report addresses is not noted in the first place (``DmarcPolicy``): servers that
report to each other would never stop. ``run`` may be called at any time, often: a report is sent
once, and one that could not be (DNS, a full queue) is tried again until its day is ``given_up``.
Order of events: the report is in the spool before it is noted as sent; a crash between the two
sends it twice, with the same id.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from mailframe.core.address import Address
from mailframe.core.events import RecipientFailed
from mailframe.errors import DnsTemporary, NoSuchDomain, PermanentFailure, TransientFailure
from mailframe.interfaces import IJournal, IOutbox, IResolver, IWorkers
from mailframe.mailauth.dmarc import DmarcRecord, ReportUri, accepts_reports, parse_record
from mailframe.reports import sent
from mailframe.reports.observations import DAY, Observations
from mailframe.reports.sent import Outcome
from mailframe.reports.writing import Draft, Reporter, packed_xml, report_message
from mailframe.runtime.aio import Background, result_of
from mailframe.runtime.database import Database

_MOST_DESTINATIONS = 2
_MOST_ROWS = 20_000
_LARGEST = 10 << 20  # octets that mail servers usually take, packed
_FINAL = ("sent", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Brake:
    """Times in seconds; see the module."""

    proved: float = 90 * DAY
    a_day: int = 500
    a_day_each: int = 50
    first_pause: float = DAY
    longest_pause: float = 32 * DAY
    pace: float = 1.0
    """Between two reports: our queue has other mail too."""
    given_up: int = 3
    """Days after which a day is not reported any more."""
    keep: float = 400 * DAY
    """How long it is known what was sent."""


class ReportSender:
    log = Logger()

    def __init__(
        self,
        database: Database,
        observations: Observations,
        reporter: Reporter,
        *,
        outbox: IOutbox,
        resolver: IResolver,
        workers: IWorkers,
        journal: IJournal,
        clock: IReactorTime,
        brake: Brake | None = None,
        interval: float = 3_600.0,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        """``is_ours``: whether it is this process that sends, of several that observe
        (``runtime.duty``)."""
        self._database = database
        self._observations = observations
        self._reporter = reporter
        self._outbox = outbox
        self._resolver = resolver
        self._workers = workers
        self._journal = journal
        self._clock = clock
        self._brake = brake or Brake()
        self._interval = interval
        self._is_ours = is_ours
        self._running = False
        self._background = Background()
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock

    def start(self) -> None:
        """Once an hour, the first time after an hour."""
        self._loop.start(self._interval, now=False)

    async def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        await self._background.stop()

    def _begin(self) -> None:
        if not self._running and self._is_ours():
            self._background.start(self.run(), "sending DMARC reports")

    async def run(self) -> int:
        """Send what is due; returns how many reports went out."""
        self._running = True
        try:
            await self._observations.flush()
            return await self._run()
        finally:
            self._running = False

    async def _run(self) -> int:
        brake, now = self._brake, self._clock.seconds()
        today = int(now // DAY)
        waiting = await self._database.read(lambda c: sent.due(c, today, 4 * brake.a_day))
        tally = _Tally(brake, await self._database.read(lambda c: _sent_since(c, now - DAY)))
        for day, domain, text, _ in waiting:
            await self._about(day, domain, parse_record(text.encode("latin-1", "replace")), tally)
        await self._database.write(
            lambda c: sent.purge(c, today - brake.given_up, now - brake.keep, now - brake.proved)
        )
        return tally.now

    async def _about(
        self, day: int, domain: str, record: DmarcRecord | None, tally: _Tally
    ) -> None:
        """All reports about one domain and day."""
        since = self._clock.seconds() - self._brake.proved
        proved = await self._database.read(lambda c: sent.is_proved(c, domain, since))
        known = await self._database.read(lambda c: sent.outcomes(c, day, domain))
        uris = record.aggregate[:_MOST_DESTINATIONS] if record is not None else ()
        results: list[str] = []
        if not proved or not uris:
            why = "no message passed" if uris else "no address takes reports"
            await self._note(Outcome(day, domain, "", "skipped", why))
        else:
            assert record is not None
            for uri in uris:
                result = known.get(str(uri.address), "")
                if result not in _FINAL:
                    result = await self._to(day, domain, record, uri, tally)
                results.append(result)
        if all(result in _FINAL for result in results):
            await self._database.write(lambda c: sent.done(c, day, domain))

    async def _to(
        self, day: int, domain: str, record: DmarcRecord, uri: ReportUri, tally: _Tally
    ) -> str:
        outcome = Outcome(day, domain, str(uri.address), "skipped")
        trouble = tally.trouble(uri.address) or await self._unwanted(domain, uri.address)
        if trouble is not None:
            outcome = replace(outcome, result=trouble.result, detail=trouble.detail)
        else:
            outcome = await self._send(outcome, record, uri)
        if outcome.result == "sent":
            tally.count(uri.address)
            await deferLater(self._clock, self._brake.pace)
        await self._note(outcome)
        return outcome.result

    async def _unwanted(self, domain: str, address: Address) -> _Trouble | None:
        destination = str(address)
        until = await self._database.read(lambda c: sent.waits_until(c, destination))
        if until > self._clock.seconds():
            return _Trouble("skipped", "reports failed there lately")
        if address.is_literal or address.needs_utf8:
            return _Trouble("skipped", "no address that reports are sent to")
        try:
            if not await accepts_reports(self._resolver, address.domain, domain):
                return _Trouble("skipped", "its domain did not agree to reports about this one")
            if not await self._takes_mail(address.domain):
                return _Trouble("skipped", "its domain takes no mail")
        except DnsTemporary as error:
            return _Trouble("later", f"DNS: {error}")
        return None

    async def _takes_mail(self, domain: str) -> bool:
        try:
            hosts = await self._resolver.mx(domain)
            if hosts:
                # RFC 7505
                return any(host.host for host in hosts)
            return bool(await self._resolver.addresses(domain))
        except NoSuchDomain:
            return False

    async def _send(self, outcome: Outcome, record: DmarcRecord, uri: ReportUri) -> Outcome:
        day, domain = outcome.day, outcome.domain
        rows = await self._database.read(lambda c: sent.rows(c, day, domain, _MOST_ROWS))
        begins = day * DAY
        draft = Draft(
            report_id=_report_id(day, domain, self._reporter),
            domain=domain,
            begins=begins,
            ends=begins + DAY - 1,
            record=record,
            rows=rows,
        )
        packed: bytes = await self._workers.run(packed_xml, draft, self._reporter)
        outcome = replace(outcome, octets=len(packed), messages=draft.messages)
        # RFC 7489 section 6.4: the size of what is attached
        if len(packed) > min(uri.most or _LARGEST, _LARGEST):
            return replace(outcome, detail="larger than the address takes")
        message: bytes = await self._workers.run(
            lambda: report_message(
                draft, self._reporter, packed, uri.address, now=self._clock.seconds()
            )
        )
        try:
            queue_id: str = await result_of(
                self._outbox.post(self._reporter.address, [uri.address], message)
            )
        except TransientFailure as failure:
            return replace(outcome, result="later", detail=str(failure))
        except PermanentFailure as failure:
            await self._failed(outcome.destination)
            return replace(outcome, result="failed", detail=str(failure))
        self._journal.record(
            queue_id,
            "report",
            "sent",
            domain=domain,
            kind="aggregate",
            forward_path=outcome.destination,
            messages=draft.messages,
        )
        return replace(outcome, result="sent", queue_id=queue_id)

    async def _note(self, outcome: Outcome) -> None:
        stamped = replace(outcome, at=self._clock.seconds())
        await self._database.write(lambda c: sent.note_outcome(c, stamped))

    async def _failed(self, destination: str) -> None:
        brake, now = self._brake, self._clock.seconds()
        await self._database.write(
            lambda c: sent.note_trouble(c, destination, now, brake.first_pause, brake.longest_pause)
        )

    # what the queue tells later

    def recipient_failed(self, event: RecipientFailed) -> None:
        """For the queue's events: a report that nobody took is a failure of its address."""
        self._background.start(self.undelivered(event.queue_id), "noting a report that failed")

    async def undelivered(self, queue_id: str) -> None:
        destination = await self._database.read(lambda c: sent.destination_of(c, queue_id))
        if destination:
            await self._failed(destination)


@dataclass(frozen=True, slots=True)
class _Trouble:
    result: str
    detail: str


class _Tally:
    """How many reports went out in a day, in all and by host of addresses."""

    def __init__(self, brake: Brake, before: Counter[str]) -> None:
        self._brake = brake
        self._by_domain = before
        self.now = 0

    def trouble(self, address: Address) -> _Trouble | None:
        if self._by_domain.total() >= self._brake.a_day:
            return _Trouble("later", "enough reports for a day")
        if self._by_domain[address.domain] >= self._brake.a_day_each:
            return _Trouble("later", "enough reports for a day to that host")
        return None

    def count(self, address: Address) -> None:
        self._by_domain[address.domain] += 1
        self.now += 1


def _sent_since(connection: sqlite3.Connection, since: float) -> Counter[str]:
    statement = "SELECT destination FROM sent WHERE result = 'sent' AND at >= ?"
    found = connection.execute(statement, (since,))
    return Counter(destination.rpartition("@")[2] for (destination,) in found)


def _report_id(day: int, domain: str, reporter: Reporter) -> str:
    """The same for the same report, whenever it is made."""
    text = f"{day} {domain} {reporter.hostname}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
