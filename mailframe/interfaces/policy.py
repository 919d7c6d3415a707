"""Policies: an ordered list of objects, each of which may object at some stages.

A policy provides ``IPolicy`` (its name) and any of the stage interfaces. The first Reply
wins and its policy's name is journalled as the rule that decided; Tags accumulate.
"""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Attribute, Interface

from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Verdict
from mailframe.interfaces.mailbox import IMessageSource


class IPolicy(Interface):
    """One rule. It is asked at the stages whose interfaces it provides besides this one; a verdict
    is a ``Reply`` (refused with it), a ``Tag`` (go on, but remember), or None. Raises
    TransientFailure or PermanentFailure, whose reply the peer hears; any other error is our bug,
    and 451 4.3.0."""

    name: str = Attribute("Its name in ``[policy] order``.")


class IConnectPolicy(IPolicy):
    """Optional stage of an ``IPolicy``: a client has connected."""

    def connect(session: Session) -> Verdict | Awaitable[Verdict]:
        """Before the greeting. A Reply is sent instead of the 220 (use 421 or 554)."""


class IHeloPolicy(IPolicy):
    """Optional stage of an ``IPolicy``: the client has said who it is."""

    def helo(session: Session) -> Verdict | Awaitable[Verdict]:
        """After each HELO, EHLO or LHLO."""


class IAuthPolicy(IPolicy):
    """Optional stage of an ``IPolicy``: somebody has logged in."""

    def auth(session: Session) -> Verdict | Awaitable[Verdict]:
        """After a successful login; a Reply undoes it."""


class IMailPolicy(IPolicy):
    """Optional stage of an ``IPolicy``: a transaction begins."""

    def mail(session: Session, envelope: Envelope) -> Verdict | Awaitable[Verdict]:
        """At MAIL; the envelope has no recipients yet."""


class IRecipientPolicy(IPolicy):
    """Optional stage of an ``IPolicy``: a recipient is named."""

    def recipient(
        session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict | Awaitable[Verdict]:
        """At each RCPT, after the address was resolved; ``envelope`` has those accepted so far."""


class IAcceptedPolicy(IPolicy):
    """Optional power of an ``IPolicy``: it is told what was kept."""

    def accepted(session: Session, envelope: Envelope) -> None:
        """The message, of which ``message`` was told, was committed; there is nothing to answer.
        ``envelope`` has no recipients where a policy had it discarded: nothing was kept then."""


class IRefusedPolicy(IPolicy):
    """Optional power of an ``IPolicy``: it is told what was refused."""

    def refused(session: Session, stage: str, reply: Reply) -> None:
        """Whoever decided it, the peer hears ``reply``, at ``connect``, ``helo``, ``auth``,
        ``mail``, ``rcpt``, ``data`` or ``message``; there is nothing to answer."""


class IDisconnectPolicy(IPolicy):
    """Optional power of an ``IPolicy``: it is told when a session ends."""

    def disconnected(session: Session) -> None:
        """The session, of which ``connect`` was told, has ended; there is nothing to answer."""


class IContent(Interface):
    """A received message that is not committed yet."""

    queue_id: str = Attribute("The id that it will have.")

    header: bytes = Attribute(
        "The header section as it was received, in wire format, final CRLF included."
    )
    added: bytes = Attribute("The fields that earlier policies put on top of it.")
    size: int = Attribute("Octets of the whole, as it will be kept.")

    def open() -> Awaitable[IMessageSource]:
        """Read the whole as it will be kept: without ``added``, and without fields of the header
        that pretend to be ours."""

    def open_body() -> Awaitable[IMessageSource]:
        """Read what follows the empty line; nothing where there is none."""


class IMessagePolicy(IPolicy):
    """Optional stage of an ``IPolicy``: the message is there."""

    def message(
        session: Session, envelope: Envelope, content: IContent
    ) -> Verdict | Awaitable[Verdict]:
        """After the end of the data, before the commit."""


class IRelayPermission(Interface):
    """Who may send mail to other people's domains through us.

    Not a policy: the SMTP server asks it for every recipient that is ``Elsewhere``, whatever
    policies are configured, so that no configuration makes an open relay.
    """

    def may_relay(session: Session) -> str | None:
        """Why the client may relay (``login``, ``network``, ``pop-before-smtp``), or None:
        refused with 550 5.7.1. Also decides who gets real answers from VRFY and EXPN."""

    def account(session: Session) -> str | None:
        """Whose leave it is: the login, or who fetched mail from there lately. None for networks,
        and for strangers."""
