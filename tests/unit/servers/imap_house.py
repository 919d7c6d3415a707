"""An IMAP server in memory: an account with folders that have all powers, and a client."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.facts import Fact, MessageFacts
from mailframe.core.folders import (
    DELETED,
    SEEN,
    Annotation,
    AppendOutcome,
    CopyOutcome,
    FlagChange,
    FlagMode,
    FolderChange,
    FolderInfo,
    FolderReason,
    FolderStatus,
    MessageState,
    Namespaces,
    NewMessage,
    QuotaUse,
    Recent,
    StoreOutcome,
)
from mailframe.core.ids import IdSource
from mailframe.core.search import (
    All,
    And,
    Body,
    Dated,
    DateOf,
    HasFlag,
    Header,
    Larger,
    ModifiedSince,
    Not,
    Or,
    Received,
    SearchKey,
    Smaller,
    SortBy,
    SortCriterion,
    Text,
    ThreadAlgorithm,
    ThreadNode,
    UidIn,
    When,
)
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces import IWorkers
from mailframe.interfaces.folders import (
    IAccessControl,
    IAnnotations,
    IAppending,
    ICopying,
    IFolder,
    IFolderAccount,
    IFolderFacts,
    IFolders,
    IQuotas,
    ISearching,
    IStatuses,
    IVanished,
)
from mailframe.message.facts import read_facts
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.imap import ImapFactory, ImapLimits
from tests.unit.servers.pop3_house import Authenticator, Journal, Source, Tls, Transport
from tests.unit.servers.pop3_house import Recent as RecentFetches

__all__ = ["Client", "Folder", "Folders", "House", "Tls", "message"]

ALL_RIGHTS = "lrswipkxtea"
DAY = 86_400


def message(subject: str = "Hello", text: str = "Hello.\r\n", sender: str = "eve") -> bytes:
    return (
        f"From: {sender}@example.test\r\nTo: ann@example.test\r\nSubject: {subject}\r\n"
        f"Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@example.test>\r\n"
        f"\r\n{text}"
    ).encode()


@implementer(IFolder, IFolderFacts, IVanished, ICopying, ISearching)
class Folder:
    """One object for all sessions, as the interface allows."""

    def __init__(self, owner: Folders, name: str, number: int) -> None:
        self._owner = owner
        self.name = name
        self.rights = ALL_RIGHTS
        self.mailbox_id = f"F{number}"
        self.uid_validity = 1000 + number
        self.uid_next = 1
        self.highest_modseq = 1
        self.messages: dict[int, MessageState] = {}
        self.octets: dict[int, bytes] = {}
        self.gone: dict[int, int] = {}  # uid -> mod-sequence
        self.listeners: list[Callable[[FolderChange], None]] = []
        self.refreshed = 0
        self.opened: list[Source] = []
        self.breaks_at: dict[int, int] = {}
        self.missing: set[int] = set()  # listed, but cannot be read
        self._unclaimed = 1
        self.gate: Deferred[None] | None = None  # whatever is asked waits for it
        self.error: Exception | None = None  # raised by whatever is asked

    # what tests do

    def put(self, octets: bytes, *flags: str, received: int = 1_700_000_000) -> int:
        """A delivery."""
        uid = self._insert(octets, frozenset(flags), received)
        self._tell(arrived=[uid])
        return uid

    def mark(self, uid: int, *flags: str) -> None:
        """Another session's STORE: these flags and no others."""
        self.highest_modseq += 1
        self._set(uid, frozenset(flags))
        self._tell(changed=[uid])

    def take(self, *uids: int) -> None:
        """Another session's EXPUNGE."""
        self._remove(uids)

    def _insert(self, octets: bytes, flags: frozenset[str], received: int) -> int:
        uid = self.uid_next
        self.uid_next += 1
        self.highest_modseq += 1
        state = MessageState(
            uid, flags, self.highest_modseq, len(octets), received, int(self._owner.now())
        )
        self.messages[uid] = state
        self.octets[uid] = octets
        return uid

    def _set(self, uid: int, flags: frozenset[str]) -> None:
        state = self.messages[uid]
        self.messages[uid] = state._replace(flags=flags, modseq=self.highest_modseq)

    def _remove(self, uids: Sequence[int]) -> list[int]:
        there = sorted(uid for uid in uids if uid in self.messages)
        if there:
            self.highest_modseq += 1
            for uid in there:
                del self.messages[uid], self.octets[uid]
                self.gone[uid] = self.highest_modseq
            self._tell(vanished=there)
        return there

    def _tell(self, **change: Sequence[int]) -> None:
        told = FolderChange(highest_modseq=self.highest_modseq, **change)  # type: ignore[arg-type]
        for listener in list(self.listeners):
            listener(told)

    async def _stumble(self) -> None:
        if self.gate is not None:
            gate, self.gate = self.gate, None
            await gate
        if self.error is not None:
            raise self.error

    # IFolder

    async def refresh(self) -> None:
        self.refreshed += 1
        await self._stumble()

    def subscribe(self, listener: Callable[[FolderChange], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener) if listener in self.listeners else None

    @property
    def recent_from(self) -> int:
        return self._unclaimed

    async def claim_recent(self) -> Recent:
        claimed = Recent(self._unclaimed, self.uid_next)
        self._unclaimed = self.uid_next
        return claimed

    async def open(self, uid: int) -> Source:
        await self._stumble()
        if uid not in self.messages or uid in self.missing:
            raise MessageGone(str(uid))
        source = Source(self.octets[uid], self.breaks_at.get(uid))
        self.opened.append(source)
        return source

    async def store(
        self, uids: Sequence[int], change: FlagChange, unchanged_since: int | None = None
    ) -> StoreOutcome:
        await self._stumble()
        gone = [uid for uid in uids if uid not in self.messages]
        there = [uid for uid in uids if uid in self.messages]
        refused = [
            uid
            for uid in there
            if unchanged_since is not None and self.messages[uid].modseq > unchanged_since
        ]
        changed = []
        self.highest_modseq += 1
        for uid in there:
            before = self.messages[uid].flags
            after = _changed(before, change)
            if uid not in refused and after != before:
                self._set(uid, after)
                changed.append(uid)
        if changed:
            self._tell(changed=changed)
        else:
            self.highest_modseq -= 1
        return StoreOutcome(changed, refused, gone)

    async def expunge(self, uids: Sequence[int]) -> Sequence[int]:
        await self._stumble()
        return self._remove(uids)

    def receive(self) -> Appending:
        return Appending(self)

    # IFolderFacts

    async def facts(self, uids: Sequence[int], wanted: Fact) -> Mapping[int, MessageFacts]:
        await self._stumble()
        return {uid: read_facts(self.octets[uid]) for uid in uids if self._readable(uid)}

    async def contents(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        await self._stumble()
        return {uid: self.octets[uid] for uid in uids if self._readable(uid)}

    def _readable(self, uid: int) -> bool:
        return uid in self.messages and uid not in self.missing

    # IVanished

    async def vanished(self, since: int) -> Sequence[int]:
        return sorted(uid for uid, modseq in self.gone.items() if modseq > since)

    # ICopying

    async def copy(self, uids: Sequence[int], target: Folder) -> CopyOutcome:
        await self._stumble()
        sources = [uid for uid in uids if uid in self.messages]
        targets = []
        for uid in sources:
            state = self.messages[uid]
            targets.append(target._insert(self.octets[uid], state.flags, state.received))
        if targets:
            target._tell(arrived=targets)
        return CopyOutcome(target.uid_validity, sources, targets)

    async def move(self, uids: Sequence[int], target: Folder) -> CopyOutcome:
        outcome = await self.copy(uids, target)
        self._remove(outcome.sources)
        return outcome

    # ISearching: enough for tests of what is around it

    async def search(self, key: SearchKey) -> Sequence[int]:
        await self._stumble()
        return [uid for uid in self.messages if self._fits(key, uid)]

    async def sort(self, key: SearchKey, by: Sequence[SortCriterion]) -> Sequence[int]:
        found = list(await self.search(key))
        for criterion in reversed(by):
            found.sort(key=lambda uid: self._rank(uid, criterion.by), reverse=criterion.reverse)
        return found

    async def thread(self, key: SearchKey, algorithm: ThreadAlgorithm) -> Sequence[ThreadNode]:
        return [ThreadNode(uid) for uid in await self.search(key)]

    def _rank(self, uid: int, by: SortBy) -> Any:
        state = self.messages[uid]
        if by is SortBy.SIZE:
            return state.size
        if by is SortBy.ARRIVAL:
            return state.received
        name = by.value.removeprefix("DISPLAY").lower()
        return _field(self.octets[uid], name)

    def _fits(self, key: SearchKey, uid: int) -> bool:
        state, octets = self.messages[uid], self.octets[uid]
        match key:
            case All():
                return True
            case And(keys):
                return all(self._fits(each, uid) for each in keys)
            case Or(left, right):
                return self._fits(left, uid) or self._fits(right, uid)
            case Not(other):
                return not self._fits(other, uid)
            case UidIn(ranges):
                return any(first <= uid <= last for first, last in ranges)
            case HasFlag(flag):
                return flag.lower() in {each.lower() for each in state.flags}
            case Header(name, value):
                return value.lower() in _field(octets, name)
            case Text(value):
                return value.lower() in octets.decode().lower()
            case Body(value):
                return value.lower() in octets.partition(b"\r\n\r\n")[2].decode().lower()
            case Larger(size):
                return state.size > size
            case Smaller(size):
                return state.size < size
            case ModifiedSince(modseq):
                return state.modseq >= modseq
            case Received(before, since):
                return (before is None or state.received < before) and (
                    since is None or state.received >= since
                )
            case Dated(what, when, day):
                seconds = state.saved if what is DateOf.SAVED else state.received
                days = seconds // DAY - (day.toordinal() - 719_163)
                return {When.BEFORE: days < 0, When.ON: days == 0, When.SINCE: days >= 0}[when]
        raise AssertionError(f"the house cannot search for {key}")


def _field(octets: bytes, name: str) -> str:
    head = octets.partition(b"\r\n\r\n")[0].decode()
    found = re.search(rf"(?im)^{re.escape(name)}:(.*)$", head)
    return found[1].strip().lower() if found else ""


def _changed(before: frozenset[str], change: FlagChange) -> frozenset[str]:
    if change.mode is FlagMode.ADD:
        return before | change.flags
    return before - change.flags if change.mode is FlagMode.REMOVE else change.flags


@implementer(IAppending)
class Appending:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._messages: list[tuple[NewMessage, bytearray]] = []
        self.aborted = False

    async def begin(self, message: NewMessage, octets: int | None) -> None:
        if self._folder._owner.full:
            raise FolderRefused(FolderReason.OVER_QUOTA, "The mailbox is full")
        self._messages.append((message, bytearray()))

    async def write(self, chunk: bytes) -> None:
        self._messages[-1][1].extend(chunk)

    async def commit(self) -> AppendOutcome:
        await self._folder._stumble()
        uids = []
        for new, octets in self._messages:
            received = self._folder._owner.now() if new.received is None else new.received
            uids.append(self._folder._insert(bytes(octets), new.flags, int(received)))
        self._messages = []
        self._folder._tell(arrived=uids)
        return AppendOutcome(self._folder.uid_validity, uids)

    def abort(self) -> None:
        self.aborted = True
        self._messages = []


@implementer(IFolders, IStatuses, IQuotas, IAnnotations, IAccessControl)
class Folders:
    """The folders of ``ann``, across sessions."""

    namespaces = Namespaces(others="Other/")

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._serial = itertools.count(1)
        self.there: dict[str, Folder] = {}
        self.subscribed: set[str] = set()
        self.uses: dict[str, frozenset[str]] = {}
        self.acls: dict[str, dict[str, str]] = {}
        self.notes: dict[str, dict[str, bytes]] = {}
        self.watchers: list[Callable[[str], None]] = []
        self.full = False
        self.use: QuotaUse | None = QuotaUse(2_500, 10_240, 3, 100)
        self.error: Exception | None = None  # raised by ``all``
        self.add("INBOX")

    def add(self, name: str, *uses: str) -> Folder:
        folder = self.there[name] = Folder(self, name, next(self._serial))
        if uses:
            self.uses[name] = frozenset(uses)
        self._tell(name)
        return folder

    def _tell(self, *names: str) -> None:
        for watcher in list(self.watchers):
            for name in names:
                watcher(name)

    def _of(self, name: str) -> Folder:
        if name not in self.there:
            raise FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
        return self.there[name]

    async def all(self) -> Sequence[FolderInfo]:
        if self.error is not None:
            raise self.error
        names = set(self.there) | self.subscribed
        for name in list(self.there):
            while "/" in name:
                name = name.rpartition("/")[0]
                names.add(name)
        return [
            FolderInfo(
                name,
                name in self.there,
                name in self.subscribed,
                self.uses.get(name, frozenset()),
                self.there[name].rights if name in self.there else ALL_RIGHTS,
                self.there[name].mailbox_id if name in self.there else "",
            )
            for name in sorted(names)
        ]

    async def folder(self, name: str) -> Folder:
        return self._of(name)

    async def create(self, name: str, special_use: Collection[str] = ()) -> str:
        if name in self.there:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is one already")
        return self.add(name, *special_use).mailbox_id

    async def delete(self, name: str) -> None:
        folder = self._of(name)
        if name == "INBOX":
            raise FolderRefused(FolderReason.CANNOT, "INBOX stays")
        del self.there[name]
        folder._remove(list(folder.messages))
        self._tell(name)

    async def rename(self, old: str, new: str) -> None:
        folder = self._of(old)
        if new in self.there:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is one already")
        del self.there[old]
        folder.name = new
        self.there[new] = folder
        self._tell(old, new)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        (self.subscribed.add if subscribed else self.subscribed.discard)(name)
        self._tell(name)

    def watch(self, listener: Callable[[str], None]) -> Callable[[], None]:
        self.watchers.append(listener)
        return lambda: self.watchers.remove(listener) if listener in self.watchers else None

    async def status(self, name: str) -> FolderStatus:
        folder = self._of(name)
        if "r" not in folder.rights:
            raise FolderRefused(FolderReason.NO_PERMISSION, "Permission denied")
        states = folder.messages.values()
        return FolderStatus(
            messages=len(states),
            uid_next=folder.uid_next,
            uid_validity=folder.uid_validity,
            unseen=sum(SEEN not in state.flags for state in states),
            deleted=sum(DELETED in state.flags for state in states),
            size=sum(state.size for state in states),
            recent=folder.uid_next - folder._unclaimed,
            highest_modseq=folder.highest_modseq,
            mailbox_id=folder.mailbox_id,
        )

    async def quota(self, name: str) -> QuotaUse | None:
        self._of(name)
        return self.use

    async def annotations(self, name: str) -> Sequence[Annotation]:
        return [Annotation(entry, value) for entry, value in self.notes.get(name, {}).items()]

    async def annotate(self, name: str, annotations: Sequence[Annotation]) -> None:
        notes = self.notes.setdefault(name, {})
        for annotation in annotations:
            notes.pop(annotation.entry, None)
            if annotation.value is not None:
                notes[annotation.entry] = annotation.value

    async def acl(self, name: str) -> Sequence[tuple[str, str]]:
        return [("ann@example.test", self._of(name).rights), *self.acls.get(name, {}).items()]

    async def set_acl(self, name: str, identifier: str, rights: str, sign: str = "") -> None:
        entries = self.acls.setdefault(name, {})
        before = set(entries.pop(identifier, ""))
        after = {"+": before | set(rights), "-": before - set(rights), "": set(rights)}[sign]
        if after:
            entries[identifier] = "".join(right for right in ALL_RIGHTS if right in after)

    async def my_rights(self, name: str) -> str:
        return self._of(name).rights


@implementer(IFolderAccount)
class Account:
    def __init__(self, store: Store, name: str = "ann@example.test") -> None:
        self.name = name
        self._store = store

    def owns(self, address: Any) -> bool:
        return True

    def inbox(self) -> None:
        return None

    async def folders(self) -> Folders:
        self._store.stumble("folders")
        return self._store.folders

    def logout(self) -> None:
        self._store.logouts += 1


class Store:
    """What ``pop3_house.Authenticator`` wants, with folders."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.logins = self.logouts = 0
        self.error: Exception | None = None
        self.error_in = ""

    def stumble(self, where: str) -> None:
        if self.error is not None and self.error_in == where:
            raise self.error


class FolderAuthenticator(Authenticator):
    """Knows ``ann`` with the password ``secret``; ``account_class`` makes the avatar."""

    account_class: Callable[[Any], Any] = Account

    def _check(self, credentials: Any, session: Any) -> Deferred[Any]:
        checked: Deferred[Any] = super()._check(credentials, session)
        return checked.addCallback(lambda _: type(self).account_class(self.store))


@implementer(IWorkers)
class Workers:
    name = "test"

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        try:
            return succeed(function(*args))
        except Exception:
            return fail()


class House:
    def __init__(self, *messages: bytes, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.folders = options.pop("folders", None) or Folders(self.clock.seconds)
        self.inbox = self.folders.there["INBOX"]
        for octets in messages:
            self.inbox.put(octets)
        self.store = Store(self.folders)
        self.journal = Journal()
        self.recent = RecentFetches()
        self.authenticator = FolderAuthenticator(self.store, *options.pop("mechanisms", ()))
        serial = itertools.count()
        limits = options.pop("limits", None) or {}
        self.factory = ImapFactory(
            "mail.example.test",
            "imap",
            self.authenticator,
            journal=self.journal,
            ids=IdSource(self.clock.seconds, 7),
            nonces=lambda: f"nonce{next(serial)}",
            clock=self.clock,
            connections=options.pop("connections", ConnectionCounter(0, 0)),
            workers=Workers(),
            tls=options.pop("tls", None),
            recent=self.recent,
            limits=ImapLimits(**{"allow_plaintext": True, **limits}),
        )

    def client(self, *commands: str, login: bool = True) -> Client:
        """Logged in, having given ``commands``, all of which were OK."""
        client = Client(self)
        if login:
            client.ok("LOGIN ann secret")
        for command in commands:
            client.ok(command)
        return client


class Answer:
    """What came back for one command."""

    def __init__(self, octets: bytes, tag: bytes) -> None:
        self.octets = octets
        before, found, rest = octets.rpartition(b"\r\n" + tag + b" ")
        if not found:
            before, rest = b"", octets.removeprefix(tag + b" ")
        self.untagged = before + b"\r\n" if before else b""
        self.tagged = rest.removesuffix(b"\r\n").decode()

    @property
    def lines(self) -> list[str]:
        """Untagged lines, without their CRLF; octets of literals among them."""
        return self.untagged.decode("utf-8", "replace").split("\r\n")[:-1]

    @property
    def status(self) -> str:
        return self.tagged.partition(" ")[0]

    def having(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def __repr__(self) -> str:
        return f"<{self.octets!r}>"


class Client:
    def __init__(self, house: House) -> None:
        self.house = house
        self.protocol = house.factory.buildProtocol(None)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)
        self.greeting = self.heard()
        self._serial = itertools.count(1)
        self.tag = b""

    def do(self, command: str | bytes) -> Answer:
        """One command; its answer."""
        octets = command.encode() if isinstance(command, str) else command
        self.tag = b"t%d" % next(self._serial)
        return Answer(self.send(self.tag + b" " + octets + b"\r\n"), self.tag)

    def ok(self, command: str | bytes) -> Answer:
        answer = self.do(command)
        assert answer.status == "OK", answer
        return answer

    def no(self, command: str | bytes) -> Answer:
        answer = self.do(command)
        assert answer.status == "NO", answer
        return answer

    def bad(self, command: str | bytes) -> Answer:
        answer = self.do(command)
        assert answer.status == "BAD", answer
        return answer

    def append(self, folder: str, octets: bytes, before: str = "") -> Answer:
        """``before``: flags and date."""
        head = f"APPEND {folder} {before + ' ' if before else ''}{{{len(octets)}+}}\r\n"
        return self.do(head.encode() + octets)

    def send(self, octets: bytes) -> bytes:
        self.protocol.dataReceived(octets)
        return self.heard()

    def pushed(self) -> list[str]:
        """What comes without asking, when the reactor has had its turn."""
        self.house.clock.advance(0)
        return self.heard().decode().split("\r\n")[:-1]

    def heard(self) -> bytes:
        octets = self.transport.value()
        self.transport.clear()
        return octets

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting or self.transport.aborted

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))
