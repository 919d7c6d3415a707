"""Every command of a client as a value: what was parsed, and nothing of how it is served.

A family of commands is a block; RFC numbers stand where it is not RFC 9051. Mailbox names
are decoded to Unicode here already; message sets are as the client wrote them, because only
the session knows what ``*``, ``$`` and a sequence number stand for.
"""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass

from mailframe.core.folders import FlagMode, Flags
from mailframe.core.search import (
    SearchKey,
    SortCriterion,
    ThreadAlgorithm,
)


@dataclass(frozen=True, slots=True)
class MessageSet:
    """``1:4,7,9:*``, or ``$`` (RFC 5182). Pairs as written; None stands for ``*``."""

    ranges: tuple[tuple[int | None, int | None], ...] = ()
    saved: bool = False
    """It is ``$``."""


# ---- any state, and getting in


@dataclass(frozen=True, slots=True)
class Noop: ...


@dataclass(frozen=True, slots=True)
class Logout: ...


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971; the pairs, or none for NIL."""

    parameters: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 5161; in upper case."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compress:
    """RFC 4978; DEFLATE is the only one there is."""


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """RFC 8437."""


# ---- folders


@dataclass(frozen=True, slots=True)
class KnownState:
    """What a client remembers: QRESYNC's parameter (RFC 7162 section 3.2.5)."""

    uid_validity: int
    modseq: int
    uids: tuple[tuple[int, int], ...] | None = None
    """Known uids, as ranges; None: not told."""
    matches: tuple[tuple[int, int], ...] = ()
    """Pairs of sequence number and uid that belonged together."""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT and EXAMINE."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    known: KnownState | None = None


@dataclass(frozen=True, slots=True)
class Create:
    mailbox: str
    special_use: tuple[str, ...] = ()
    """RFC 6154."""


@dataclass(frozen=True, slots=True)
class Delete:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE and UNSUBSCRIBE."""

    mailbox: str
    subscribed: bool


class StatusItem(enum.Enum):
    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    DELETED = "DELETED"
    SIZE = "SIZE"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    MAILBOXID = "MAILBOXID"
    APPENDLIMIT = "APPENDLIMIT"
    DELETED_STORAGE = "DELETED-STORAGE"
    """RFC 9208 section 5.3: octets of the messages marked ``\\Deleted``."""


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """RFC 5464 section 4.2, RFC 9590."""

    max_size: int | None = None
    depth: int | None = 0
    """None: infinity."""


@dataclass(frozen=True, slots=True)
class List:
    """LIST with RFC 5258, 5819, 6154, 8440 and 9590; LSUB too."""

    reference: str
    patterns: tuple[str, ...]
    lsub: bool = False
    extended: bool = False
    """Whether any option or a list of patterns was given: RFC 5258's rules hold."""
    only_subscribed: bool = False
    only_special_use: bool = False
    remote: bool = False
    recursive_match: bool = False
    return_subscribed: bool = False
    return_children: bool = False
    return_special_use: bool = False
    return_my_rights: bool = False
    return_status: tuple[StatusItem, ...] = ()
    return_metadata: tuple[str, ...] = ()
    metadata_options: MetadataOptions = MetadataOptions()


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Namespace: ...


# ---- quota (RFC 9208), access (RFC 4314), annotations (RFC 5464)


@dataclass(frozen=True, slots=True)
class GetQuota:
    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GetAcl:
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetAcl:
    mailbox: str
    identifier: str
    rights: str
    sign: str = ""
    """``+``, ``-`` or none: replace."""


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class ListRights:
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights:
    mailbox: str


@dataclass(frozen=True, slots=True)
class GetMetadata:
    mailbox: str
    """Empty: the server's."""
    entries: tuple[str, ...]
    options: MetadataOptions = MetadataOptions()


@dataclass(frozen=True, slots=True)
class SetMetadata:
    mailbox: str
    entries: tuple[tuple[str, bytes | None], ...]


# ---- within a folder


@dataclass(frozen=True, slots=True)
class Check: ...


@dataclass(frozen=True, slots=True)
class Close:
    expunge: bool
    """CLOSE; False: UNSELECT."""


@dataclass(frozen=True, slots=True)
class Expunge:
    uids: MessageSet | None = None
    """UID EXPUNGE; None: every message that is marked."""


class Item(enum.Enum):
    """FETCH items that are a value of the message; ``Section`` is the others."""

    FLAGS = "FLAGS"
    UID = "UID"
    INTERNALDATE = "INTERNALDATE"
    RFC822_SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    SAVEDATE = "SAVEDATE"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    PREVIEW = "PREVIEW"
    PREVIEW_LAZY = "PREVIEW (LAZY)"


class SectionKind(enum.Enum):
    """How a section's octets are asked for."""

    BODY = "BODY"
    BINARY = "BINARY"
    BINARY_SIZE = "BINARY.SIZE"
    RFC822 = "RFC822"
    RFC822_HEADER = "RFC822.HEADER"
    RFC822_TEXT = "RFC822.TEXT"


class SectionText(enum.Enum):
    ALL = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """``BODY.PEEK[1.2.HEADER.FIELDS (From)]<0.100>`` and its relatives.

    RFC822 is ``BODY[]``, RFC822.HEADER ``BODY.PEEK[HEADER]``, RFC822.TEXT ``BODY[TEXT]``: the
    parser sets ``text`` and ``peek`` so; ``kind`` remembers how to name the answer."""

    kind: SectionKind = SectionKind.BODY
    part: tuple[int, ...] = ()
    text: SectionText = SectionText.ALL
    fields: tuple[str, ...] = ()
    """Names as the client wrote them."""
    peek: bool = False
    partial: tuple[int, int] | None = None
    """First octet and number of octets."""


@dataclass(frozen=True, slots=True)
class Fetch:
    messages: MessageSet
    uid: bool
    items: tuple[Item | Section, ...]
    """Macros expanded; no item twice."""
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None
    """RFC 9394: ``PARTIAL 1:10``, negative from the end."""


@dataclass(frozen=True, slots=True)
class Store:
    messages: MessageSet
    uid: bool
    mode: FlagMode
    flags: Flags
    silent: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and MOVE."""

    messages: MessageSet
    uid: bool
    mailbox: str
    move: bool


# ---- searching


@dataclass(frozen=True, slots=True)
class NumbersIn:
    """A search key that only the session can resolve: sequence numbers, ``$``, UID with ``*``."""

    messages: MessageSet
    uid: bool


@dataclass(frozen=True, slots=True)
class IsRecent:
    """RECENT; NEW is RECENT UNSEEN, OLD is NOT RECENT."""


@dataclass(frozen=True, slots=True)
class YoungerThan:
    """YOUNGER and, negated, OLDER (RFC 5032): received less than so many seconds ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Both:
    """``core.search.And``, ``Or`` and ``Not`` over keys that are not resolved yet."""

    keys: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Either:
    left: Criterion
    right: Criterion


@dataclass(frozen=True, slots=True)
class Neither:
    key: Criterion


Criterion = SearchKey | NumbersIn | IsRecent | YoungerThan | Both | Either | Neither


class Return(enum.Enum):
    """RETURN options (RFC 4731, 5182, 5267, 9394)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"
    UPDATE = "UPDATE"
    CONTEXT = "CONTEXT"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True, slots=True)
class ReturnOptions:
    wanted: frozenset[Return] = frozenset()
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    criterion: Criterion
    uid: bool
    returns: ReturnOptions | None = None
    """None: the answer is ``* SEARCH``; RETURN () is ``ReturnOptions`` with ALL."""
    uses_modseq: bool = False
    """MODSEQ was among the keys: the answer has the highest of them (RFC 7162)."""
    source: Source | None = None
    """MULTISEARCH (RFC 7377): the command was ESEARCH."""


class Scope(enum.Enum):
    """Mailbox filters of RFC 5465 section 6 and RFC 7377 section 2.2."""

    SELECTED = "selected"
    SELECTED_DELAYED = "selected-delayed"
    PERSONAL = "personal"
    INBOXES = "inboxes"
    SUBSCRIBED = "subscribed"
    SUBTREE = "subtree"
    SUBTREE_ONE = "subtree-one"
    MAILBOXES = "mailboxes"


@dataclass(frozen=True, slots=True)
class Filter:
    scope: Scope
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where ESEARCH looks."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    by: tuple[SortCriterion, ...]
    criterion: Criterion
    uid: bool
    returns: ReturnOptions | None = None
    uses_modseq: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    algorithm: ThreadAlgorithm
    criterion: Criterion
    uid: bool
    uses_modseq: bool = False


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """RFC 5267 section 4.4."""

    tags: tuple[str, ...]


# ---- being told


@dataclass(frozen=True, slots=True)
class Idle: ...


class NotifyEvent(enum.Enum):
    """RFC 5465 section 5; the events that no server need have are refused by the parser's user."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    ANNOTATION_CHANGE = "AnnotationChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


@dataclass(frozen=True, slots=True)
class EventGroup:
    filter: Filter
    events: frozenset[NotifyEvent]
    """Empty: NONE."""
    fetch: tuple[Item | Section, ...] = ()
    """What to send with MessageNew in the selected mailbox."""


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET, or NOTIFY NONE without groups."""

    groups: tuple[EventGroup, ...]
    status: bool = False
    unknown_events: tuple[str, ...] = ()
    """Names that are no event of RFC 5465: NO [BADEVENT]."""


# ---- putting mail in: APPEND and REPLACE (RFC 3502, 4469, 8508) come in pieces, see ``events``


@dataclass(frozen=True, slots=True)
class Replaces:
    """REPLACE and UID REPLACE: the one message that goes when the new one has come."""

    number: int | None
    """None: ``*``."""
    uid: bool


@dataclass(frozen=True, slots=True)
class AppendOptions:
    """Of one message of an APPEND."""

    flags: Flags = frozenset()
    received: datetime.datetime | None = None


Command = (
    Noop
    | Logout
    | Id
    | Enable
    | Compress
    | Unauthenticate
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Status
    | Namespace
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | GetAcl
    | SetAcl
    | DeleteAcl
    | ListRights
    | MyRights
    | GetMetadata
    | SetMetadata
    | Check
    | Close
    | Expunge
    | Fetch
    | Store
    | Copy
    | Search
    | Sort
    | Thread
    | CancelUpdate
    | Idle
    | Notify
)
