"""What ``mailframe dev`` has and a server has not: the inbox site, and errors on demand.

``policies`` go into every listener that takes mail; ``site`` is made when the house stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Any

from mailframe import __version__
from mailframe.app.dev_arrivals import Arrivals
from mailframe.app.dev_errors import Chaos, DevErrors
from mailframe.app.dev_sending import Release, SendHere
from mailframe.core.session import Session
from mailframe.interfaces import IPolicy
from mailframe.queue.outbox import Outbox
from mailframe.servers.smtp import SmtpFactory
from mailframe.web.faults import Faults
from mailframe.web.powers import Powers

if TYPE_CHECKING:
    from mailframe.app.commands.dev import DevOptions
    from mailframe.app.wiring import House
    from mailframe.web.inbox import InboxSite


class DevParts:
    def __init__(self, house: House, options: DevOptions) -> None:
        self._house = house
        self._options = options
        self._faults = Faults(lambda: house.random.randrange(100))
        self._arrivals = Arrivals(house.events, house.reactor)
        self.policies: tuple[IPolicy, ...] = (
            DevErrors(
                house.reactor,
                self._faults,
                self._hang_up,
                magic=options.magic,
                chaos=_chaos(options, house),
            ),
            # Last: what is refused is not expected.
            self._arrivals,
        )

    def site(self) -> InboxSite:
        from mailframe.mailbox.tree import inboxes
        from mailframe.web.inbox import InboxSite  # templates and a web server: megabytes

        house, base = self._house, self._options.base

        def accounts() -> Any:
            return house.disk_workers.run(lambda: [name for name, _ in inboxes(base, house.disk)])

        return InboxSite(
            house.events,
            accounts,
            house.stores.store.mailbox,
            clock=house.reactor,
            workers=house.content_workers,
            token=house.nonce(),
            powers=self._powers(),
        )

    def join(self) -> None:
        """Before the house is furnished: be asked by every SMTP listener, and have mailboxes wait
        for what was accepted a moment ago."""
        self._house.extra_policies = self.policies
        self._house.settled = self._arrivals.settled

    def _hang_up(self, session: Session, abruptly: bool) -> None:
        servers = [server for _, server in self._house.metering.servers]
        smtp = [server for server in servers if isinstance(server, SmtpFactory)]
        for protocol in (each for server in smtp for each in server.open):
            transport: Any = protocol.transport
            peer = transport.getPeer()
            if (peer.host, peer.port) == (session.peer_ip, session.peer_port):
                if abruptly:
                    transport.abortConnection()
                else:
                    transport.loseConnection()
                return

    def _powers(self) -> Powers:
        house, release_to = self._house, self._options.release_to
        resolver = house.resolves  # who is here now, addresses of applications included

        def outbox(queue_id: str) -> Outbox:
            return Outbox(house.spool, resolver, None, journal=house.journal, ids=lambda: queue_id)

        send_here = SendHere(outbox, resolver, self._arrivals)

        async def send(sender: str, recipients: Sequence[str], content: bytes) -> str:
            queue_id = house.ids()
            date = formatdate(house.reactor.seconds())
            await send_here(queue_id, date, sender, recipients, content)
            return queue_id

        return Powers(
            settled=self._arrivals.settled,
            username=self._arrivals.username,
            send=send,
            release=Release(release_to, house.content_workers) if release_to else None,
            release_to=release_to,
            faults=self._faults,
            version=__version__,
            base=self._options.base,
        )


def _chaos(options: DevOptions, house: House) -> Chaos | None:
    if not options.chaos_percent:
        return None
    random = house.random
    if options.chaos_seed is not None:
        random = Random(options.chaos_seed)  # noqa: S311 - that it repeats is the point
    return Chaos(options.chaos_percent, random)
