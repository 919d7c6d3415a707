"""RCPT: whose address is it, may it come in, and who gets the message then.

Everything is decided while the client waits, so that nothing is accepted to bounce later.
Relaying is asked of ``IRelayPermission`` right here for every address that is not ours:
whatever the policies are, none of them can open a relay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Expanded, Local, Moved, Refused, Resolution
from mailframe.core.session import Role, Session
from mailframe.interfaces import IMailStore
from mailframe.runtime.aio import is_awaitable
from mailframe.servers.smtp_policies import Refusal, consult
from mailframe.servers.smtp_settings import SmtpParts
from mailframe.servers.smtp_transaction import AliasStep, Transaction

ACCEPTED = Reply(250, status.DESTINATION_VALID, "Recipient ok")
_RELAYING_DENIED = Reply(550, status.NOT_AUTHORIZED, "Relaying denied")
_MAILBOX_FULL = Reply(452, status.MAILBOX_FULL, "The mailbox is full")


async def admit(
    parts: SmtpParts, session: Session, transaction: Transaction, recipient: Recipient
) -> None:
    """Take the recipient into the transaction, or raise Refusal."""
    found: Any = parts.resolver.resolve(recipient.address)
    resolution: Resolution = await found if is_awaitable(found) else found
    _must_be_deliverable(parts, session, resolution)
    if parts.stages.recipient:
        facts = (session, transaction.envelope, recipient, resolution)
        asked = consult(parts.stages.recipient, transaction.marks, *facts)
        if asked is not None:
            await asked
    finals = final_recipients(recipient, resolution)
    if parts.store is not None:
        await _must_have_room(parts.store, transaction, finals)
    if isinstance(resolution, Expanded):
        targets = tuple(target.address for target in resolution.targets)
        transaction.aliases.append(AliasStep(recipient.address, targets))
    transaction.add(finals)


def _must_be_deliverable(parts: SmtpParts, session: Session, resolution: Resolution) -> None:
    if isinstance(resolution, Refused):
        raise Refusal(resolution.reply, "recipients")
    if isinstance(resolution, Moved):
        # RFC 5321 section 3.4
        text = f"User not local; please try <{resolution.to}>"
        raise Refusal(Reply(551, status.MAILBOX_MOVED, text), "recipients")
    # LMTP hands over mail for mailboxes here and never relays.
    if isinstance(resolution, Elsewhere) and (
        parts.role is Role.LMTP or parts.permission.may_relay(session) is None
    ):
        raise Refusal(_RELAYING_DENIED, "relay")


def final_recipients(recipient: Recipient, resolution: Resolution) -> list[Recipient]:
    """Who gets the message in the end, each with the DSN wishes of whom it stands for."""
    if isinstance(resolution, Local):
        return [Recipient(recipient.address, recipient.notify, recipient.orcpt, None, resolution)]
    if not isinstance(resolution, Expanded):
        return [recipient]
    # RFC 3461 section 5.2.7: what the sender called the recipient stays with it
    named = replace(
        recipient,
        original=recipient.address,
        orcpt=recipient.orcpt or _orcpt(recipient.address),
    )
    notify, reported = recipient.notify, []
    if len(resolution.targets) > 1 and notify is not None and Notify.SUCCESS in notify:
        # RFC 3461 section 5.2.7.2: one "expanded" report, and none of success about targets
        reported = [replace(named, notify=frozenset({Notify.SUCCESS}))]
        notify = (notify - {Notify.SUCCESS}) or frozenset({Notify.NEVER})
    targets = [
        replace(named, address=target.address, mailbox=target.mailbox, notify=notify)
        for target in resolution.targets
    ]
    return targets + reported


def _orcpt(address: Address) -> str:
    # RFC 6533 section 3
    return f"utf-8;{address}" if address.needs_utf8 else f"rfc822;{address}"


async def _must_have_room(
    store: IMailStore, transaction: Transaction, recipients: list[Recipient]
) -> None:
    """Only where there is one mailbox: of a list, one that is full is left to its delivery. What
    a program takes never comes to the store."""
    mailbox = recipients[0].mailbox if len(recipients) == 1 else None
    if mailbox is None or mailbox.courier:
        return
    room: Any = store.room(mailbox.account, transaction.declared_size)
    has_room: bool = await room if is_awaitable(room) else room
    if not has_room:
        raise Refusal(_MAILBOX_FULL, "quota")
