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
    """To be opened as often as needed, and closed each time."""
    recipients: tuple[Recipient, ...]
    """One at least."""
    next_hop: str
    """As of ``Route``."""
    attempt: int
    """1 for the first try of the eldest recipient in it."""
    repeats: bool = False
    """Whether an earlier attempt may have succeeded without our knowing (crash, lost lease)."""


class ICourier(Interface):
    """One way out of the queue: to other hosts, into mailboxes, into a program."""

    # Small on purpose: reread before adding a method.

    name: str = Attribute("What ``Route.courier`` calls it.")

    def deliver(batch: Batch) -> Awaitable[Sequence[DeliveryReport]]:
        """Try once; one report a recipient. Called by the queue.

        Raise TransientFailure or PermanentFailure where the attempt as a whole failed (no
        connection, no such domain): it then counts for every recipient. Any other error is
        our bug and defers them. Connection reuse is the courier's own affair.
        """


class IGroupCourier(ICourier):
    """Optional power of an ``ICourier``: many messages at once are hardly more work to it than
    one."""

    def deliver_together(
        batches: Sequence[Batch],
    ) -> Awaitable[Sequence[Sequence[DeliveryReport] | Exception]]:
        """Try each once; what ``deliver`` would have returned or raised for each, in their
        order. Called by the queue for messages that are in memory
        (``IStoredMessage.octets``), one call at a time."""


class IPartedCourier(ICourier):
    """Optional power of an ``ICourier`` to programs here (``Local.courier``): there are several
    behind it, and one that is slow must not keep mail from the others."""

    def part_of(next_hop: str) -> str:
        """Which of them takes mail for ``next_hop``: a name, the same as long as it is the same
        one; each has attempts of its own. Called by the queue before attempts; must not block."""


class IRouter(Interface):
    """Chooses the courier and the next hop of a recipient."""

    def route(recipient: Recipient) -> Route:
        """Choose the way, at each attempt anew, so that a changed setting applies to what
        is already queued. Must not block."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a message for one mailbox, as ``IMailStore.deliver`` is told it."""

    account: str
    """As of ``Local``."""
    folder: str
    """Empty for the INBOX."""
    message: IStoredMessage
    """The whole of it."""
    prefix: bytes
    """Fields to put before it, in wire format."""
    token: str
    """Names this delivery, for ever."""
    repeats: bool
    """Whether it may be there already."""


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
        """Whether so many octets more fit into the account's quota. Asked at RCPT."""


class IGroupStore(IMailStore):
    """Optional power of an ``IMailStore``: many deliveries at once are hardly more work to it than
    one."""

    def deliver_together(
        deliveries: Sequence[Delivery],
    ) -> Awaitable[Sequence[MessageInfo | Exception]]:
        """What ``deliver`` would have returned or raised for each, in their order. The messages
        are in memory (``IStoredMessage.octets``)."""
