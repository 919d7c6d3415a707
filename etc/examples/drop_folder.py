"""Mail as files in a folder, for another program to take away. ``[couriers.drop]`` has the settings
``class = "drop_folder:DropFolder"`` and ``options = { folder = "/srv/drop" }``; ``[routes]`` says
for which domain: ``"scans.example.test" = "drop:"``."""

from twisted.internet.threads import deferToThread
from zope.interface import implementer

from mailframe.core import reply, status
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.errors import TransientFailure
from mailframe.interfaces import ICourier
from mailframe.runtime.disk import Disk

KEPT = reply.Reply(250, status.OTHER, "Kept")
TROUBLE = reply.Reply(451, status.SYSTEM_OTHER, "The message cannot be kept at the moment")


@implementer(ICourier)
class DropFolder:
    name = "drop"

    def __init__(self, folder, run=deferToThread, disk=None):
        self.folder, self.run, self.disk = folder, run, disk or Disk()

    async def deliver(self, batch):
        pieces, source = [], await batch.message.open()
        try:
            while piece := await source.read(1 << 20):
                pieces.append(piece)
        finally:
            source.close()
        try:
            await self.run(self.keep, batch.message.queue_id, b"".join(pieces))
        except OSError as error:  # all of it is tried again later
            raise TransientFailure(TROUBLE, str(error)) from error
        return [DeliveryReport(each, Outcome.DELIVERED, KEPT) for each in batch.recipients]

    def keep(self, queue_id, content):
        """Under the queue's id: tried again after a crash it is the same file."""
        part, whole = f"{self.folder}/.{queue_id}", f"{self.folder}/{queue_id}.eml"
        if self.disk.exists(part):
            self.disk.unlink(part)  # of a try that broke off
        file = self.disk.create(part)
        try:
            file.write(content)
            file.sync()  # delivered means: it survives a power cut
        finally:
            file.close()
        self.disk.rename(part, whole)
        self.disk.sync_directory(self.folder)
