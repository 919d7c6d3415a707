"""A mapping of uids to messages as a folder.

Messages are in ``contents``, the mapping, as octets in wire format; ``add`` puts one in and tells
every session; ``matches`` is what a search of one's own is made of.

Derive from it to search: a class with a method ``search`` provides ``ISearching``, and IMAP
offers SORT and THREAD; without it SEARCH still works, for the server looks at each message.

::

    class Folder(MappedFolder):
        async def search(self, key):
            return [uid for uid in self.messages if self.matches(uid, key)]

For messages that are kept elsewhere give it another mapping, say a
``collections.abc.MutableMapping`` over a table::

    class Rows(MutableMapping):
        def __init__(self, database):
            self._database = database

        def __getitem__(self, uid):
            row = self._database.execute("SELECT content FROM mail WHERE uid = ?", [uid]).fetchone()
            if row is None:
                raise KeyError(uid)
            return row[0]

        def __setitem__(self, uid, content): ...  # and __delitem__, __iter__, __len__

    folder = Folder(Rows(database), seconds=time)

It is asked on the reactor's thread and must answer at once; what cannot is a folder of one's own
(``IFolder``). What it has when the folder is made is in the folder, without flags and as if it had
arrived then; what is put into it later, past ``add``, nobody sees. A client takes the folder for
another one each time it is made, and fetches all of it again. So that it does not, give the same
``uid_validity`` each time, ``states`` that last as long as the mapping, and set ``uid_next`` and
``highest_modseq`` to what they were: no number may mean another message than before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import classImplements, implementer

from mailframe.core.folders import (
    INBOX,
    SYSTEM_FLAGS,
    FlagChange,
    FlagMode,
    Flags,
    FolderChange,
    MessageState,
    Recent,
    StoreOutcome,
)
from mailframe.core.search import SearchKey, SortCriterion, ThreadAlgorithm, ThreadNode
from mailframe.errors import MessageGone
from mailframe.interfaces import IAppending, IFolder, IMessageSource, ISearching
from mailframe.mailbox.mapped import looking
from mailframe.mailbox.mapped.appending import MappedAppending
from mailframe.mailbox.mapped.source import OctetSource

_SYSTEM = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@implementer(IFolder)
class MappedFolder:
    """``contents``: messages in wire format by uid, a dictionary unless given. It is asked on the
    reactor's thread. ``states`` are kept for as long as it is; those that are missing are made.
    ``seconds`` is the clock, since the epoch; ``uid_validity`` that time unless given; ``name`` is
    the folder's."""

    _log = Logger()

    rights = "lrswipkxte"
    """RFC 4314: all but to administer. Without ``i`` nothing can be appended."""

    def __init__(
        self,
        contents: MutableMapping[int, bytes] | None = None,
        *,
        seconds: Callable[[], float],
        states: MutableMapping[int, MessageState] | None = None,
        name: str = INBOX,
        uid_validity: int = 0,
    ) -> None:
        self.contents: MutableMapping[int, bytes] = {} if contents is None else contents
        """Messages in wire format, by uid. Read them here; put them in with ``add``."""
        self.messages: MutableMapping[int, MessageState] = {} if states is None else states
        """Flags, size and times of each, by uid."""
        self.name = name
        self.seconds = seconds
        """Since the epoch."""
        self.uid_validity = uid_validity or max(1, int(seconds()))
        about = f"{name}\0{self.uid_validity}".encode("utf-8", "replace")
        self.mailbox_id = "F" + hashlib.blake2b(about, digest_size=10).hexdigest()
        self.uid_next = max(self.contents, default=0) + 1
        self.highest_modseq = max([1, *(state.modseq for state in self.messages.values())])
        self.recent_from = 1
        self.held_by: object = None
        """The POP3 session that has the lock."""
        self._listeners: list[Callable[[FolderChange], None]] = []
        for uid in sorted(set(self.contents) - set(self.messages)):
            self._note(uid, frozenset(), None)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if callable(getattr(cls, "search", None)):
            classImplements(cls, ISearching)  # type: ignore[misc]  # for the plugin cls is none

    # ---- putting in

    def add(self, content: bytes, flags: Iterable[str] = (), received: float | None = None) -> int:
        """One more message, in wire format; all sessions hear of it. ``received``: when it arrived,
        in seconds since the epoch; now, unless given. Returns its uid."""
        return self.add_all([(content, frozenset(flags), received)])[0]

    def add_all(self, several: Iterable[tuple[bytes, Flags, float | None]]) -> Sequence[int]:
        """The same for several at once: content, flags and when it arrived of each."""
        uids = []
        for content, flags, received in several:
            uid = self.uid_next
            self.contents[uid] = content
            self.uid_next = uid + 1
            self._note(uid, _spelt(flags), received)
            uids.append(uid)
        if uids:
            self._tell(arrived=uids)
        return uids

    def receive(self) -> IAppending:
        receiving: IAppending = MappedAppending(self)
        return receiving

    def _note(self, uid: int, flags: Flags, received: float | None) -> None:
        now = int(self.seconds())
        self.highest_modseq += 1
        self.messages[uid] = MessageState(
            uid,
            flags,
            self.highest_modseq,
            len(self.contents[uid]),
            now if received is None else int(received),
            now,
        )

    # ---- IFolder

    async def refresh(self) -> None:
        """Nobody else changes it."""

    def subscribe(self, listener: Callable[[FolderChange], None]) -> Callable[[], None]:
        self._listeners.append(listener)

        def silence() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return silence

    async def claim_recent(self) -> Recent:
        recent = Recent(self.recent_from, self.uid_next)
        self.recent_from = self.uid_next
        return recent

    async def open(self, uid: int) -> IMessageSource:
        try:
            source: IMessageSource = OctetSource(self.contents[uid])
        except KeyError:
            raise MessageGone(f"{uid} of {self.name}") from None
        return source

    async def store(
        self, uids: Sequence[int], change: FlagChange, unchanged_since: int | None = None
    ) -> StoreOutcome:
        changed, refused, gone = [], [], []
        modseq = self.highest_modseq + 1
        for uid in uids:
            state = self.messages.get(uid)
            if state is None:
                gone.append(uid)
            elif unchanged_since is not None and state.modseq > unchanged_since:
                refused.append(uid)
            elif (flags := _changed(state.flags, change)) != state.flags:
                self.messages[uid] = state._replace(flags=flags, modseq=modseq)
                changed.append(uid)
        if changed:
            self.highest_modseq = modseq
            self._tell(changed=changed)
        return StoreOutcome(changed, refused, gone)

    async def expunge(self, uids: Sequence[int]) -> Sequence[int]:
        gone = sorted({uid for uid in uids if uid in self.messages})
        for uid in gone:
            del self.messages[uid]
            self.contents.pop(uid, None)
        if gone:
            self.highest_modseq += 1
            self._tell(vanished=gone)
        return gone

    def _tell(self, **what: Any) -> None:
        change = FolderChange(highest_modseq=self.highest_modseq, **what)
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception:  # noqa: BLE001 - one session's trouble is not another's
                self._log.failure("a listener of {folder} failed", folder=self.name)

    # ---- for a class that searches

    def matches(self, uid: int, key: SearchKey) -> bool:
        """Whether the message is what is searched for, by flags, dates, header and text; reads it
        only if it must. KeyError for a uid that is not there."""
        return looking.matches(self.messages[uid], lambda: self.contents[uid], key)

    async def sort(self, key: SearchKey, by: Sequence[SortCriterion]) -> Sequence[int]:
        """``ISearching.sort``, of what ``search`` of the derived class finds."""
        return looking.in_order(await self._found(key), by)

    async def thread(self, key: SearchKey, algorithm: ThreadAlgorithm) -> Sequence[ThreadNode]:
        """``ISearching.thread``, likewise."""
        return looking.threads(await self._found(key), algorithm)

    async def _found(self, key: SearchKey) -> list[tuple[MessageState, bytes]]:
        uids = await ISearching(self).search(key)
        return [(self.messages[uid], self.contents[uid]) for uid in uids]


def _spelt(flags: Iterable[str]) -> Flags:
    return frozenset(_SYSTEM.get(flag.lower(), flag) for flag in flags)


def _changed(before: Flags, change: FlagChange) -> Flags:
    """Flags are compared without case and stay as they were first written."""
    known = {flag.lower(): flag for flag in before}
    asked = {flag.lower(): flag for flag in _spelt(change.flags)}
    if change.mode is FlagMode.ADD:
        return frozenset({**asked, **known}.values())
    if change.mode is FlagMode.REMOVE:
        return frozenset(flag for lower, flag in known.items() if lower not in asked)
    return frozenset(known.get(lower, flag) for lower, flag in asked.items())
