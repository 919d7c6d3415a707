"""Who has left, and where mail for them should be sent: ``[routing] resolvers =
["departed:Departed"]``, with this file's directory on PYTHONPATH. Asked before the directory, which
answers for everybody else."""

from zope.interface import implementer

from mailframe.core import reply, resolution, status
from mailframe.core.address import Address
from mailframe.interfaces import IRecipientResolver

LEFT = {
    "cy@example.test": "cy@elsewhere.example",  # 551 at RCPT, with the new address
    "dan@example.test": None,  # 550
}
GONE = reply.Reply(550, status.MAILBOX_DISABLED, "This person has left")


@implementer(IRecipientResolver)
class Departed:
    def __init__(self, left=LEFT):
        self.left = left

    def resolve(self, address):
        if address.key not in self.left:
            return resolution.Elsewhere()  # the next resolver knows
        new = self.left[address.key]
        return resolution.Refused(GONE) if new is None else resolution.Moved(Address.parse(new))
