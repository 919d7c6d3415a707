"""The spool: durable storage of messages between the 250 and their delivery."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from mailframe.core.envelope import Envelope
from mailframe.interfaces.mailbox import IMessageSource


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came in, kept with it for trace and bounces."""

    session_id: str = ""
    """Of the session, as in the journal; empty for mail that was written here."""
    peer_ip: str = ""
    """Empty for a Unix socket, and for mail that was written here."""
    helo: str = ""
    """What the client called itself, unchecked."""
    account: str | None = None
    """Who submitted it, None for mail from strangers."""
    protocol: str = ""
    """The ``with`` word of its Received field: ``ESMTPS``, ``LMTP``, ``DSN`` ..."""
    message_id: str = ""
    """The Message-ID header field with its angle brackets, empty if there was none."""
    extra: dict[str, str] = field(default_factory=dict)
    """What else is to be kept of it, as JSON: bounces have ``about``, the id of the message that
    they are about."""


class IIncoming(Interface):
    """One message on its way into the spool. Nothing is kept until ``commit`` fires."""

    queue_id: str = Attribute("The id it will have.")
    size: int = Attribute("Octets written so far.")

    def write(chunk: bytes) -> Deferred[None] | None:
        """Add wire-format octets. A Deferred asks the caller to wait before writing more;
        a failure of it is a TransientFailure (452 4.3.1 when the disk is full)."""

    def open() -> Awaitable[IMessageSource]:
        """Read what was written so far, for policies that look at the content."""

    def commit(envelope: Envelope, arrival: Arrival, prefix: bytes) -> Deferred[None]:
        """Make it durable with ``prefix`` (trace header fields) put before the content.

        Fires after the commit that survives a power cut: only then may the peer hear 250.
        A failure means that nothing was kept. All recipients must be in the envelope."""

    def abort() -> None:
        """Forget it; harmless after ``commit`` has fired or failed."""


class ISpool(Interface):
    """Where messages are kept until they are delivered, through any crash."""

    def begin(queue_id: str) -> IIncoming | Awaitable[IIncoming]:
        """Start a message. Raises TransientFailure (452 4.3.1) when there is no room."""


class IStoredMessage(Interface):
    """A committed message, as couriers see it."""

    queue_id: str = Attribute("Its id.")
    envelope: Envelope = Attribute("The envelope; of its recipients only those still open.")
    arrival: Arrival = Attribute("How it came in.")
    arrived: float = Attribute("When it was committed, seconds since the epoch.")
    size: int = Attribute("Octets in wire format, prefix included.")
    octets: bytes | None = Attribute("All of it, where that is in memory already.")

    def open() -> Awaitable[IMessageSource]:
        """Read it from the start."""


@dataclass(frozen=True, slots=True)
class FiledContent:
    """``prefix``, then all ``octets`` octets of the file at ``path``, in wire format."""

    prefix: bytes
    """Trace fields that are not in the file."""
    path: str
    """Absolute; to be read only."""
    octets: int
    """Of the file."""


class IFiledMessage(IStoredMessage):
    """Optional power of an ``IStoredMessage``: it lies in a file on the server's own disk, for
    whoever has a thread on which to read all of it at once. The file may be gone by then: that is
    ``MessageGone``, as it is where ``open`` finds that."""

    filed: FiledContent = Attribute("Where it is.")
