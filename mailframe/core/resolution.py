"""Answers of an ``IRecipientResolver``: what an address means to this system."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.verdict import FieldLine


@dataclass(frozen=True, slots=True)
class Local:
    """A mailbox here."""

    account: str
    """Canonical name of the account, ``local-part@domain`` in lower case."""
    folder: str = ""
    """Folder to file into; empty for the INBOX."""
    headers: tuple[FieldLine, ...] = ()
    """Fields on top of this mailbox's copy."""
    courier: str = ""
    """Who takes the mail instead of the mail store: the name of an ``ICourier``, asked with
    ``account`` as its next hop. What it cannot take before the queue's time is over is kept for
    the administrator and not bounced: the fault is in this house."""


@dataclass(frozen=True, slots=True)
class Target:
    """One final destination of an alias: a mailbox here, or an address elsewhere."""

    address: Address
    """Of the mailbox here, or elsewhere."""
    mailbox: Local | None
    """None: elsewhere."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """An alias or list: deliver to these instead, all aliases already followed."""

    targets: tuple[Target, ...]
    """Where it goes."""
    is_list: bool = False
    """Whether EXPN may name the members and VRFY says so."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Not here any more; ``to`` is the forwarding address for a 551 (RFC 5321 section 3.4)."""

    to: Address
    """Where the person is now."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not one of our domains: needs relaying, hence permission to relay."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One of our domains, but this address takes no mail: ``reply`` says why (4xx or 5xx)."""

    reply: Reply
    """What the peer hears."""


Resolution = Local | Expanded | Moved | Elsewhere | Refused
"""All that an ``IRecipientResolver`` may answer."""
