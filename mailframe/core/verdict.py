"""What a policy may answer: nothing to object, refuse, or accept with a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.authentication import NOT_CHECKED, Authentication
from mailframe.core.reply import Reply

FieldLine = tuple[str, str]
"""Name and value of a header field; the value may be folded with CRLF and a blank."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One thing that speaks for or against a message, for whoever adds them up."""

    name: str
    """``DNSBL``, ``SPF_FAIL``: upper case, stable, for headers and statistics."""
    weight: float
    """Points towards spam; below zero for ham."""
    detail: str = ""
    """Why, in a few words for people; empty for nothing to say."""


@dataclass(frozen=True, slots=True)
class Filing:
    """What is meant for one mailbox only, where a message goes to several."""

    account: str
    """Whose mailbox: ``Local.account``."""
    folder: str = ""
    """As of ``Tag``; empty: as for the others."""
    headers: tuple[FieldLine, ...] = ()
    """On top of this mailbox's copy."""


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """Of one field that the message has already."""

    name: str
    """In either case."""
    occurrence: int
    """Which of that name: from 1, counted from the top of what the policy saw, that is,
    ``content.added`` and below it the header as it will be kept."""
    value: str | None
    """As of ``FieldLine``; None: remove it."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is to become of the message and its envelope before it is committed."""

    header: tuple[HeaderChange, ...] = ()
    """All counted in the header as it was before the first of them."""
    body: bytes | None = None
    """Another body, in wire format; None: as it is."""
    sender: Address | None = None
    """Another reverse-path; None: as it is."""
    null_sender: bool = False
    """Make the reverse-path null; wins over ``sender``."""
    removed: tuple[Address, ...] = ()
    """Recipients, as the peer named them, who are not to get it."""
    removes_all: bool = False
    """All who are recipients by then are not to get it; ``added`` come after that."""
    added: tuple[Address, ...] = ()
    """Further recipients, resolved like any other; no right to relay is asked for."""
    may_discard: bool = False
    """Should nobody be left in the end, that is meant: the peer hears 250, and the message goes
    nowhere. Without it that is a mistake, and 451."""

    @property
    def changes_message(self) -> bool:
        """Not only the envelope."""
        return bool(self.header) or self.body is not None


@dataclass(frozen=True, slots=True)
class Tag:
    """Go on, but remember: ``headers`` are added on top of the message, outermost first."""

    reason: str
    """What was found, in a few words for the journal: ``pass example.org``."""
    headers: tuple[FieldLine, ...] = ()
    """Fields to put on top of the message."""
    folder: str = ""
    """File into this folder instead of the INBOX (``Junk``); the last policy to say so wins."""
    filings: tuple[Filing, ...] = ()
    """The same by mailbox; wins over ``folder``."""
    auth: Authentication | None = None
    """What this policy found out; later ones see it in ``session.found``."""
    symbols: tuple[Symbol, ...] = ()
    """For and against it; the ``content`` policy adds them up."""
    amendment: Amendment | None = None
    """Only of message policies."""


Verdict = Reply | Tag | None
"""A Reply refuses with 4yz or 5yz; None has nothing to say."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What policies have found out about the message under way so far."""

    auth: Authentication = NOT_CHECKED
    """Results of sender authentication, as far as they are known by then."""
    symbols: tuple[Symbol, ...] = ()
    """Of all policies so far, in their order."""
    is_amended: bool = False
    """Header or body will be others than policies see: what is signed now would be broken."""

    def plus(self, tags: Sequence[Tag]) -> Findings:
        """With what further policies found."""
        if not tags:
            return self
        auth, symbols, is_amended = self.auth, self.symbols, self.is_amended
        for tag in tags:
            if tag.auth is not None:
                auth = auth.merged(tag.auth)
            symbols += tag.symbols
            is_amended |= tag.amendment is not None and tag.amendment.changes_message
        return Findings(auth, symbols, is_amended)


NOTHING_FOUND = Findings()
"""Before any policy was asked."""
