"""The next messages of a client that takes one after the other, read before it asks.

Most of what one small message costs is the way to a worker and back. So whoever has taken two
messages that follow each other gets the next ones read by the same call, as far as they are
small, and those behind them while he takes the first half of these. They wait in memory for
whoever asks: the more, the longer the client has gone on, up to ``_MOST`` octets and half as many
again, and of all mailboxes together no more than the ``Budget`` has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailframe.errors import TransientFailure
from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.mailbox.maildir import Entry
from mailframe.mailbox.newlines import to_wire
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk

_LEAST, _MOST = 64 << 10, 512 << 10
"""Octets on the wire that are read by one call: for a beginning, and at most."""
_MESSAGES = 256
"""That are read by one call: some milliseconds where all are in the kernel's memory."""
_LARGE = 64 << 10
"""Octets on the wire of a message that is read piece by piece, as its client takes it."""


class Budget:
    """Octets that all mailboxes together may hold of messages read ahead."""

    def __init__(self, octets: int = 32 << 20) -> None:
        self.left = octets

    def take(self, octets: int) -> int:
        """So many, or what is left of them."""
        taken = min(octets, self.left)
        self.left -= taken
        return taken

    def give_back(self, octets: int) -> None:
        self.left += octets


class ReadingAhead:
    """For the client of one mailbox. Whoever has it calls ``forget`` at the end."""

    def __init__(self, disk: Disk, workers: IWorkers, budget: Budget) -> None:
        self._disk = disk
        self._workers = workers
        self._budget = budget
        self._tasks = Background()
        self._listing: Sequence[Entry] = ()
        self._at_hand: dict[str, bytes] = {}
        self._next = 0
        """The place of the message behind the last one that was taken or is at hand."""
        self._step = _LEAST
        self._few = 0
        """With so many at hand, the next ones are read."""
        self._course = 0
        """Another number each time that the client is somewhere else."""
        self._coming: Deferred[None] | None = None
        """The next ones, when they are being read."""

    def forget(self) -> None:
        """What is at hand, and where the client is."""
        self._go_to((), 0)

    def take(self, uid: str) -> bytes | None:
        """A message in wire format, once, if it is at hand."""
        content = self._at_hand.pop(uid, None)
        if content is not None:
            self._budget.give_back(len(content))
            if len(self._at_hand) == self._few and self._coming is None:
                self._begin()
        return content

    async def read(self, listing: Sequence[Entry], place: int) -> bytes | None:
        """The message at that place of the listing, if its client has taken the one before; those
        behind it are at hand then. None where it is to be opened: where the client comes from
        elsewhere, where it is large, and where it is not as its name says."""
        if listing is not self._listing or place != self._next or not place:
            self._go_to(listing, place + 1)
            return None
        if self._coming is None:
            self._begin()
        if self._coming is not None:
            await self._coming
        if listing is self._listing and self._next == place:  # it did not come
            self._next = place + 1
        return self.take(listing[place].uid)

    def _go_to(self, listing: Sequence[Entry], place: int) -> None:
        self._budget.give_back(sum(map(len, self._at_hand.values())))
        self._at_hand = {}
        self._listing, self._next, self._step = listing, place, _LEAST
        self._course += 1
        self._coming = None

    def _begin(self) -> None:
        """Have the next ones read, as far as there is room for them."""
        granted = self._budget.take(self._step)
        if self._next == len(self._listing) or self._listing[self._next].wire_size > granted:
            self._budget.give_back(granted)
            return
        self._step = min(2 * self._step, _MOST)
        coming = self._tasks.start(self._fetch(self._course, granted), "reading ahead")
        self._coming = None if coming.called else coming

    async def _fetch(self, course: int, granted: int) -> None:
        found: dict[str, bytes] = {}
        try:
            found = await self._workers.run(
                read_some, self._disk, self._listing, self._next, granted
            )
        except TransientFailure:
            pass  # the workers are busy: that is for whoever asks for the message
        finally:
            if course != self._course:
                found = {}
            else:
                self._coming = None
            self._budget.give_back(granted - sum(map(len, found.values())))
        self._at_hand |= found
        self._next += len(found)
        self._few = len(found) // 2


@implementer(IMessageSource)
class ReadAlready:
    """A whole message in wire format."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._left = content

    def read(self, octets: int) -> Deferred[bytes]:
        chunk, self._left = self._left[:octets], self._left[octets:]
        return succeed(chunk)

    def close(self) -> None:
        self._left = b""


def read_some(disk: Disk, listing: Sequence[Entry], place: int, octets: int) -> dict[str, bytes]:
    """Of the messages from that place on, by uid, those that make so many octets on the wire at
    most; up to the first that is large or not as its name says. Blocks."""
    found: dict[str, bytes] = {}
    for entry in _of_interest(listing, place, octets):
        content = _read(disk, entry.path, entry.name.size, entry.wire_size)
        if content is None:
            break
        found[entry.uid] = content
    return found


def _read(disk: Disk, path: str, size: int | None, wire_size: int) -> bytes | None:
    """A message in wire format; None where it is not as its name says, or not there."""
    if size is None or size > wire_size:  # on the wire nothing is shorter: the name is wrong
        return None
    try:
        data = disk.read_known(path, size)
    except OSError:
        return None
    if data is None or size == wire_size:
        return data
    content = to_wire(data)
    return content if len(content) == wire_size else None


def _of_interest(listing: Sequence[Entry], place: int, octets: int) -> Iterator[Entry]:
    for entry in listing[place : place + _MESSAGES]:
        octets -= entry.wire_size
        if octets < 0 or entry.wire_size > _LARGE:
            return
        yield entry
