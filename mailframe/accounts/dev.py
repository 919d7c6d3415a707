"""``mailframe dev``: every address is a mailbox here, and the password is ``dev``.

Nothing leaves the machine because nothing is elsewhere. SCRAM and APOP work as well, so that
any mail program can be tried.
"""

from __future__ import annotations

import hmac
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import (
    ICredentials,
    IUsernameHashedPassword,
    IUsernamePassword,
)
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, execute
from zope.interface import Interface, implementer

from mailframe.accounts.names import domain_key, fold, login_key
from mailframe.accounts.realm import Login, OpenFolders, OpenMailbox
from mailframe.core import status
from mailframe.core.address import Address, AddressError
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local, Refused, Resolution
from mailframe.core.scram import ScramVerifier
from mailframe.errors import LoginFailed
from mailframe.interfaces import (
    IFolderAccount,
    IMailAccount,
    IRecipientResolver,
    IScramVerifiers,
    IVerifiedIdentity,
)

PASSWORD = b"dev"
DOMAIN = "localhost"
_BAD_DOMAIN = Reply(550, status.BAD_DESTINATION_SYSTEM, "No such domain can exist")


@implementer(IRecipientResolver)
class DevResolver:
    """Each address is an account of its own, plus-addresses too."""

    def resolve(self, address: Address) -> Resolution:
        try:
            return Local(f"{fold(address.local_part)}@{domain_key(address.domain or DOMAIN)}")
        except AddressError:
            return Refused(_BAD_DOMAIN)


@implementer(ICredentialsChecker, IScramVerifiers)
class DevChecker:
    """Anybody who says ``dev``; a bare name is one at ``localhost``."""

    credentialInterfaces = (IUsernamePassword, IUsernameHashedPassword, IVerifiedIdentity)

    def __init__(self) -> None:
        # The password is public, so the salt may be; few iterations keep the tests fast.
        self._verifier = ScramVerifier.derive(PASSWORD, b"mailframe develop", 4096)

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        return execute(self._check, credentials)

    def scram_verifier(self, login: str) -> ScramVerifier | None:
        return self._verifier

    def _check(self, credentials: Any) -> bytes:
        account = login_key(credentials.username, DOMAIN)
        if account is None:
            raise LoginFailed("not a name that an account can have")
        if not _is_right(credentials):
            raise LoginFailed("the password is dev")
        return account.encode()


def _is_right(credentials: Any) -> bool:
    if IVerifiedIdentity.providedBy(credentials):
        return True
    if IUsernamePassword.providedBy(credentials):
        return hmac.compare_digest(credentials.password, PASSWORD)
    return bool(credentials.checkPassword(PASSWORD))


@implementer(IFolderAccount)
class DevAccount:
    def __init__(self, name: str, open_mailbox: OpenMailbox, open_folders: OpenFolders) -> None:
        self.name = name
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders

    def owns(self, address: Address) -> bool:
        """Whoever tries out a program writes from whatever address the program has."""
        return True

    def inbox(self) -> Any:
        return self._open_mailbox(self.name)

    def folders(self) -> Any:
        return self._open_folders(self.name)

    def logout(self) -> None:
        """Nothing is held."""


@implementer(IRealm)
class DevRealm:
    def __init__(self, open_mailbox: OpenMailbox, open_folders: OpenFolders) -> None:
        self._open_mailbox = open_mailbox
        self._open_folders = open_folders

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Login:
        if IMailAccount not in interfaces:
            raise NotImplementedError("this realm has IMailAccount avatars only")
        name = login_key(avatarId, DOMAIN) if avatarId else None
        if name is None:
            raise LoginFailed("nobody is anonymous here")
        account = DevAccount(name, self._open_mailbox, self._open_folders)
        return IMailAccount, account, account.logout
