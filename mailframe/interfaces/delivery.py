"""Handing messages on: couriers, the choice among them, and the store of local mail."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from zope.interface import Attribute, Interface

from mailframe.core.envelope import Recipient
from mailframe.core.report import DeliveryReport
from mailframe.core.routing import Route
from mailframe.interfaces.mailbox import MessageInfo
from mailframe.interfaces.spool import IStoredMessage


@dataclass(frozen=True, slots=True)
class Batch:
    """One message for all its recipients that share a courier and a next hop."""

    message: IStoredMessage
    recipients: tuple[Recipient, ...]
    next_hop: str
    attempt: int
    """1 for the first try of the eldest recipient in it."""
    repeats: bool = False
    """Whether an earlier attempt may have succeeded without our knowing (crash, lost lease)."""


class ICourier(Interface):
    """One way out. Small on purpose: reread before adding a method."""

    name: str = Attribute("What ``Route.courier`` calls it.")

    def deliver(batch: Batch) -> Awaitable[Sequence[DeliveryReport]]:
        """Try once; one report a recipient. Called by the queue.

        Raise TransientFailure or PermanentFailure where the attempt as a whole failed (no
        connection, no such domain): it then counts for every recipient. Any other error is
        our bug and defers them. Connection reuse is the courier's own affair.
        """


class IGroupCourier(ICourier):
    """A courier to whom many messages at once are hardly more work than one."""

    def deliver_together(
        batches: Sequence[Batch],
    ) -> Awaitable[Sequence[Sequence[DeliveryReport] | Exception]]:
        """Try each once; what ``deliver`` would have returned or raised for each, in their
        order. Called by the queue for messages that are in memory
        (``IStoredMessage.octets``), one call at a time."""


class IRouter(Interface):
    def route(recipient: Recipient) -> Route:
        """Choose the way, at each attempt anew, so that a changed setting applies to what
        is already queued. Must not block."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a message for one mailbox, as ``IMailStore.deliver`` is told it."""

    account: str
    folder: str
    message: IStoredMessage
    prefix: bytes
    token: str
    repeats: bool


class IMailStore(Interface):
    """Where mail of local accounts is kept; the ``local`` courier delivers into it."""

    def deliver(
        account: str, folder: str, message: IStoredMessage, prefix: bytes, token: str, repeats: bool
    ) -> Awaitable[MessageInfo]:
        """Keep the message, ``prefix`` (Return-Path, Delivered-To) before it, durably.

        ``token`` names this delivery (queue id and recipient). With ``repeats`` an earlier
        try may have succeeded: a message of that token already there is the answer, not a
        second copy. Raises TransientFailure (452 4.2.2 over quota, 451 4.3.0 disk trouble),
        OutcomeUnknown where the message may be there nevertheless, or PermanentFailure
        (550 5.1.1 no such account).
        """

    def room(account: str, octets: int) -> Awaitable[bool]:
        """Whether so much more fits into the account's quota. Asked at RCPT."""


class IGroupStore(IMailStore):
    """A store to which many deliveries at once are hardly more work than one."""

    def deliver_together(
        deliveries: Sequence[Delivery],
    ) -> Awaitable[Sequence[MessageInfo | Exception]]:
        """What ``deliver`` would have returned or raised for each, in their order. The messages
        are in memory (``IStoredMessage.octets``)."""
