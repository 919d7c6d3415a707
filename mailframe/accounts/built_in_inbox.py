"""The built-in mailbox and folders for accounts of a realm that has users and keeps no mail.

Such a realm's avatars say None when they are asked for their inbox.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import Interface, directlyProvides, implementer, providedBy

from mailframe.accounts.checker_chain import AvatarId
from mailframe.accounts.realm import Login, OpenFolders, OpenMailbox
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IFolderAccount, IFolders, IMailAccount, IMailbox
from mailframe.runtime.aio import as_deferred, result_of

_INBOX_ONLY = Reply(550, status.SYSTEM_NOT_CAPABLE, "This account can be read by POP3 only")


@implementer(IRealm)
class BuiltInInboxes:
    """``open_mailbox(account)`` and ``open_folders(account)`` yield the mail of an account that
    keeps none of its own."""

    def __init__(self, realm: IRealm, open_mailbox: OpenMailbox, open_folders: OpenFolders) -> None:
        self._realm = realm
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders

    def requestAvatar(
        self, avatarId: AvatarId, mind: object, *interfaces: type[Interface]
    ) -> Deferred[Login]:
        return as_deferred(self._avatar(avatarId, mind, interfaces))

    async def _avatar(
        self, avatar_id: AvatarId, mind: object, interfaces: tuple[type[Interface], ...]
    ) -> Login:
        kind, avatar, logout = await result_of(
            self._realm.requestAvatar(avatar_id, mind, *interfaces)
        )
        if kind is IMailAccount:
            avatar = _Account(avatar, self._open_mailbox, self._open_folders)
        return kind, avatar, logout


class _Account:
    """Stands in for the avatar, with every interface that it provides."""

    def __init__(self, avatar: Any, open_mailbox: OpenMailbox, open_folders: OpenFolders) -> None:
        self._avatar = avatar
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders
        directlyProvides(self, providedBy(avatar), IFolderAccount)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._avatar, name)

    async def inbox(self) -> IMailbox:
        own: IMailbox | None = await result_of(self._avatar.inbox())
        return own if own is not None else await result_of(self._open_mailbox(self._avatar.name))

    async def folders(self) -> IFolders:
        if IFolderAccount.providedBy(self._avatar):
            return await result_of(self._avatar.folders())
        if await result_of(self._avatar.inbox()) is None:
            return await result_of(self._open_folders(self._avatar.name))
        raise PermanentFailure(_INBOX_ONLY, f"{self._avatar.name} has an inbox, and no folders")
