"""Mail that the server itself writes, on its way into the spool (``IOutbox``).

Notices to users and postmasters, reports to other servers. The message is signed where its
author's domain has keys, and from then on is a message like any other: queued, delivered to
mailboxes here or relayed, told about by ``mailframe trace``. Where it has a reverse-path, a
failure bounces there, and nothing else is reported; where it has none, nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure
from mailframe.interfaces import (
    Arrival,
    IIncoming,
    IJournal,
    IOutbox,
    IRecipientResolver,
    ISigner,
    ISpool,
)
from mailframe.message.headers import message_id, split_message
from mailframe.queue.addressees import addressees
from mailframe.queue.signed import signed
from mailframe.runtime.aio import as_deferred, result_of

_NOBODY = Reply(550, status.BAD_DESTINATION_MAILBOX, "Nobody takes the message")
_PIECE = 64 * 1024
_OF_FAILURES = frozenset({Notify.FAILURE})


@implementer(IOutbox)
class Outbox:
    log = Logger()

    def __init__(
        self,
        spool: ISpool,
        resolver: IRecipientResolver,
        signer: ISigner | None,
        *,
        journal: IJournal,
        ids: Callable[[], str],
    ) -> None:
        """``resolver`` finds out where recipients are; ``ids`` makes queue ids."""
        self._spool = spool
        self._resolver = resolver
        self._signer = signer
        self._journal = journal
        self._ids = ids

    def post(
        self, reverse_path: Address | None, recipients: Sequence[Address], message: bytes
    ) -> Deferred[str]:
        return as_deferred(self._post(reverse_path, recipients, message))

    async def _post(
        self, reverse_path: Address | None, recipients: Sequence[Address], message: bytes
    ) -> str:
        finals = await self._finals(recipients)
        if reverse_path is not None:
            # It may be somebody else's mail, which an application sends on: it must not be lost.
            finals = tuple(replace(each, notify=_OF_FAILURES) for each in finals)
        content = await signed(message, self._signer)
        header = split_message(content)[0]
        envelope = Envelope(
            reverse_path=reverse_path,
            recipients=finals,
            body=Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT,
            # RFC 6531 section 3.4
            smtputf8=not header.isascii()
            or any(recipient.address.needs_utf8 for recipient in finals)
            or (reverse_path is not None and reverse_path.needs_utf8),
        )
        arrival = Arrival(protocol="local", message_id=message_id(header))
        queue_id = self._ids()
        await self._keep(queue_id, content, envelope, arrival)
        self._journal.record(
            queue_id,
            "accept",
            reverse_path=str(reverse_path or ""),
            forward_path=[str(recipient.address) for recipient in finals],
            size=len(content),
            message_id=arrival.message_id,
            reason="written here",
        )
        return queue_id

    async def _finals(self, recipients: Sequence[Address]) -> tuple[Recipient, ...]:
        """Each final recipient once. One that takes no mail does not keep it from the others."""
        finals: dict[str, Recipient] = {}
        refused: PermanentFailure | None = None
        for address in recipients:
            try:
                found = await addressees(self._resolver, address)
            except PermanentFailure as failure:
                refused = failure
                self.log.warn("nothing is sent to {address}: {why}", address=address, why=failure)
                continue
            for recipient in found:
                finals.setdefault(recipient.address.key, recipient)
        if not finals:
            raise refused or PermanentFailure(_NOBODY, "no recipients")
        return tuple(finals.values())

    async def _keep(
        self, queue_id: str, content: bytes, envelope: Envelope, arrival: Arrival
    ) -> None:
        """Returns when it is durable; the spool then tells the queue."""
        incoming: IIncoming = await result_of(self._spool.begin(queue_id))
        try:
            for start in range(0, len(content), _PIECE):
                await result_of(incoming.write(content[start : start + _PIECE]))
        except BaseException:
            incoming.abort()
            raise
        await incoming.commit(envelope, arrival, b"")
