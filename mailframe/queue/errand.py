"""What is tried at once: recipients of one message on one way, leased."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.interfaces import Batch
from mailframe.queue.records import Message, Row
from mailframe.queue.schema import Lease
from mailframe.queue.spool import Spool
from mailframe.queue.traffic import Way


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    way: Way
    message: Message
    rows: tuple[Row, ...]
    content: bytes | None = None
    """Where it is in memory, without the message's prefix."""
    is_whole: bool = False
    """These are all the recipients that the message ever had."""

    @property
    def octets(self) -> int:
        """That it keeps in memory."""
        return len(self.message.head) if self.content is None else self.message.size

    def batch(self, spool: Spool) -> Batch:
        """As its courier sees it."""
        recipients = tuple(row.recipient for row in self.rows)
        return Batch(
            message=spool.stored(self.message, recipients, self.content),
            recipients=recipients,
            next_hop=self.way.next_hop,
            attempt=1 + max(row.attempts for row in self.rows),
            repeats=any(row.lease is not Lease.FREE for row in self.rows),
        )
