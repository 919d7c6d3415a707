"""Making a report ready for the spool: who gets it, what it returns, under which id.

The reverse-path is resolved like any recipient, because a sender may be at home here. Where
it leads nowhere, or is null, there is nobody to tell: RFC 5321 section 6.1 forbids a bounce
for a bounce, and a report to an address that refuses it would be one. A report is signed where
the domain of its From has keys.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Recipient
from mailframe.errors import MessageGone, PermanentFailure
from mailframe.interfaces import Arrival, IRecipientResolver, ISigner
from mailframe.message.dsn import (
    Action,
    Notification,
    Original,
    ReportedRecipient,
    build_dsn,
    needs_smtputf8,
    wants_full,
)
from mailframe.queue.addressees import addressees
from mailframe.queue.records import Message, NewMessage
from mailframe.queue.signed import signed
from mailframe.queue.spool import Spool

FULL_RETURN_LIMIT = 1024 * 1024
_HEADER_LIMIT = 256 * 1024
_PIECE = 64 * 1024


class Unreportable(Exception):
    """Nobody can be told; says why."""


class Bounces:
    """Builds delivery reports."""

    log = Logger()

    def __init__(
        self,
        spool: Spool,
        resolver: IRecipientResolver,
        ids: Callable[[], str],
        *,
        hostname: str,
        signer: ISigner | None = None,
        full_return_limit: int = FULL_RETURN_LIMIT,
    ) -> None:
        """``full_return_limit``: octets of the largest original that RET=FULL returns whole."""
        self._spool = spool
        self._resolver = resolver
        self._ids = ids
        self._hostname = hostname
        self._signer = signer
        self._limit = full_return_limit

    async def build(
        self, message: Message, recipients: tuple[ReportedRecipient, ...], now: float
    ) -> NewMessage:
        """The report about ``recipients`` of ``message``, which all have the same action.

        Raises Unreportable; TransientFailure where the sender cannot be looked up now.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            raise Unreportable("the reverse-path is null")
        targets = await self._resolve(sender)
        original = await self._original(message, recipients[0].action)
        queue_id = self._ids()
        notification = Notification(
            message_id=f"<{queue_id}.dsn@{self._hostname}>",
            hostname=self._hostname,
            to=sender,
            date=now,
            recipients=recipients,
            original=original,
        )
        # A thousand recipients, each refused with a page of text, are a second of work.
        content = await self._spool.workers.run(build_dsn, notification)
        content = await signed(content, self._signer)
        envelope = Envelope(
            reverse_path=None,
            body=Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT,
            smtputf8=needs_smtputf8(notification),
        )
        arrival = Arrival(
            protocol="DSN",
            message_id=notification.message_id,
            extra={"about": message.queue_id},
        )
        report = Message(
            queue_id=queue_id,
            arrived=now,
            size=len(content),
            prefix=b"",
            in_file=False,
            envelope=envelope,
            arrival=arrival,
        )
        return NewMessage(report, content, targets)

    async def _resolve(self, sender: Address) -> tuple[Recipient, ...]:
        try:
            return await addressees(self._resolver, sender)
        except PermanentFailure as failure:
            raise Unreportable(f"{sender}: {failure.reply}") from failure

    async def _original(self, message: Message, action: Action) -> Original:
        full = wants_full(message.envelope, action, message.size, self._limit)
        wanted = message.size if full else min(message.size, _HEADER_LIMIT)
        content = await self._read(message, wanted, to_header_end=not full)
        return Original(
            queue_id=message.queue_id,
            envelope=message.envelope,
            arrived=message.arrived,
            message_id=message.arrival.message_id,
            content=content,
            is_whole=full and len(content) == message.size,
        )

    async def _read(self, message: Message, octets: int, *, to_header_end: bool) -> bytes:
        """The first octets; what can be had of a message whose body is damaged."""
        content = b""
        try:
            source = await self._spool.open(message)
            try:
                while len(content) < octets:
                    piece = await source.read(min(_PIECE, octets - len(content)))
                    content += piece
                    if not piece or (to_header_end and b"\r\n\r\n" in content):
                        break
            finally:
                source.close()
        except MessageGone as gone:
            # Damaged, or the operator has removed it meanwhile.
            self.log.warn("{queue_id}: content lost: {gone}", queue_id=message.queue_id, gone=gone)
        return content
