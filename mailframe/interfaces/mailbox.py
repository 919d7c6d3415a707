"""Mailboxes: one folder of messages, as every protocol sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from zope.interface import Attribute, Interface

from mailframe.core.events import MailboxEvent


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """One message of a mailbox. Cheap: no message file is read to make it."""

    uid: str
    """Names the message for ever within its mailbox; 1 to 70 characters of 0x21 to 0x7E
    (RFC 1939 section 7)."""
    size: int
    """Octets in wire format: every line ends with CRLF."""
    received: float
    """Seconds since the epoch."""


class IMessageSource(Interface):
    """The bytes of one message in wire format, front to back, read off the reactor thread."""

    size: int = Attribute("Octets in wire format.")

    def read(octets: int) -> Awaitable[bytes]:
        """Up to ``octets`` more; empty at the end. Raises MessageGone where the file broke off."""

    def close() -> None:
        """Release the file; may be called twice, and while a read is under way."""


class IMailbox(Interface):
    """One folder, opened by one session: what POP3 serves, which asks an ``IMailAccount`` for it at
    each login, takes the lock, lists the messages once, and removes at QUIT what its client
    deleted. A TransientFailure of any of these becomes ``-ERR [SYS/TEMP]``, and so does anything
    that is our bug."""

    def lock() -> Awaitable[None]:
        """Take the exclusive lock of POP3 (RFC 1939 section 4). Raises MailboxBusy, for the client
        ``-ERR [IN-USE]``."""

    def unlock() -> Awaitable[None]:
        """Give it back; harmless when not held."""

    def messages() -> Awaitable[tuple[MessageInfo, ...]]:
        """A snapshot, oldest first. An unreadable entry is left out, never an error."""

    def open(uid: str) -> Awaitable[IMessageSource]:
        """Read one of them from its start; whoever opens it closes it. Raises MessageGone when it
        vanished since ``messages``."""

    def remove(uids: Collection[str]) -> Awaitable[frozenset[str]]:
        """Remove for good, durably. Returns those that are still there because it failed;
        one that is already gone counts as removed."""


class IReadsAhead(IMailbox):
    """Optional power of an ``IMailbox``: it may have read what its client will ask for next.
    Without it a server asks ``open``."""

    def at_hand(uid: str) -> bytes | None:
        """The whole message in wire format, once, where it is in memory already."""


class IMailboxEvents(Interface):
    """Who listens to mailboxes: IMAP IDLE, web pages, hooks."""

    def subscribe(
        listener: Callable[[MailboxEvent], None], account: str = "", *, here: bool = False
    ) -> Callable[[], None]:
        """Hear every event from now on, on the reactor thread; of one account, or of all.
        ``here``: only what this process did, for work that is to be done once however many
        processes serve. Returns the unsubscribe."""

    def publish(event: MailboxEvent) -> None:
        """Tell everybody. A listener that raises is logged and the others still hear."""
