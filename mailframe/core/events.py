"""Events: what a delivery to a mailbox rings, what its watchers hear, and what failed."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.reply import Reply


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


@dataclass(frozen=True, slots=True)
class MessagesMoved:
    """By a client, between two folders of its account. Whoever learns from what people do
    with their mail looks at the special uses: a move to or from ``\\Junk`` is a judgement."""

    account: str
    source: str
    target: str
    uids: tuple[int, ...]
    """In the target."""
    source_use: frozenset[str]
    """Special uses of the folders (RFC 6154)."""
    target_use: frozenset[str]


@dataclass(frozen=True, slots=True)
class MessagesCopied:
    """As MessagesMoved, by COPY: how clients move that do not know MOVE. They remove the
    originals afterwards, if that is what they are about."""

    account: str
    source: str
    target: str
    uids: tuple[int, ...]
    """In the target."""
    source_use: frozenset[str]
    target_use: frozenset[str]


MailboxEvent = MessageArrived | MessagesRemoved | MessagesMoved | MessagesCopied


@dataclass(frozen=True, slots=True)
class RecipientFailed:
    """A recipient of a message from somebody logged in, or of the server's own, was refused for
    good by the host that is responsible for it; not told of what expired, or what an administrator
    gave up."""

    account: str
    """Who sent it; empty: the server itself (``IOutbox``)."""
    recipient: Address
    reply: Reply
    queue_id: str
