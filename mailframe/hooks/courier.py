"""The courier ``app``: mail that is safely on disk, for ``@app.deliver`` hooks.

At least once. A recipient is done when its hook has succeeded and what the hook wanted sent is
spooled; until then the queue comes again, with the same ``msg.id``. The message is read once for
all recipients of a batch, when there is a place for the call and room in memory, so that a crowd
that waits for a slow hook costs nothing.

Mail for an address that no hook takes any more waits for one to come back. A ``before_ack`` hook
is asked here, like any other, about mail that did not come by SMTP: bounces, and what this server
writes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.verdict import FieldLine
from mailframe.errors import (
    INTERNAL_ERROR,
    Failure,
    MessageGone,
    PermanentFailure,
    TransientFailure,
)
from mailframe.hooks.accounts import COURIER
from mailframe.hooks.addresses import Addresses, Matched, address_of
from mailframe.hooks.answered import decision_for, other_fields
from mailframe.hooks.arrival import arrival_of, auth_of, read_stored
from mailframe.hooks.automatic import MAX_HOPS
from mailframe.hooks.before_ack import taker_of
from mailframe.hooks.calling import Caller, Values
from mailframe.hooks.mail import Message
from mailframe.hooks.outgoing import Outgoing, PostingFailed
from mailframe.hooks.patterns import key_of
from mailframe.hooks.reading import prepare
from mailframe.hooks.room import Room
from mailframe.hooks.server import Server
from mailframe.hooks.verdicts import Decision, Defer, Discard, Quarantine, Redirect, Reject
from mailframe.interfaces import Batch, IPartedCourier, IStoredMessage
from mailframe.message.headers import named, split_message
from mailframe.message.trace import delivered_to_field, field_line, return_path_field
from mailframe.runtime.aio import as_deferred, result_of

PATIENCE = 600.0
"""Seconds that a message waits for its hook's turn before it goes back to the queue."""

_TAKEN = Reply(250, status.OTHER, "Taken by the application")
_NOBODY = Reply(451, status.UNABLE_TO_ROUTE, "No application takes mail for this address now")
_NO_PLACE = Reply(451, status.SYSTEM_NOT_CAPABLE, "There is no mailbox to put it into")
_NOT_SENT = Reply(451, status.SYSTEM_OTHER, "What is to be sent cannot be spooled now")


@implementer(IPartedCourier)
class AppCourier:
    name = COURIER
    log = Logger()

    def __init__(
        self,
        addresses: Addresses,
        caller: Caller,
        server: Server,
        room: Room,
        authserv_id: str,
    ) -> None:
        """``addresses`` of deliver hooks; ``room``: octets in memory."""
        self._addresses = addresses
        self._caller = caller
        self._server = server
        self._room = room
        self._authserv_id = authserv_id

    def part_of(self, next_hop: str) -> str:
        """Each hook is one: a crowd that waits for a slow one is in nobody else's way."""
        taker = self._addresses.find(address_of(next_hop))
        return taker[0].name if taker is not None else ""

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return as_deferred(self._deliver(batch))

    async def _deliver(self, batch: Batch) -> Sequence[DeliveryReport]:
        copy = _Copy(batch, self._room)
        try:
            return [await self._report(copy, recipient) for recipient in batch.recipients]
        finally:
            copy.release()

    async def _report(self, copy: _Copy, recipient: Recipient) -> DeliveryReport:
        try:
            return await self._try(copy, recipient)
        except CancelledError:
            raise
        except Failure as failure:
            permanent = failure.reply.is_permanent
            outcome = Outcome.FAILED if permanent else Outcome.DEFERRED
            return DeliveryReport(recipient, outcome, failure.reply, detail=failure.detail)
        except MessageGone as gone:
            return DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR, detail=str(gone))
        except Exception:  # noqa: BLE001 - the others' reports must not be lost
            self.log.failure("{id}: delivery to an application broke", id=copy.id)
            return DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR, unknown=True)

    async def _try(self, copy: _Copy, recipient: Recipient) -> DeliveryReport:
        decision = decision_for(recipient)
        if decision is not None:
            return await self._carry_out(copy, recipient, decision, "answered before the 250")
        taker = taker_of(self._addresses, recipient)
        if taker is None:
            raise TransientFailure(_NOBODY, "no hook of any application has a pattern for it")
        hook = taker[0]
        decision = await self._ask(copy, recipient, taker)
        if isinstance(decision, Reject | Defer):
            outcome = Outcome.FAILED if isinstance(decision, Reject) else Outcome.DEFERRED
            return DeliveryReport(recipient, outcome, decision.reply, detail=hook.name)
        return await self._carry_out(copy, recipient, decision, hook.name)

    async def _ask(self, copy: _Copy, recipient: Recipient, taker: Matched) -> Decision | None:
        """And spool what it wants sent."""
        hook = taker[0]
        outgoing = Outgoing(self._server, copy.id, hook.name, recipient.address)
        given = partial(self._given, copy, recipient, taker, outgoing)
        try:
            decision = await self._caller.decision(hook, copy.id, given, patience=PATIENCE)
            if not isinstance(decision, Reject | Defer):
                await outgoing.post(self._server.outbox)
        except PostingFailed as failed:
            cause = f"{hook.name}: {failed} ({failed.__cause__})"
            raise TransientFailure(_NOT_SENT, cause) from failed
        finally:
            outgoing.drop()
        return decision

    async def _given(
        self, copy: _Copy, recipient: Recipient, taker: Matched, outgoing: Outgoing
    ) -> Values:
        hook, places = taker
        raw = await copy.raw()
        message = copy.batch.message
        envelope = message.envelope.to(copy.batch.recipients)
        msg = Message(
            raw,
            id=copy.id,
            envelope=envelope,
            arrival=arrival_of(message.arrival),
            auth=auth_of(split_message(raw)[0], self._authserv_id),
            address=recipient.address,
            recipient=recipient,
            outgoing=outgoing,
            added=_lines(other_fields(recipient)),
            received=message.arrived,
        )
        await prepare(self._server, hook, msg)
        return {**places, "msg": msg, "address": recipient.address, "envelope": envelope}

    # ---- what it decided

    async def _carry_out(
        self, copy: _Copy, recipient: Recipient, decision: Decision | None, by: str
    ) -> DeliveryReport:
        detail = by
        if isinstance(decision, Discard):
            detail = f"{by}: {decision.reason}"
        elif isinstance(decision, Redirect):
            queue_id = await self._redirect(copy, recipient, decision.addresses)
            detail = f"{by}: {decision.reason}, as {queue_id}"
        elif isinstance(decision, Quarantine):
            account = await self._quarantine(copy, recipient, decision.folder)
            detail = f"{by}: {decision.reason}, in {decision.folder} of {account}"
        return DeliveryReport(recipient, Outcome.DELIVERED, _TAKEN, detail=detail)

    async def _redirect(
        self, copy: _Copy, recipient: Recipient, addresses: Sequence[Address]
    ) -> str:
        """Returns the queue id of what goes on."""
        raw = await copy.raw()
        seen = list(named(split_message(raw)[0], "Delivered-To"))
        # Many of them: an application that makes up a new address each time.
        if len(seen) > MAX_HOPS or any(_is_of(each.text, recipient.address) for each in seen):
            text = f"Mail for {recipient.address} is going round in a loop"
            raise PermanentFailure(Reply(554, status.ROUTING_LOOP, text))
        content = delivered_to_field(recipient.address) + raw
        reverse_path = copy.batch.message.envelope.reverse_path
        try:
            posted: str = await result_of(
                self._server.outbox.post(reverse_path, addresses, content)
            )
        except Failure as failure:
            # A wrong address in the application is not the sender's fault.
            raise TransientFailure(_NOT_SENT, str(failure)) from failure
        return posted

    async def _quarantine(self, copy: _Copy, recipient: Recipient, folder: str) -> str:
        """Into the recipient's own mailbox where there is one of that name, else the
        postmaster's. Returns whose."""
        store, postmaster = self._server.store, self._server.postmaster
        accounts = [key_of(recipient.address), copy.batch.next_hop]
        if postmaster is not None:
            accounts.append(key_of(postmaster))
        refused = "the server has no mailboxes"
        for account in dict.fromkeys(accounts if store is not None else ()):
            try:
                await result_of(self._keep(copy, recipient, account, folder))
            except PermanentFailure as failure:
                refused = str(failure)
                continue
            return account
        raise TransientFailure(_NO_PLACE, refused)

    async def _keep(self, copy: _Copy, recipient: Recipient, account: str, folder: str) -> None:
        store, message = self._server.store, copy.batch.message
        assert store is not None
        prefix = (
            return_path_field(message.envelope.reverse_path)
            + delivered_to_field(recipient.address)
            + _lines(other_fields(recipient))
        )
        token = f"{copy.id}:{recipient.address.key}"
        await result_of(store.deliver(account, folder, message, prefix, token, copy.batch.repeats))


class _Copy:
    """The message of a batch, read when somebody wants it."""

    def __init__(self, batch: Batch, room: Room) -> None:
        self.batch = batch
        self.id: str = batch.message.queue_id
        self._room = room
        self._reserved = 0
        self._raw: bytes | None = None

    async def raw(self) -> bytes:
        if self._raw is None:
            message: IStoredMessage = self.batch.message
            await self._room.enter(message.size, PATIENCE)
            self._reserved = message.size
            self._raw = await read_stored(message)
        return self._raw

    def release(self) -> None:
        self._raw = None
        if self._reserved:
            self._room.leave(self._reserved)
            self._reserved = 0


def _lines(fields: Sequence[FieldLine]) -> bytes:
    return b"".join(field_line(name, value) for name, value in fields)


def _is_of(text: str, address: Address) -> bool:
    try:
        return key_of(Address.parse(text.strip().strip("<>"))) == key_of(address)
    except ValueError:
        return False  # somebody else's notation
