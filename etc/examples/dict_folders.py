"""``dict_realm`` with IMAP: what each user has is an INBOX, in a dictionary, which POP3 and IMAP
share. ``[realm] class = "dict_folders:Realm"``, with this file's directory on PYTHONPATH."""

from io import BytesIO
from time import time  # noqa: TID251

from dict_realm import USERS, DictRealm
from zope.interface import implementer

from mailframe import interfaces
from mailframe.core import folders as f
from mailframe.errors import FolderRefused, MessageGone


async def nothing(self, *arguments):
    pass  # no lock, no other program to look after, nothing to take back


def refuse(self, *arguments):
    raise FolderRefused(f.FolderReason.CANNOT, "There is an INBOX here, and nothing else")


@implementer(interfaces.IMessageSource)
class Source(BytesIO):
    size = property(lambda self: len(self.getbuffer()))

    async def read(self, octets):
        return super().read(octets)


@implementer(interfaces.IFolder)
class Folder(dict):  # of contents by uid
    name, rights = f.INBOX, "lrswte"  # neither i nor p: no APPEND
    refresh, receive = nothing, refuse

    def __init__(self):
        self.uid_validity, self.uid_next, self.highest_modseq = int(time()), 1, 1
        self.mailbox_id, self.messages, self.listeners = "F1", {}, []

    def append(self, content):  # what dict_realm does with a delivery
        uid, size, now = self.uid_next, len(content), int(time())
        self[uid], self.uid_next = content, uid + 1
        self.messages[uid] = f.MessageState(uid, frozenset(), self.begin(), size, now, now)
        self.tell(arrived=[uid])

    def begin(self):
        self.highest_modseq += 1
        return self.highest_modseq

    def tell(self, **what):
        for listener in list(self.listeners):
            listener(f.FolderChange(highest_modseq=self.highest_modseq, **what))

    def subscribe(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    recent_from = 1

    async def claim_recent(self):
        return f.Recent(1, 1)

    async def open(self, uid):
        if uid not in self:
            raise MessageGone(uid)
        return Source(self[uid])

    async def store(self, uids, change, unchanged_since=None):
        modseq, changed, refused = self.begin(), [], []
        for old in [self.messages[uid] for uid in uids if uid in self]:
            flags = {
                f.FlagMode.ADD: old.flags | change.flags,
                f.FlagMode.REMOVE: old.flags - change.flags,
                f.FlagMode.REPLACE: change.flags,
            }[change.mode]
            if unchanged_since is not None and old.modseq > unchanged_since:
                refused.append(old.uid)
            elif flags != old.flags:
                self.messages[old.uid] = old._replace(flags=flags, modseq=modseq)
                changed.append(old.uid)
        self.tell(changed=changed)
        return f.StoreOutcome(changed, refused, [uid for uid in uids if uid not in self])

    async def expunge(self, uids):
        self.begin()
        gone = [uid for uid in uids if uid in self]
        for uid in gone:
            del self[uid], self.messages[uid]
        self.tell(vanished=gone)
        return gone


@implementer(interfaces.IMailbox)
class Inbox:  # as POP3 sees it
    lock = unlock = nothing

    def __init__(self, folder):
        self.folder = folder

    async def messages(self):
        states = self.folder.messages.values()
        return tuple(interfaces.MessageInfo(str(m.uid), m.size, m.received) for m in states)

    async def open(self, uid):
        return await self.folder.open(int(uid))

    async def remove(self, uids):
        await self.folder.expunge(sorted(map(int, uids)))
        return frozenset()


@implementer(interfaces.IFolderAccount, interfaces.IFolders)
class Account:
    namespaces = f.Namespaces()
    create = delete = rename = subscribe = refuse

    def __init__(self, name, folder):
        self.name, self._folder = name, folder

    def owns(self, address):
        return address.key == self.name

    def inbox(self):
        return Inbox(self._folder)

    def folders(self):
        return self

    def logout(self):
        pass

    async def all(self):
        return [f.FolderInfo(f.INBOX, subscribed=True, rights=Folder.rights)]

    async def folder(self, name):
        return self._folder if name.upper() == f.INBOX else refuse(self)

    def watch(self, listener):
        return lambda: None


class Realm(DictRealm):
    def __init__(self):
        super().__init__()
        self.mailboxes = {name.decode(): Folder() for name in USERS}

    def requestAvatar(self, avatarId, mind, *interfaces_):
        if interfaces.IMailAccount not in interfaces_:
            raise NotImplementedError("accounts only")
        name = avatarId.decode()
        return interfaces.IMailAccount, Account(name, self.mailboxes[name]), lambda: None
