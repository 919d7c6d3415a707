"""What became of one recipient in one attempt: one record for queue, bounce, journal, DSN."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply


class Outcome(enum.Enum):
    """The Action field of a DSN (RFC 3464 section 2.3.3) as far as attempts produce it."""

    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a host that does not offer DSN: no further word will come."""
    PASSED_ON = "passed-on"
    """Handed to a host that offers DSN and now owes the sender the reports."""
    EXPANDED = "expanded"
    """Sent on to the targets of an alias, which are recipients of their own."""
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One recipient's result. ``reply`` is the remote's words, or ours where none were heard."""

    recipient: Recipient
    """One of the batch."""
    outcome: Outcome
    """What is to become of the recipient: done, tried again, or bounced."""
    reply: Reply
    """2yz for what is done, 4yz for DEFERRED, 4yz or 5yz for FAILED."""
    remote: str = ""
    """Host name of the MTA that spoke, empty when none did (RFC 3464 section 2.3.5)."""
    remote_ip: str = ""
    """Address of that MTA; empty when none was reached."""
    detail: str = ""
    """For the journal only: TLS version, what exactly broke."""
    unknown: bool = False
    """It may have been delivered, although it is said to be deferred."""
