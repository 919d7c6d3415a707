"""The realm over directory, user files and sources: account name in, ``IMailAccount`` out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from mailframe.accounts.directory import Directory
from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.names import login_key
from mailframe.accounts.sourced_resolver import Owning
from mailframe.accounts.sources import CANNOT_LOG_IN, Sources
from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import IFolderAccount, IFolders, IMailAccount, IMailbox
from mailframe.runtime.aio import as_deferred

OpenMailbox = Callable[[str], IMailbox | Awaitable[IMailbox]]
OpenFolders = Callable[[str], IFolders | Awaitable[IFolders]]
Login = tuple[type[Interface], object, Callable[[], None]]


@implementer(IFolderAccount)
class DirectoryAccount:
    def __init__(
        self,
        name: str,
        resolver: Owning,
        open_mailbox: OpenMailbox,
        open_folders: OpenFolders,
    ) -> None:
        self.name = name
        self._resolver = resolver
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders

    def owns(self, address: Address) -> Awaitable[bool]:
        return self._resolver.owns(self.name, address)

    def inbox(self) -> IMailbox | Awaitable[IMailbox]:
        return self._open_mailbox(self.name)

    def folders(self) -> IFolders | Awaitable[IFolders]:
        return self._open_folders(self.name)

    def logout(self) -> None:
        """Nothing is held: the mailbox's lock is the session's to give back."""


@implementer(IRealm)
class DirectoryRealm:
    """``open_mailbox(account)`` yields the INBOX, ``open_folders(account)`` all folders;
    ``resolver`` says which addresses are whose.

    A checker that is not the directory (a token, a strcred plugin) may prove who somebody is;
    the account itself has to be in the directory, a user file or one of the ``sources`` to
    receive mail, so a login without one fails.
    """

    def __init__(
        self,
        directory: Directory,
        open_mailbox: OpenMailbox,
        open_folders: OpenFolders,
        resolver: Owning,
        *,
        files: Sequence[FileChecker] = (),
        sources: Sources | None = None,
        default_domain: str = "",
    ) -> None:
        self._directory = directory
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders
        self._resolver = resolver
        self._files = files
        self._sources = sources if sources is not None else Sources()
        self._default_domain = default_domain

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[Login]:
        return as_deferred(self._avatar(avatarId, interfaces))

    async def _avatar(
        self, avatar_id: bytes | tuple[()], interfaces: tuple[type[Interface], ...]
    ) -> Login:
        if IMailAccount not in interfaces:
            raise NotImplementedError("this realm has IMailAccount avatars only")
        name = login_key(avatar_id, self._default_domain) if avatar_id else None
        name = await self._account(name) if name is not None else None
        if name is None:
            raise LoginFailed(f"no account for {avatar_id!r}")
        account = DirectoryAccount(name, self._resolver, self._open_mailbox, self._open_folders)
        return IMailAccount, account, account.logout

    async def _account(self, name: str) -> str | None:
        """The account that may be entered under that name; a source may have proved one of its
        other addresses."""
        user = await self._directory.user(name)
        if user is not None:
            return None if user.disabled else name
        for checker in self._files:
            if name in await checker.accounts():
                return name
        try:
            entry = await self._sources.account(name)
        except TransientFailure as error:
            raise TransientFailure(CANNOT_LOG_IN, error.detail) from error
        return entry.account if entry is not None and entry.is_enabled else None
