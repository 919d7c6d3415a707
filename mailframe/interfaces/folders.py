"""An account's folders, as IMAP and the web see them.

``IFolders`` and ``IFolder`` are what serving IMAP takes; everything below them is optional
power: a server asks ``providedBy`` and offers the capability accordingly. Names and values
are those of ``core.folders``.

What was refused raises ``FolderRefused`` with its reason (``NO [CODE]``); trouble that may
pass raises TransientFailure (``NO [UNAVAILABLE]``); anything else is our bug
(``NO [SERVERBUG]``). All of it happens on the reactor thread; whoever blocks uses workers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from zope.interface import Attribute, Interface

from mailframe.core.facts import Fact, MessageFacts
from mailframe.core.folders import (
    Annotation,
    AppendOutcome,
    CopyOutcome,
    FlagChange,
    FolderChange,
    FolderInfo,
    FolderStatus,
    MessageState,
    Namespaces,
    NewMessage,
    QuotaUse,
    Recent,
    StoreOutcome,
)
from mailframe.core.search import SearchKey, SortCriterion, ThreadAlgorithm, ThreadNode
from mailframe.interfaces.auth import IMailAccount
from mailframe.interfaces.mailbox import IMessageSource


class IFolderAccount(IMailAccount):
    """Optional power of an ``IMailAccount``: it has folders. IMAP logs in only those; POP3 needs no
    more than an inbox."""

    def folders() -> IFolders | Awaitable[IFolders]:
        """Called once an IMAP login."""


class IFolders(Interface):
    """All folders that one user can reach. INBOX is always there."""

    namespaces: Namespaces = Attribute("Where which folders are found.")

    def all() -> Awaitable[Sequence[FolderInfo]]:
        """Everything that can be listed, levels above included, sorted by name."""

    def folder(name: str) -> Awaitable[IFolder]:
        """For one session, or one command of it. It is not refreshed yet. Raises FolderRefused
        (NONEXISTENT)."""

    def create(name: str, special_use: Collection[str] = ()) -> Awaitable[str]:
        """With the levels above. ``special_use``: of ``SPECIAL_USES`` (RFC 6154). Returns its
        MAILBOXID. Raises FolderRefused (ALREADY_EXISTS, and CANNOT for a name that it does not
        keep)."""

    def delete(name: str) -> Awaitable[None]:
        """With its mail. Children stay. Raises FolderRefused (NONEXISTENT; INBOX is never
        deleted)."""

    def rename(old: str, new: str) -> Awaitable[None]:
        """Children move too. Of INBOX only the mail moves (RFC 9051 section 6.3.6). Raises
        FolderRefused (NONEXISTENT, ALREADY_EXISTS)."""

    def subscribe(name: str, subscribed: bool) -> Awaitable[None]:
        """Of any name that a folder could have, whether or not there is one."""

    def watch(listener: Callable[[str], None]) -> Callable[[], None]:
        """Hear names of folders that came, went, or were (un)subscribed, by whichever
        session. A rename tells both names. Returns the unsubscribe."""


class IFolder(Interface):
    """One folder. What it shows is shared by all sessions and changes only on the reactor
    thread, together with a call to every subscriber."""

    name: str = Attribute("As IMAP names it, from the user's point of view.")
    rights: str = Attribute("What this user may do (RFC 4314 section 2.1).")
    mailbox_id: str = Attribute("RFC 8474. Survives renames.")
    uid_validity: int = Attribute("Never goes back for a name.")
    uid_next: int = Attribute("Greater than every uid there ever was.")
    highest_modseq: int = Attribute("At least 1.")
    recent_from: int = Attribute("uids from here on are ``\\Recent`` to nobody yet.")
    messages: Mapping[int, MessageState] = Attribute(
        "By uid, ascending in iteration. Live: look, do not keep an iterator over an await."
    )

    def refresh() -> Awaitable[None]:
        """See what other programs did meanwhile. Cheap when they did nothing."""

    def subscribe(listener: Callable[[FolderChange], None]) -> Callable[[], None]:
        """Hear every change from now on. While somebody does, what other programs do is
        noticed by itself. Returns the unsubscribe."""

    def claim_recent() -> Awaitable[Recent]:
        """The session that selects read-write takes the ``\\Recent`` messages; nobody else
        gets them. (EXAMINE does not claim.)"""

    def open(uid: int) -> Awaitable[IMessageSource]:
        """Read a message from its start, off the reactor thread; whoever opens it closes it. Raises
        MessageGone."""

    def store(
        uids: Sequence[int], change: FlagChange, unchanged_since: int | None = None
    ) -> Awaitable[StoreOutcome]:
        """Durable when it returns. ``\\Recent`` never comes here."""

    def expunge(uids: Sequence[int]) -> Awaitable[Sequence[int]]:
        """Remove for good, durably; returns those that are gone now."""

    def receive() -> IAppending:
        """Begin to put messages in: APPEND. Nothing is there before its commit."""


class IAppending(Interface):
    """One or more messages on their way into a folder; all of them, or none."""

    def begin(message: NewMessage, octets: int | None) -> Awaitable[None]:
        """The next message; ``octets`` in wire format, where known. Raises FolderRefused
        (OVER_QUOTA)."""

    def write(chunk: bytes) -> Awaitable[None]:
        """More of it, in wire format."""

    def commit() -> Awaitable[AppendOutcome]:
        """Durable, and announced to all subscribers, when it returns."""

    def abort() -> None:
        """Forget all of it. Harmless after ``commit``, and when called twice."""


# ---- optional powers of an IFolder


class IFolderFacts(Interface):
    """Optional power of an ``IFolder``: it remembers what was read of its messages. Without it the
    server reads them each time."""

    def facts(uids: Sequence[int], wanted: Fact) -> Awaitable[Mapping[int, MessageFacts]]:
        """Of those that are there; a message that cannot be read is left out."""

    def contents(uids: Sequence[int]) -> Awaitable[Mapping[int, bytes]]:
        """Whole messages in wire format, in one go: the caller sees to their sizes. What
        cannot be read is left out."""


class IFolderHeaders(Interface):
    """Optional power of an ``IFolder``: it remembers header sections too, which lists of messages
    are made of."""

    def headers(uids: Sequence[int]) -> Awaitable[Mapping[int, bytes]]:
        """Header sections in wire format, with the empty line, ``LONGEST_HEADER``
        octets at most. What is longer, what is not remembered and what is not there is left
        out."""


class IVanished(Interface):
    """Optional power of an ``IFolder``: it remembers which uids went when (RFC 7162 QRESYNC).
    Without it a client is told of every uid that is not there."""

    def vanished(since: int) -> Awaitable[Sequence[int]]:
        """uids that were expunged after that mod-sequence, ascending; rather too many
        (any uid below ``uid_next`` that is not there) than too few."""


class ICopying(Interface):
    """Optional power of an ``IFolder``: it can copy and move to another folder of the same storage,
    without the server carrying the octets. Raises FolderRefused (OVER_QUOTA) before anything is
    done."""

    def copy(uids: Sequence[int], target: IFolder) -> Awaitable[CopyOutcome]:
        """All or none. What is gone meanwhile is left out. Flags and INTERNALDATE stay."""

    def move(uids: Sequence[int], target: IFolder) -> Awaitable[CopyOutcome]:
        """Each message is in one of the two folders at any time, whatever happens."""


class ISearching(Interface):
    """Optional power of an ``IFolder``: it can search and sort. Without it SEARCH reads every
    message, and SORT, THREAD and the capabilities that build on them are not offered."""

    def search(key: SearchKey) -> Awaitable[Sequence[int]]:
        """uids that match, ascending."""

    def sort(key: SearchKey, by: Sequence[SortCriterion]) -> Awaitable[Sequence[int]]:
        """uids that match, in that order; ties by uid."""

    def thread(key: SearchKey, algorithm: ThreadAlgorithm) -> Awaitable[Sequence[ThreadNode]]:
        """RFC 5256 section 3, over those that match."""


# ---- optional powers of an IFolders


class IStatuses(Interface):
    """Optional power of an ``IFolders``: it knows the STATUS of a folder without having it
    opened."""

    def status(name: str) -> Awaitable[FolderStatus]:
        """As it is now, what other programs did included."""


class IQuotas(Interface):
    """Optional power of an ``IFolders``: QUOTA (RFC 9208); one root, named ``""``, for all folders
    of an account."""

    def quota(name: str) -> Awaitable[QuotaUse | None]:
        """Of the account that owns the folder; None: no limit at all is kept."""


class IAnnotations(Interface):
    """Optional power of an ``IFolders``: METADATA (RFC 5464). ``name`` empty: the server's."""

    def annotations(name: str) -> Awaitable[Sequence[Annotation]]:
        """Every entry with a value that the user may see."""

    def annotate(name: str, annotations: Sequence[Annotation]) -> Awaitable[None]:
        """All or none. Raises FolderRefused, with RFC 5464's code where there are too many
        (``METADATA TOOMANY``) or one is too long (``METADATA MAXSIZE n``)."""


class IAccessControl(Interface):
    """Optional power of an ``IFolders``: ACL (RFC 4314). Identifiers are account names, ``anyone``,
    and ``-`` in front for negative rights."""

    def acl(name: str) -> Awaitable[Sequence[tuple[str, str]]]:
        """Identifier and rights, the owner's first."""

    def set_acl(name: str, identifier: str, rights: str, sign: str = "") -> Awaitable[None]:
        """``sign``: ``+`` gives the rights besides, ``-`` takes them, empty replaces; an entry
        without rights is none."""

    def my_rights(name: str) -> Awaitable[str]:
        """Of the user that asks."""
