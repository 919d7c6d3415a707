"""Folders and what is in them, as IMAP, the web and extensions see an account's mail.

A folder is named as IMAP names it: ``INBOX``, or a path with ``/`` between the levels, in
plain Unicode. A message is named by its uid, a number that only grows within its folder
(RFC 9051 section 2.3.1.1). Every change of a folder has a mod-sequence (RFC 7162).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

INBOX = "INBOX"
"""The folder that every account has; its name in either case."""
SEPARATOR = "/"
"""Between the levels of a name."""

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
"""What a message may be marked with by everybody; ``\\Recent`` is a session's, not a flag here."""

JUNK = "\\Junk"
SPECIAL_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", JUNK, "\\Sent", "\\Trash")
"""RFC 6154, in its spelling."""

Flags = frozenset[str]
"""System flags in the spelling above, keywords as first written; compared without case."""


class MessageState(NamedTuple):
    """What is known of a message without reading it. One object may serve many sessions."""

    uid: int
    """Its number in the folder."""
    flags: Flags
    """All of them but ``\\Recent``."""
    modseq: int
    """Mod-sequence of its last change."""
    size: int
    """Octets in wire format (RFC822.SIZE)."""
    received: int
    """INTERNALDATE, seconds since the epoch."""
    saved: int
    """When it came into this folder (RFC 8514), seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FolderChange:
    """What happened to a folder in one commit; uids ascend."""

    arrived: Sequence[int] = ()
    """New messages."""
    changed: Sequence[int] = ()
    """Flags changed. Never contains what arrived or vanished in the same commit."""
    vanished: Sequence[int] = ()
    """Messages that are gone."""
    highest_modseq: int = 0
    """Of the folder, after it."""


class Recent(NamedTuple):
    """The uids that are ``\\Recent`` to a session that selects: ``first`` <= uid < ``end``."""

    first: int
    """The first such uid."""
    end: int
    """The uid after the last; equal to ``first`` for none."""


class FlagMode(enum.Enum):
    """What STORE does with the flags that it names."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One STORE, for any number of messages."""

    mode: FlagMode
    """Added, taken away, or in place of all others."""
    flags: Flags
    """Those that are named; may be empty."""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """uids ascend; whoever is in none of the lists had these flags already."""

    changed: Sequence[int] = ()
    """Whose flags are others now."""
    refused: Sequence[int] = ()
    """Modified since ``unchanged_since`` and therefore left alone (RFC 7162 MODIFIED)."""
    gone: Sequence[int] = ()
    """Not there any more."""


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """Which message became which: ``sources[n]`` is ``targets[n]`` in the other folder."""

    uid_validity: int
    """Of the target."""
    sources: Sequence[int]
    """Those that were copied or moved; what was gone is left out."""
    targets: Sequence[int]
    """What they became, one for each."""


@dataclass(frozen=True, slots=True)
class AppendOutcome:
    """Where new messages are (APPENDUID of RFC 9051 section 7.1)."""

    uid_validity: int
    """Of the folder."""
    uids: Sequence[int]
    """Of the messages, in the order in which they were put in."""


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """One line of a LIST."""

    name: str
    """As IMAP names it."""
    exists: bool = True
    """False: only a level above a folder, or a subscription to what is gone."""
    subscribed: bool = False
    """By the asking user."""
    special_use: frozenset[str] = frozenset()
    """Of ``SPECIAL_USES``."""
    rights: str = "lrswipkxtea"
    """What the asking user may do (RFC 4314 section 2.1)."""
    mailbox_id: str = ""
    """RFC 8474; by it a rename is known. Empty: not told."""


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """STATUS of a folder (RFC 9051 section 6.3.11)."""

    messages: int
    """How many there are."""
    uid_next: int
    """As of ``IFolder``."""
    uid_validity: int
    """As of ``IFolder``."""
    unseen: int
    """How many are not ``\\Seen``."""
    deleted: int
    """How many are ``\\Deleted``."""
    size: int
    """Octets of all messages."""
    recent: int
    """How many are ``\\Recent`` to nobody yet."""
    highest_modseq: int
    """As of ``IFolder``."""
    mailbox_id: str
    """As of ``IFolder``."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """RFC 9208, with one root for the whole account. A limit of 0 is none."""

    octets: int
    """That all messages of the account take."""
    octet_limit: int
    """That they may take."""
    messages: int
    """How many there are."""
    message_limit: int
    """How many there may be."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Prefixes, each ending in the separator; personal is the empty one (RFC 9051 6.3.10)."""

    personal: str = ""
    """What the user's own folders begin with."""
    others: str | None = None
    """Other users' folders: ``others`` + account + ``/`` + folder."""


class FolderReason(enum.Enum):
    """Why a folder operation was refused; the values are RFC 5530's response codes."""

    NONEXISTENT = "NONEXISTENT"
    ALREADY_EXISTS = "ALREADYEXISTS"
    CANNOT = "CANNOT"
    NO_PERMISSION = "NOPERM"
    OVER_QUOTA = "OVERQUOTA"
    LIMIT = "LIMIT"
    IN_USE = "INUSE"
    HAS_CHILDREN = "HASCHILDREN"
    USE_ATTRIBUTE = "USEATTR"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One METADATA entry (RFC 5464)."""

    entry: str
    """``/private/...`` or ``/shared/...`` in lower case."""
    value: bytes | None
    """None: it is not there, or shall not be any more."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What is told of a message that is put into a folder, before its octets."""

    flags: Flags = field(default_factory=frozenset)
    """Those that it has from the beginning."""
    received: float | None = None
    """INTERNALDATE; None: now."""
