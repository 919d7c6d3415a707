"""The envelope of a message: who sent it, for whom, and how the sender wants it treated."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mailframe.core.address import Address
from mailframe.core.resolution import Local


class Body(enum.Enum):
    """The BODY parameter of MAIL (RFC 6152 section 3, RFC 3030 section 3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Notify(enum.Enum):
    """One keyword of RCPT's NOTIFY (RFC 3461 section 4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Return(enum.Enum):
    """The RET parameter of MAIL (RFC 3461 section 4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path of one message with its DSN parameters."""

    address: Address
    """Where it is to go now: what the peer named, or what an alias made of it."""
    notify: frozenset[Notify] | None = None
    """None: not given, which means failure and, at our choice, delay (RFC 3461 section 4.1)."""
    orcpt: str | None = None
    """ORCPT as ``type;xtext-decoded address``, e.g. ``rfc822;Ann@example.org``."""
    original: Address | None = None
    """The address the peer named, where an alias made another one of it."""
    mailbox: Local | None = None
    """The mailbox here, decided when the recipient was accepted; None: relay it."""

    @property
    def is_expanded(self) -> bool:
        """An alias whose targets are recipients of their own: nothing is sent to it, only the
        sender is told that the message went on (RFC 3461 section 5.2.7.2)."""
        return self.mailbox is None and self.original == self.address

    def wants(self, event: Notify) -> bool:
        """Whether the sender wants to hear of this event (RFC 3461 section 5.2.1)."""
        if self.notify is None:
            return event in (Notify.FAILURE, Notify.DELAY)
        return event in self.notify


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything about a message that is not in the message."""

    reverse_path: Address | None
    """None is the null reverse-path ``<>``: never bounce this message."""
    recipients: tuple[Recipient, ...] = ()
    """In the order of RCPT."""
    body: Body = Body.SEVEN_BIT
    """What the sender said of the octets that it sends."""
    smtputf8: bool = False
    """Whether SMTPUTF8 was asked for: addresses and header may be UTF-8 (RFC 6531)."""
    ret: Return | None = None
    """How much of the message a bounce shall have; None: not given."""
    envid: str | None = None
    """ENVID, xtext-decoded."""
    declared_size: int | None = None
    """SIZE of MAIL in octets: a claim, not a fact (RFC 1870)."""
    extra: dict[str, str | None] = field(default_factory=dict)
    """MAIL parameters that policies or extensions defined, upper-case keyword -> value."""

    def to(self, recipients: tuple[Recipient, ...]) -> Envelope:
        """The same for others."""
        # As dataclasses.replace, which takes several times as long; asked for each message.
        return Envelope(
            self.reverse_path,
            recipients,
            self.body,
            self.smtputf8,
            self.ret,
            self.envid,
            self.declared_size,
            self.extra,
        )
