"""The folders of an account, in a dictionary, and the account as realms yield it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, MutableMapping, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.folders import (
    INBOX,
    SEPARATOR,
    FolderInfo,
    FolderReason,
    Namespaces,
)
from mailframe.errors import FolderRefused
from mailframe.interfaces import IFolder, IFolderAccount, IFolders, IMailbox
from mailframe.mailbox.mapped.folder import MappedFolder
from mailframe.mailbox.mapped.inbox import MappedInbox

MAX_FOLDERS = 1_000
_LONGEST_NAME = 255
_STRANGE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff*%]")


@implementer(IFolders)
class MappedFolders:
    """One for an account, shared by all its sessions. ``kind`` makes a folder, a class derived from
    ``MappedFolder`` or a function: it is called with ``name``, ``seconds`` and ``uid_validity``,
    and may open there what is kept elsewhere. ``seconds`` is the clock, since the epoch.
    ``folders``: those there are, by name; the INBOX is made where it is missing."""

    _log = Logger()

    def __init__(
        self,
        kind: Callable[..., MappedFolder],
        *,
        seconds: Callable[[], float],
        folders: MutableMapping[str, MappedFolder] | None = None,
    ) -> None:
        self.namespaces = Namespaces()
        self._kind = kind
        self._seconds = seconds
        self._last_validity = 0
        self._folders = {} if folders is None else folders
        self._subscribed: set[str] = {INBOX}
        self._uses: dict[str, frozenset[str]] = {}
        self._watchers: list[Callable[[str], None]] = []
        if INBOX not in self._folders:
            self._folders[INBOX] = self._made(INBOX)

    @property
    def inbox(self) -> MappedFolder:
        """Where mail is put: ``folders.inbox.add(content)``."""
        return self._folders[INBOX]

    # ---- IFolders

    async def all(self) -> Sequence[FolderInfo]:
        names = {*self._folders, *self._subscribed}
        names |= {above for name in tuple(names) for above in _above(name)}
        return [self._info(name) for name in sorted(names)]

    async def folder(self, name: str) -> IFolder:
        found: IFolder = self._find(_normal(name))
        return found

    async def create(self, name: str, special_use: Collection[str] = ()) -> str:
        name = _must_be_name(name)
        if name in self._folders:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is such a folder")
        wanted = [each for each in (*_above(name), name) if each not in self._folders]
        if len(self._folders) + len(wanted) > MAX_FOLDERS:
            raise FolderRefused(FolderReason.LIMIT, "There are too many folders")
        for each in wanted:
            self._folders[each] = self._made(each)
        if special_use:
            self._uses[name] = frozenset(special_use)
        self._tell(*wanted)
        return self._folders[name].mailbox_id

    async def delete(self, name: str) -> None:
        name = _normal(name)
        folder = self._find(name)
        if name == INBOX:
            raise FolderRefused(FolderReason.CANNOT, "INBOX stays")
        # sessions that have it open see that nothing is left
        await folder.expunge(list(folder.messages))
        del self._folders[name]
        self._uses.pop(name, None)
        self._tell(name)

    async def rename(self, old: str, new: str) -> None:
        old, new = _normal(old), _must_be_name(new)
        folder = self._find(old)
        if new in self._folders:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is such a folder")
        if new.startswith(old + SEPARATOR) and old != INBOX:
            raise FolderRefused(FolderReason.CANNOT, "A folder cannot be in itself")
        if old == INBOX:
            # RFC 9051 section 6.3.6: the mail moves, INBOX stays
            await self.create(new)
            states = list(folder.messages.values())
            self._folders[new].add_all(
                (folder.contents[state.uid], state.flags, state.received) for state in states
            )
            await folder.expunge([state.uid for state in states])
            return
        within = [name for name in self._folders if name.startswith(old + SEPARATOR)]
        moved = {name: new + name[len(old) :] for name in (old, *within)}
        if any(_is_too_long(target) or target in self._folders for target in moved.values()):
            raise FolderRefused(FolderReason.CANNOT, "A folder in it cannot be called so")
        missing = [above for above in _above(new) if above not in self._folders]
        for above in missing:
            self._folders[above] = self._made(above)
        for name, target in moved.items():
            self._folders[target] = self._folders.pop(name)
            self._folders[target].name = target
            # There may have been another folder of that name, with greater numbers.
            self._folders[target].uid_validity = self._validity()
            if (uses := self._uses.pop(name, None)) is not None:
                self._uses[target] = uses
        self._tell(*missing, *moved, *moved.values())

    async def subscribe(self, name: str, subscribed: bool) -> None:
        name = _must_be_name(name, inbox=True)
        if subscribed and name not in self._subscribed:
            if len(self._subscribed) >= MAX_FOLDERS:
                raise FolderRefused(FolderReason.LIMIT, "There are too many subscriptions")
            self._subscribed.add(name)
            self._tell(name)
        elif not subscribed and name in self._subscribed:
            self._subscribed.remove(name)
            self._tell(name)

    def watch(self, listener: Callable[[str], None]) -> Callable[[], None]:
        self._watchers.append(listener)

        def leave() -> None:
            if listener in self._watchers:
                self._watchers.remove(listener)

        return leave

    # ---- how

    def _find(self, name: str) -> MappedFolder:
        found = self._folders.get(name)
        if found is None:
            raise FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
        return found

    def _made(self, name: str) -> MappedFolder:
        return self._kind(name=name, seconds=self._seconds, uid_validity=self._validity())

    def _validity(self) -> int:
        """Greater than any before, whatever the clock says."""
        self._last_validity = max(int(self._seconds()), self._last_validity + 1)
        return self._last_validity

    def _info(self, name: str) -> FolderInfo:
        folder = self._folders.get(name)
        return FolderInfo(
            name,
            exists=folder is not None,
            subscribed=name in self._subscribed,
            special_use=self._uses.get(name, frozenset()),
            rights=folder.rights if folder is not None else MappedFolder.rights,
            mailbox_id=folder.mailbox_id if folder is not None else "",
        )

    def _tell(self, *names: str) -> None:
        for name in names:
            for watcher in list(self._watchers):
                try:
                    watcher(name)
                except Exception:  # noqa: BLE001 - one session's trouble is not another's
                    self._log.failure("a watcher of folders failed")


@implementer(IFolderAccount)
class MappedAccount:
    """The avatar: one for each login. ``addresses``: from where else than ``name`` its user may
    write, as ``Address.key`` spells them."""

    def __init__(self, name: str, folders: MappedFolders, addresses: Collection[str] = ()) -> None:
        self.name = name
        self._folders = folders
        self._addresses = frozenset([name, *addresses])

    def owns(self, address: Address) -> bool:
        """Asked at submission: of ``name`` and ``addresses`` only."""
        return address.key in self._addresses

    def inbox(self) -> IMailbox:
        """Another one for each session, of the same messages."""
        inbox: IMailbox = MappedInbox(self._folders.inbox)
        return inbox

    def folders(self) -> IFolders:
        folders: IFolders = self._folders
        return folders

    def logout(self) -> None:
        """Nothing is to be done."""


def _above(name: str) -> list[str]:
    """``a/b/c`` is in ``a`` and in ``a/b``."""
    parts = name.split(SEPARATOR)
    return [SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts))]


def _normal(name: str) -> str:
    """RFC 9051 section 5.1: INBOX however it is written."""
    return INBOX if name.upper() == INBOX else name


def _is_too_long(name: str) -> bool:
    return len(name) > _LONGEST_NAME


def _must_be_name(name: str, *, inbox: bool = False) -> str:
    name = _normal(name)
    if name == INBOX:
        if inbox:
            return name
        raise FolderRefused(FolderReason.ALREADY_EXISTS, "INBOX is always there")
    if _is_too_long(name) or _STRANGE.search(name) or not all(name.split(SEPARATOR)):
        raise FolderRefused(FolderReason.CANNOT, "No folder can have that name")
    return name
