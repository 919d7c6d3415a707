"""Events of mailboxes: what a delivery rings, and what watchers hear."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """Sent after the message is durable in the mailbox, never before."""

    account: str
    folder: str
    """Empty for the INBOX."""
    uid: str
    """The mailbox's own id of the message (``MessageInfo.uid``)."""
    message_id: str
    """Our queue id, empty where the message did not come through the queue."""
    size: int
    """Octets in wire format."""


@dataclass(frozen=True, slots=True)
class MessagesRemoved:
    account: str
    folder: str
    uids: tuple[str, ...]


MailboxEvent = MessageArrived | MessagesRemoved
