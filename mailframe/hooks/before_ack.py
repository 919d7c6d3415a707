"""``@app.deliver(..., before_ack=True)``: hooks that answer while the sender waits.

They are asked for each recipient that is theirs. SMTP has one reply for all recipients of a
message, and so has LMTP as this server speaks it. So a recipient with such a hook has its
transaction for itself: others hear 452 4.5.3 and come in another one, as RFC 5321 section
4.5.3.1.10 has it, and each gets an answer of its own. Mail programs do not come again: at the
submission port all go in one, and the first hook that objects decides for all.

What a hook wants sent is spooled when it has succeeded, before the 250. Should the commit fail
after that, or the 250 be lost, the sender comes again, and the hook is asked again, under another
id.
"""

from __future__ import annotations

from functools import partial

from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Expanded, Local, Resolution
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Filing, Tag, Verdict
from mailframe.errors import INTERNAL_ERROR, TransientFailure
from mailframe.hooks.accounts import COURIER
from mailframe.hooks.addresses import Addresses, Matched, address_of
from mailframe.hooks.answered import field_of
from mailframe.hooks.calling import Caller, Values
from mailframe.hooks.live import LiveHook
from mailframe.hooks.outgoing import Outgoing, PostingFailed
from mailframe.hooks.policies import reply_of
from mailframe.hooks.reading import Reading, prepare
from mailframe.hooks.server import Server
from mailframe.hooks.verdicts import Decision
from mailframe.interfaces import IContent, IMessagePolicy, IRecipientPolicy

_ONE_AT_A_TIME = Reply(452, status.TOO_MANY_RECIPIENTS, "One recipient at a time, please")


def taker_of(addresses: Addresses, recipient: Recipient) -> Matched | None:
    """Of a recipient that was accepted for an application: the hook for its address, or for its
    account, which lacks the detail where only that was known."""
    if recipient.mailbox is None or recipient.mailbox.courier != COURIER:
        return None
    found = addresses.find(recipient.address)
    if found is None:
        found = addresses.find(address_of(recipient.mailbox.account))
    return found


@implementer(IRecipientPolicy)
class OneAtATime:
    name = "apps"

    def __init__(self, addresses: Addresses) -> None:
        """``addresses`` of deliver hooks."""
        self._addresses = addresses

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        if not envelope.recipients or session.role is Role.SUBMISSION:
            return None
        named = {each.original or each.address for each in envelope.recipients}
        if named == {recipient.address}:  # said twice
            return None
        every = [*envelope.recipients, *_finals(recipient, resolution)]
        return _ONE_AT_A_TIME if any(map(self._answers_at_once, every)) else None

    def _answers_at_once(self, recipient: Recipient) -> bool:
        taker = taker_of(self._addresses, recipient)
        return taker is not None and taker[0].hook.before_ack


def _finals(recipient: Recipient, resolution: Resolution) -> list[Recipient]:
    if isinstance(resolution, Local):
        return [Recipient(recipient.address, mailbox=resolution)]
    if isinstance(resolution, Expanded):
        return [Recipient(each.address, mailbox=each.mailbox) for each in resolution.targets]
    return []


@implementer(IMessagePolicy)
class BeforeAckHook:
    """One hook."""

    def __init__(
        self,
        hook: LiveHook,
        addresses: Addresses,
        caller: Caller,
        reading: Reading,
        server: Server,
    ) -> None:
        self.name = hook.name
        self._hook = hook
        self._addresses = addresses
        self._caller = caller
        self._reading = reading
        self._server = server

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        filings = []
        for recipient in envelope.recipients:
            taker = taker_of(self._addresses, recipient)
            if taker is None or taker[0] is not self._hook or recipient.mailbox is None:
                continue
            decision = await self._ask(session, envelope, content, recipient, taker)
            if (reply := reply_of(decision)) is not None:
                return reply
            filings.append(Filing(recipient.mailbox.account, headers=(field_of(decision),)))
        return Tag("answered", filings=tuple(filings)) if filings else None

    async def _ask(
        self,
        session: Session,
        envelope: Envelope,
        content: IContent,
        recipient: Recipient,
        taker: Matched,
    ) -> Decision | None:
        outgoing = Outgoing(self._server, content.queue_id, self.name, recipient.address)
        given = partial(self._given, session, envelope, content, recipient, taker, outgoing)
        try:
            decision = await self._caller.decision(self._hook, content.queue_id, given)
            if reply_of(decision) is None:
                await outgoing.post(self._server.outbox)
        except PostingFailed as failed:
            raise TransientFailure(INTERNAL_ERROR, f"{self.name}: {failed}") from failed
        finally:
            outgoing.drop()
        return decision

    async def _given(
        self,
        session: Session,
        envelope: Envelope,
        content: IContent,
        recipient: Recipient,
        taker: Matched,
        outgoing: Outgoing,
    ) -> Values:
        msg = await self._reading.message_of(session, envelope, content, recipient, outgoing)
        await prepare(self._server, self._hook, msg)
        return {**taker[1], "msg": msg, "address": recipient.address, "envelope": envelope}
