"""A spool in memory, to see what one is: a power cut loses all that it has said 250 to. For tests;
no setting names another spool."""

from zope.interface import implementer

from mailframe.core import reply, status
from mailframe.errors import TransientFailure
from mailframe.interfaces import IIncoming, ISpool
from mailframe.mailbox.mapped.source import OctetSource

FULL = reply.Reply(452, status.SYSTEM_FULL, "No room for the message at the moment")


@implementer(ISpool)
class MemorySpool:
    def __init__(self, most=64 << 20):
        self.kept = {}  # queue id -> content and envelope
        self.left = most

    def begin(self, queue_id):
        if self.left <= 0:
            raise TransientFailure(FULL)
        return Incoming(self, queue_id)


@implementer(IIncoming)
class Incoming:
    def __init__(self, spool, queue_id):
        self.spool, self.queue_id = spool, queue_id
        self.content = bytearray()

    @property
    def size(self):
        return len(self.content)

    def write(self, chunk):  # None: there is nothing to wait for
        if self.size + len(chunk) > self.spool.left:
            raise TransientFailure(FULL)
        self.content += chunk

    async def open(self):
        return OctetSource(bytes(self.content))

    async def commit(self, envelope, arrival, prefix):
        content = prefix + bytes(self.content)
        self.spool.left -= len(content)
        self.spool.kept[self.queue_id] = content, envelope

    def abort(self):  # after the commit it changes nothing
        self.content = bytearray()
