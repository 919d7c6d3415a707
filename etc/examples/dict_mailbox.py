"""Users whose mail is in dictionaries, by POP3 and IMAP: ``[realm] class = "dict_mailbox:Realm"``,
with this file's directory on PYTHONPATH. All is gone when the server stops. Without the method
``search`` IMAP offers SORT and THREAD no more; SEARCH works all the same."""

from time import time  # noqa: TID251

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm
from zope.interface import implementer

from mailframe.core import reply, resolution, status
from mailframe.errors import LoginFailed, PermanentFailure
from mailframe.interfaces import IMailAccount, IMailStore, IRecipientResolver, MessageInfo
from mailframe.mailbox.mapped import MappedAccount, MappedFolder, MappedFolders

USERS = {b"ann@example.test": b"secret", b"bob@example.test": b"hidden"}
NOBODY = reply.Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")


class Folder(MappedFolder):
    async def search(self, key):
        return [uid for uid in self.messages if self.matches(uid, key)]


@implementer(IRealm, IRecipientResolver, IMailStore)
class Realm(InMemoryUsernamePasswordDatabaseDontUse):
    def __init__(self):
        self.users = USERS
        self.mail = {name.decode(): MappedFolders(Folder, seconds=time) for name in USERS}
        self.delivered = {}  # by token: what was kept, in case that it comes again

    def requestAvatar(self, avatarId, mind, *interfaces):
        name = avatarId.decode(errors="replace")
        if IMailAccount not in interfaces:
            raise NotImplementedError("accounts only")
        if name not in self.mail:
            raise LoginFailed("no such user")
        return IMailAccount, MappedAccount(name, self.mail[name]), lambda: None

    def resolve(self, address):  # Elsewhere() for other domains lets users write to them
        known = address.key in self.mail
        return resolution.Local(address.key) if known else resolution.Refused(NOBODY)

    async def room(self, account, octets):
        return True

    async def deliver(self, account, folder, message, prefix, token, repeats):
        if repeats and token in self.delivered:
            return self.delivered[token]
        if account not in self.mail:
            raise PermanentFailure(NOBODY)
        content, source = prefix, await message.open()
        try:
            while chunk := await source.read(1 << 20):
                content += chunk
        finally:
            source.close()
        uid = self.mail[account].inbox.add(content, received=message.arrived)
        self.delivered[token] = MessageInfo(str(uid), len(content), message.arrived)
        return self.delivered[token]
