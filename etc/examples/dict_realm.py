"""A whole realm, logins and mail in dictionaries: ``[realm] class = "dict_realm:DictRealm"``,
with the directory of this file on PYTHONPATH. All is gone when the server stops."""

from hashlib import sha256
from io import BytesIO

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm
from twisted.mail.interfaces import IMailboxPOP3
from zope.interface import implementer

from mailframe.core import reply, resolution, status
from mailframe.interfaces import IMailStore, IRecipientResolver, MessageInfo

USERS = {b"ann@example.test": b"secret", b"bob@example.test": b"hidden"}
NOBODY = reply.Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")


@implementer(IMailboxPOP3)
class Mailbox(list):  # of messages in wire format; an empty one is deleted
    def listMessages(self, index=None):
        return [len(message) for message in self] if index is None else len(self[index])

    def getMessage(self, index):
        return BytesIO(self[index])

    def getUidl(self, index):
        return sha256(self[index]).hexdigest()

    def deleteMessage(self, index):
        self[index] = b""

    undeleteMessages = sync = lambda self: None  # deletions come only at QUIT


@implementer(IRealm, IRecipientResolver, IMailStore)
class DictRealm(InMemoryUsernamePasswordDatabaseDontUse):
    def __init__(self):
        self.users = USERS
        self.mailboxes = {name.decode(): Mailbox() for name in USERS}

    def requestAvatar(self, avatarId, mind, *interfaces):
        if IMailboxPOP3 not in interfaces:
            raise NotImplementedError("mailboxes only")
        return IMailboxPOP3, self.mailboxes[avatarId.decode()], lambda: None

    def resolve(self, address):  # Elsewhere() for other domains lets users write to them
        known = address.key in self.mailboxes
        return resolution.Local(address.key) if known else resolution.Refused(NOBODY)

    async def room(self, account, octets):
        return True

    async def deliver(self, account, folder, message, prefix, token, repeats):
        content, source = prefix, await message.open()
        while chunk := await source.read(1 << 20):
            content += chunk
        source.close()
        self.mailboxes[account].append(content)
        return MessageInfo(token, len(content), message.arrived)
