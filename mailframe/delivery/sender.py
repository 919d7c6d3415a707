"""Handing a message to the hosts of its next hop, one after the other, until one takes it.

Hosts are tried in order until every recipient has a final verdict: a host that cannot be
reached or will not talk leaves all recipients for the next one, a 4yz for one recipient
leaves that one, as Postfix does it, with at most two hosts that did talk
(smtp_mx_session_limit). Once the content has gone out and no reply came, nobody else is
tried: the host may have taken it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailframe.core.report import DeliveryReport
from mailframe.delivery.attempt import Attempt
from mailframe.delivery.connections import Connections
from mailframe.delivery.content import Content
from mailframe.delivery.dialler import Dialler, LoopsBack
from mailframe.delivery.host_failed import HostFailed
from mailframe.delivery.hosts import IF_OFFERED, Credentials, Host, Security
from mailframe.delivery.session import SmtpSession
from mailframe.errors import INTERNAL_ERROR, Failure, MessageGone
from mailframe.interfaces import Batch, ISigner, IWorkers

Hosts = Callable[[], AsyncGenerator[Host, None]]
"""Yields the hosts to try, best first, looked up only as far as they are needed. May raise
TransientFailure or PermanentFailure."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to talk to every host of one next hop; also names its connections."""

    next_hop: str
    security: Security = IF_OFFERED
    credentials: Credentials | None = None
    lmtp: bool = False

    def __hash__(self) -> int:
        return hash(self.next_hop)  # which the others hardly ever differ for


class Sender:
    """What the SMTP couriers share: connections, conversions, limits."""

    log = Logger()

    def __init__(
        self,
        dialler: Dialler,
        *,
        workers: IWorkers,
        scratch: str | None = None,
        keep_seconds: float = 5.0,
        keep_total: int = 100,
        messages_per_connection: int = 100,
        recipients_per_transaction: int = 100,
        signer: ISigner | None = None,
    ) -> None:
        """``scratch``: directory for conversions, None the system's; ``signer`` makes good the
        signatures of ours that they break. An idle connection is kept ``keep_seconds``,
        ``keep_total`` of them in all."""
        self._clock = dialler.clock
        self._dialler = dialler
        self._workers = workers
        self._scratch = scratch
        self._signer = signer
        self._connections: Connections[Way] = Connections(
            dialler.clock,
            seconds=keep_seconds,
            total=keep_total,
            messages=messages_per_connection,
        )
        self._recipients_per_transaction = recipients_per_transaction

    async def deliver(self, batch: Batch, way: Way, hosts: Hosts) -> Sequence[DeliveryReport]:
        """Never raises but when cancelled: some recipients may be done already."""
        content = Content(batch.message, self._workers, self._scratch, self._signer)
        attempt = Attempt(batch, content, self._recipients_per_transaction)
        try:
            await self._reuse(attempt, way)
            if attempt.goes_on:
                await self._try(attempt, way, hosts)
        except Failure as failure:
            attempt.give_up(failure.reply, failure.detail)
        except CancelledError:
            raise
        except MessageGone as gone:
            # The operator has removed it meanwhile, or its body is lost: no bug of ours.
            self.log.warn("{queue_id}: {gone}", queue_id=batch.message.queue_id, gone=gone)
            attempt.give_up(INTERNAL_ERROR, str(gone))
        except Exception:  # noqa: BLE001 - our bug is never the sender's bounce
            self.log.failure("{queue_id}: delivery broke", queue_id=batch.message.queue_id)
            attempt.give_up(INTERNAL_ERROR, "internal error, see the log")
        finally:
            content.close()
        return attempt.reports()

    def close(self) -> None:
        """Say goodbye on idle connections."""
        self._connections.close()

    async def _reuse(self, attempt: Attempt, way: Way) -> None:
        session = await self._connections.turn(way)
        if session is not None:
            await self._use(attempt, way, session, reused=True)

    async def _try(self, attempt: Attempt, way: Way, hosts: Hosts) -> None:
        async with aclosing(hosts()) as found:
            async for host in found:
                if attempt.was_asked(host):
                    continue
                try:
                    session = await self._dial(host, way)
                except LoopsBack as failure:
                    attempt.give_up(failure.reply, str(host))
                except HostFailed as failure:
                    attempt.host_failed(host, failure)
                else:
                    await self._use(attempt, way, session, reused=False)
                if not attempt.goes_on:
                    return

    async def _dial(self, host: Host, way: Way) -> SmtpSession:
        """Raises HostFailed."""
        begun = self._clock.seconds()
        session = await self._dialler.open(host, way.security, way.credentials, lmtp=way.lmtp)
        self._connections.dialled(way, session, self._clock.seconds() - begun)
        return session

    async def _use(self, attempt: Attempt, way: Way, session: SmtpSession, *, reused: bool) -> None:
        """``turn`` or ``dialled`` has given us the session."""
        begun = self._clock.seconds()
        has_turn = True

        def pass_on() -> None:
            nonlocal has_turn
            has_turn = False
            self._connections.pass_on(way, session)

        try:
            await attempt.talk(session, reused=reused, said_all=pass_on)
        except BaseException:
            session.spoil()
            raise
        finally:
            if has_turn:
                pass_on()
            self._connections.finished(way, session, self._clock.seconds() - begun)
