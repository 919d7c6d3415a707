"""A realm written for Twisted Mail as one whose avatars are ``IMailAccount``.

Asked for an ``IMailAccount``, it tries the realm with that, then with ``IMailboxPOP3``, then
with message delivery (a realm for submission only). A realm says which it does not have by
NotImplementedError, as twisted.cred's contract has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.mail import smtp
from twisted.mail.interfaces import IMailboxPOP3, IMessageDelivery, IMessageDeliveryFactory
from zope.interface import Interface, implementer

from mailframe.accounts.checker_chain import AvatarId
from mailframe.accounts.names import login_key
from mailframe.accounts.realm import Login
from mailframe.accounts.twisted_delivery import address_for_twisted
from mailframe.accounts.twisted_mailbox import Locks, TwistedMailbox
from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import IMailAccount, IMailbox, IWorkers
from mailframe.runtime.aio import as_deferred, result_of

_NO_MAILBOX = Reply(451, status.SYSTEM_NOT_CAPABLE, "This account has no mailbox")


@implementer(IRealm)
class TwistedMailRealm:
    def __init__(self, realm: IRealm, workers: IWorkers) -> None:
        self._realm = realm
        self._workers = workers
        self._locks = Locks()

    def requestAvatar(
        self, avatarId: AvatarId, mind: object, *interfaces: type[Interface]
    ) -> Deferred[Login]:
        return as_deferred(self._avatar(avatarId, mind, interfaces))

    async def _avatar(
        self, avatar_id: AvatarId, mind: object, interfaces: tuple[type[Interface], ...]
    ) -> Login:
        if IMailAccount not in interfaces:
            return await result_of(self._realm.requestAvatar(avatar_id, mind, *interfaces))
        for asked in (
            (IMailAccount,),
            (IMailboxPOP3,),
            (IMessageDeliveryFactory, IMessageDelivery),
        ):
            try:
                found = await result_of(self._realm.requestAvatar(avatar_id, mind, *asked))
            except NotImplementedError:
                continue
            if asked == (IMailAccount,):
                return found
            return self._adapted(avatar_id, found[0], found[1], found[2])
        raise NotImplementedError("the realm has no avatar that mail can use")

    def _adapted(
        self, avatar_id: AvatarId, kind: Any, avatar: object, logout: Callable[[], None]
    ) -> Login:
        pop3 = avatar if kind.isOrExtends(IMailboxPOP3) else None
        account = TwistedAccount(self._realm, avatar_id, pop3, self._locks, self._workers)
        return IMailAccount, account, logout


@implementer(IMailAccount)
class TwistedAccount:
    def __init__(
        self,
        realm: IRealm,
        avatar_id: AvatarId,
        pop3: object | None,
        locks: Locks,
        workers: IWorkers,
    ) -> None:
        self._realm = realm
        self._avatar_id = avatar_id
        self._pop3 = pop3
        self._locks = locks
        self._workers = workers
        self.name = _name(avatar_id)

    async def owns(self, address: Address) -> bool:
        """What the user's own delivery says in ``validateFrom``; without one, the login."""
        asked = (IMessageDeliveryFactory, IMessageDelivery)
        try:
            kind, avatar, logout = await result_of(
                self._realm.requestAvatar(self._avatar_id, None, *asked)
            )
        except NotImplementedError:
            return address.key == self.name
        delivery: Any = avatar
        try:
            if kind.isOrExtends(IMessageDeliveryFactory):
                delivery = await result_of(delivery.getMessageDelivery())
            await result_of(delivery.validateFrom((b"", b""), address_for_twisted(address)))
        except smtp.SMTPBadSender:
            return False
        finally:
            logout()
        return True

    def inbox(self) -> IMailbox:
        if self._pop3 is None:
            raise TransientFailure(_NO_MAILBOX, f"{self.name}: the realm has no IMailboxPOP3")
        return TwistedMailbox(self._pop3, self.name, self._locks, self._workers)

    def logout(self) -> None:
        """The realm's own logout is called by the authenticator."""


def _name(avatar_id: AvatarId | str) -> str:
    """An account name where the avatar id is one, else the id as text."""
    if not avatar_id or isinstance(avatar_id, tuple):
        return ""
    text = avatar_id.decode("utf-8", "replace") if isinstance(avatar_id, bytes) else avatar_id
    return login_key(text, "") or text
