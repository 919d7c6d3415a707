"""Folders in memory and a conversation without an engine: for tests of single commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from zope.interface import directlyProvides, implementer

from mailframe.core.folders import (
    AppendOutcome,
    CopyOutcome,
    FlagChange,
    FlagMode,
    FolderChange,
    FolderInfo,
    FolderReason,
    MessageState,
    Namespaces,
    NewMessage,
    Recent,
    StoreOutcome,
)
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces.folders import IAppending, ICopying, IFolder
from mailframe.interfaces.mailbox import IMessageSource
from mailframe.interfaces.work import IWorkers
from mailframe.message.facts import read_facts
from mailframe.protocols.imap.view import SelectedView
from mailframe.runtime.aio import fired
from mailframe.servers.imap import ImapLimits
from mailframe.servers.imap_announce import tell, tell_followers
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_selected import Selected

START = 1_700_000_000
T = TypeVar("T")


@implementer(IWorkers)
class Here:
    name = "here"

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return maybeDeferred(function, *args)


@implementer(IMessageSource)
class Source:
    """``data`` is shorter than ``size``: the file breaks off."""

    def __init__(self, data: bytes, size: int) -> None:
        self.size = size
        self._data = data
        self._breaks_off = len(data) < size
        self.closed = False

    async def read(self, octets: int) -> bytes:
        chunk, self._data = self._data[:octets], self._data[octets:]
        if not chunk and self._breaks_off:
            raise MessageGone("broke off")
        return chunk

    def close(self) -> None:
        self.closed = True


@implementer(IFolder)
class MemoryFolder:
    """``octets`` of a uid None: it is listed and cannot be read."""

    def __init__(self, name: str = "INBOX", rights: str = "lrswipkxtea") -> None:
        self.name = name
        self.rights = rights
        self.mailbox_id = "M" + name
        self.uid_validity = 7
        self.uid_next = 1
        self.highest_modseq = 1
        self.messages: dict[int, MessageState] = {}
        self.octets: dict[int, bytes | None] = {}
        self.sources: list[Source] = []
        self.receiving: list[Receiving] = []
        self.stores: list[tuple[list[int], FlagChange]] = []
        self.listeners: list[Callable[[FolderChange], None]] = []
        self.cut: dict[int, int] = {}  # uid -> octets after which its file ends
        self.refuse_store: Exception | None = None
        self.quota = 10**9

    def put(
        self, data: bytes | None = b"Subject: x\r\n\r\nbody\r\n", *flags: str, at: int = START
    ) -> int:
        uid = self.uid_next
        self.uid_next += 1
        self.highest_modseq += 1
        size = len(data) if data is not None else 10
        state = MessageState(uid, frozenset(flags), self.highest_modseq, size, at, at)
        self.messages[uid] = state
        self.octets[uid] = data
        return uid

    def tell(self, **change: Sequence[int]) -> None:
        for listener in list(self.listeners):
            listener(FolderChange(highest_modseq=self.highest_modseq, **change))

    async def refresh(self) -> None:
        pass

    def subscribe(self, listener: Callable[[FolderChange], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    @property
    def recent_from(self) -> int:
        return self.uid_next

    async def claim_recent(self) -> Recent:
        return Recent(self.uid_next, self.uid_next)

    async def open(self, uid: int) -> Source:
        data = self.octets.get(uid)
        if data is None:
            raise MessageGone("gone")
        source = Source(data[: self.cut.get(uid)], len(data))
        self.sources.append(source)
        return source

    async def store(
        self, uids: Sequence[int], change: FlagChange, unchanged_since: int | None = None
    ) -> StoreOutcome:
        if self.refuse_store is not None:
            raise self.refuse_store
        self.stores.append((list(uids), change))
        changed, refused, gone = [], [], []
        for uid in uids:
            state = self.messages.get(uid)
            if state is None:
                gone.append(uid)
            elif unchanged_since is not None and state.modseq > unchanged_since:
                refused.append(uid)
            elif (flags := _changed(state.flags, change)) != state.flags:
                changed.append(uid)
                self.highest_modseq += 1
                self.messages[uid] = state._replace(flags=flags, modseq=self.highest_modseq)
        if changed:
            self.tell(changed=changed)
        return StoreOutcome(changed, refused, gone)

    async def expunge(self, uids: Sequence[int]) -> Sequence[int]:
        gone = [uid for uid in uids if self.messages.pop(uid, None)]
        for uid in gone:
            del self.octets[uid]
        self.highest_modseq += bool(gone)
        if gone:
            self.tell(vanished=gone)
        return gone

    def receive(self) -> Receiving:
        self.receiving.append(Receiving(self))
        return self.receiving[-1]


def _changed(flags: frozenset[str], change: FlagChange) -> frozenset[str]:
    if change.mode is FlagMode.ADD:
        return flags | change.flags
    return flags - change.flags if change.mode is FlagMode.REMOVE else change.flags


@implementer(IAppending)
class Receiving:
    def __init__(self, folder: MemoryFolder) -> None:
        self._folder = folder
        self._came: list[tuple[NewMessage, bytes]] = []
        self.aborted = False

    async def begin(self, message: NewMessage, octets: int | None) -> None:
        if octets is not None and octets > self._folder.quota:
            raise FolderRefused(FolderReason.OVER_QUOTA, "full")
        self._came.append((message, b""))

    async def write(self, chunk: bytes) -> None:
        message, data = self._came[-1]
        self._came[-1] = (message, data + chunk)

    async def commit(self) -> AppendOutcome:
        folder = self._folder
        uids = []
        for message, data in self._came:
            at = int(message.received) if message.received is not None else START
            uids.append(folder.put(data, *message.flags, at=at))
        self._came = []
        folder.tell(arrived=uids)
        return AppendOutcome(folder.uid_validity, uids)

    def abort(self) -> None:
        self.aborted = True


@implementer(ICopying)
class CopyingFolder(MemoryFolder):
    async def copy(self, uids: Sequence[int], target: Any) -> CopyOutcome:
        if not isinstance(target, CopyingFolder):
            raise FolderRefused(FolderReason.CANNOT, "another storage")
        there = [uid for uid in uids if uid in self.messages]
        new = [target.put(self.octets[u], *self.messages[u].flags) for u in there]
        target.tell(arrived=new)
        return CopyOutcome(target.uid_validity, there, new)

    async def move(self, uids: Sequence[int], target: Any) -> CopyOutcome:
        done = await self.copy(uids, target)
        await self.expunge(done.sources)
        return done


class MemoryFolders:
    """As much of IFolders as commands within a folder need."""

    namespaces = Namespaces()

    def __init__(self, *folders: MemoryFolder) -> None:
        self.by_name = {folder.name: folder for folder in folders}
        self.subscribed: Collection[str] = ()

    async def all(self) -> Sequence[FolderInfo]:
        names = sorted(self.by_name)
        return [FolderInfo(name, subscribed=name in self.subscribed) for name in names]

    async def folder(self, name: str) -> MemoryFolder:
        if name not in self.by_name:
            raise FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
        return self.by_name[name]


class Engine:
    def __init__(self) -> None:
        self.enabled: set[str] = set()
        self.utf8 = False
        self.answers: list[Any] = []

    def enable(self, names: Collection[str]) -> None:
        self.enabled |= set(names)

    def proceed(self) -> None:
        self.answers.append("proceed")

    def finish(self, status: Any, text: str, code: str = "") -> None:
        self.answers.append((status.name, code, text))


class Factory:
    def __init__(self, limits: ImapLimits) -> None:
        self.limits = limits
        self.clock = Clock()
        self.clock.advance(START)
        self.workers = Here()


class Talk(Conversation):
    """What commands see of a conversation. ``sent`` is what they said."""

    def __init__(
        self, *folders: MemoryFolder, read_only: bool = False, limits: ImapLimits | None = None
    ) -> None:
        self.engine: Any = Engine()
        self.factory: Any = Factory(limits or ImapLimits())
        self.account = MemoryFolders(*folders)
        self.notification = None
        self.tag = "A1"
        self.sent = b""
        self.rooms = 0
        self.aborted = ""
        self.recorded: list[Any] = []
        self.on_room: Callable[[], None] = lambda: None
        folder = folders[0]
        self.selected: Selected | None = Selected(folder, SelectedView(folder.messages), read_only)
        self.selected.keywords |= {"work", "x"}  # as if SELECT had told them
        folder.subscribe(self.selected.note)

    @property
    def folders(self) -> Any:
        return self.account

    def send(self, octets: bytes) -> None:
        self.sent += octets

    async def room(self) -> None:
        self.rooms += 1
        self.on_room()

    async def while_there(self, work: Deferred[T]) -> T:
        return await work

    def abort(self, reason: str) -> None:
        self.aborted = reason

    def announce(self, *, expunges: bool) -> None:
        assert self.selected is not None
        tell(self, self.selected, self.selected.view.drain(expunges=expunges))

    def count(self, messages: int, octets: int) -> None:
        pass

    def count_removed(self, messages: int) -> None:
        pass

    def record(self, step: str, result: str = "", **detail: Any) -> None:
        self.recorded.append((step, result, detail))

    def log_bug(self) -> None:
        raise AssertionError("a bug was logged")

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a command; its outcome. What it said is in ``lines``."""
        self.sent = b""
        return fired(Deferred.fromCoroutine(work))

    @property
    def lines(self) -> list[bytes]:
        return self.sent.split(b"\r\n")[:-1]

    async def update(self) -> None:
        """What the conversation tells after a command."""
        await self.tell_news(expunges=True)

    async def tell_news(self, *, expunges: bool) -> None:
        self.announce(expunges=expunges)
        assert self.selected is not None
        await tell_followers(self, self.selected)


def with_facts(folder: MemoryFolder) -> MemoryFolder:
    """Let it remember facts and yield contents in one go."""
    from mailframe.interfaces.folders import IFolderFacts

    async def facts(uids: Sequence[int], wanted: Any) -> dict[int, Any]:
        there = {uid: folder.octets.get(uid) for uid in uids}
        return {uid: read_facts(data) for uid, data in there.items() if data is not None}

    async def contents(uids: Sequence[int]) -> dict[int, bytes]:
        there = {uid: folder.octets.get(uid) for uid in uids}
        return {uid: data for uid, data in there.items() if data is not None}

    folder.facts = facts  # type: ignore[attr-defined]
    folder.contents = contents  # type: ignore[attr-defined]
    directlyProvides(folder, IFolderFacts)
    return folder


def with_headers(folder: MemoryFolder, longest: int = 100) -> MemoryFolder:
    """Let it remember header sections too; longer ones it does not."""
    from mailframe.interfaces.folders import IFolderFacts, IFolderHeaders

    async def headers(uids: Sequence[int]) -> dict[int, bytes]:
        found = {}
        for uid in uids:
            header, blank, _ = folder.octets.get(uid, b"").partition(b"\r\n\r\n")
            if blank and len(header) <= longest:
                found[uid] = header + blank
        return found

    with_facts(folder)
    folder.headers = headers  # type: ignore[attr-defined]
    directlyProvides(folder, IFolderFacts, IFolderHeaders)
    return folder
