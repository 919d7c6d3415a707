"""Events: what a delivery to a mailbox rings, what its watchers hear, and what failed."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.reply import Reply


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """Sent after the message is durable in the mailbox, never before."""

    account: str
    """Whose mailbox: ``local-part@domain`` in lower case."""
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
    """Sent after they are gone."""

    account: str
    """Whose they were."""
    folder: str
    """Empty for the INBOX."""
    uids: tuple[str, ...]
    """As of ``MessageArrived.uid``."""


@dataclass(frozen=True, slots=True)
class MessagesMoved:
    """By a client, between two folders of its account. Whoever learns from what people do
    with their mail looks at the special uses: a move to or from ``\\Junk`` is a judgement."""

    account: str
    """Whose folders they are."""
    source: str
    """The folder that they were in."""
    target: str
    """The folder that they are in now."""
    uids: tuple[int, ...]
    """In the target."""
    source_use: frozenset[str]
    """Special uses of the folders (RFC 6154)."""
    target_use: frozenset[str]
    """As of ``source_use``."""


@dataclass(frozen=True, slots=True)
class MessagesCopied:
    """As MessagesMoved, by COPY: how clients move that do not know MOVE. They remove the
    originals afterwards, if that is what they are about."""

    account: str
    """Whose folders they are."""
    source: str
    """The folder that the originals are in."""
    target: str
    """The folder that the copies are in."""
    uids: tuple[int, ...]
    """In the target."""
    source_use: frozenset[str]
    """As of ``MessagesMoved``."""
    target_use: frozenset[str]
    """As of ``MessagesMoved``."""


MailboxEvent = MessageArrived | MessagesRemoved | MessagesMoved | MessagesCopied
"""All that ``IMailboxEvents`` tells of."""


@dataclass(frozen=True, slots=True)
class RecipientFailed:
    """A recipient of a message from somebody logged in, or of the server's own, was refused for
    good by the host that is responsible for it; not told of what expired, or what an administrator
    gave up."""

    account: str
    """Who sent it; empty: the server itself (``IOutbox``)."""
    recipient: Address
    """Who does not get it."""
    reply: Reply
    """The other host's words, 5yz."""
    queue_id: str
    """Of the message."""
