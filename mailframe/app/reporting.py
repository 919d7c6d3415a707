"""DMARC reports: what is kept of others' and of our own, in ``reports.db``.

Lives as long as the house; whether and whence reports are sent needs a restart to change.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.accounts.lookup import is_domain
from mailframe.app.config import Config
from mailframe.core.address import Address
from mailframe.core.events import RecipientFailed
from mailframe.core.observation import DmarcObservation
from mailframe.interfaces import IOutbox
from mailframe.reports.observations import Observations
from mailframe.reports.schema import MIGRATIONS
from mailframe.reports.store import ReportStore
from mailframe.runtime.database import IfDamaged
from mailframe.runtime.duty import Duty
from mailframe.runtime.machine import Machine

if TYPE_CHECKING:
    from mailframe.app.wiring import House
    from mailframe.reports.intake import ReportIntake
    from mailframe.reports.sending import ReportSender

_PURGE_SECONDS = 3600.0


class Reporting:
    """``start`` comes once there is an outbox."""

    log = Logger()

    def __init__(self, config: Config, machine: Machine, duty: Duty) -> None:
        """``duty``: of sending reports and removing old ones."""
        reactor = machine.reactor
        self.file = machine.database(
            os.path.join(config.base, "reports.db"), MIGRATIONS, if_damaged=IfDamaged.BEGIN_ANEW
        )
        self.store = ReportStore(self.file)
        self.observations = Observations(self.file, reactor)
        self._reactor = reactor
        self._is_ours = duty.is_ours
        self._sender: ReportSender | None = None
        self._purging = LoopingCall(self._purge)
        self._purging.clock = reactor

    @property
    def note(self) -> Callable[[DmarcObservation], None] | None:
        """Where DMARC's results are counted; None where nobody would ever report them."""
        return self.observations.note if self._sender is not None else None

    def start(self, house: House, config: Config, outbox: IOutbox) -> None:
        self.observations.start()
        self._purging.start(_PURGE_SECONDS, now=False)
        dmarc = config.policy.dmarc
        if not dmarc.reports or not dmarc.report_from:
            return
        # Here because it is megabytes with what it takes to write XML, and few send reports.
        from mailframe.reports.sending import ReportSender
        from mailframe.reports.writing import Reporter

        reporter = Reporter(
            dmarc.report_organization or config.hostname,
            Address.parse(dmarc.report_from),
            config.hostname,
        )
        self._sender = ReportSender(
            self.file,
            self.observations,
            reporter,
            outbox=outbox,
            resolver=house.resolver,
            workers=house.content_workers,
            journal=house.journal,
            clock=self._reactor,
            is_ours=self._is_ours,
        )
        self._sender.start()

    def _purge(self) -> Deferred[int]:
        if not self._is_ours():
            return succeed(0)

        def failed(failure: Failure) -> int:
            self.log.failure("old reports could not be removed", failure)
            return 0

        return self.store.purge(self._reactor.seconds()).addErrback(failed)

    async def stop(self) -> None:
        if self._purging.running:
            self._purging.stop()
        if self._sender is not None:
            await self._sender.stop()
        await self.observations.stop()

    def recipient_failed(self, event: RecipientFailed) -> None:
        if self._sender is not None:
            self._sender.recipient_failed(event)

    def intake(self, house: House, config: Config) -> ReportIntake | None:
        """The policy that reads reports about domains here; None where nobody gets any."""
        addresses = config.policy.dmarc.reports_to
        if not addresses:
            return None
        from mailframe.reports.intake import ReportIntake  # reads XML and ZIP: see above

        async def is_ours(domain: str) -> bool:
            return await house.desk.directory.ask(lambda connection: is_domain(connection, domain))

        return ReportIntake(
            addresses,
            self.store,
            workers=house.content_workers,
            clock=self._reactor,
            journal=house.journal,
            is_ours=is_ours,
        )
