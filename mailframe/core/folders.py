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
SEPARATOR = "/"

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
    flags: Flags
    modseq: int
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
    changed: Sequence[int] = ()
    """Flags changed. Never contains what arrived or vanished in the same commit."""
    vanished: Sequence[int] = ()
    highest_modseq: int = 0


class Recent(NamedTuple):
    """The uids that are ``\\Recent`` to a session that selects: ``first`` <= uid < ``end``."""

    first: int
    end: int


class FlagMode(enum.Enum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class FlagChange:
    mode: FlagMode
    flags: Flags


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """uids ascend; whoever is in none of the lists had these flags already."""

    changed: Sequence[int] = ()
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
    targets: Sequence[int]


@dataclass(frozen=True, slots=True)
class AppendOutcome:
    uid_validity: int
    uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """One line of a LIST."""

    name: str
    exists: bool = True
    """False: only a level above a folder, or a subscription to what is gone."""
    subscribed: bool = False
    special_use: frozenset[str] = frozenset()
    rights: str = "lrswipkxtea"
    """What the asking user may do (RFC 4314 section 2.1)."""
    mailbox_id: str = ""
    """RFC 8474; by it a rename is known. Empty: not told."""


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """STATUS of a folder (RFC 9051 section 6.3.11)."""

    messages: int
    uid_next: int
    uid_validity: int
    unseen: int
    deleted: int
    size: int
    """Octets of all messages."""
    recent: int
    highest_modseq: int
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """RFC 9208, with one root for the whole account. A limit of 0 is none."""

    octets: int
    octet_limit: int
    messages: int
    message_limit: int


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Prefixes, each ending in the separator; personal is the empty one (RFC 9051 6.3.10)."""

    personal: str = ""
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
    received: float | None = None
    """INTERNALDATE; None: now."""
