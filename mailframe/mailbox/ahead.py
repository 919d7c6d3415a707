"""The next messages of a client that takes one after the other, read before it asks.

Most of what one small message costs is the way to a worker and back. So whoever has taken two
messages that follow each other gets the next ones read by the same call, as far as they are
small and few; they wait in memory for whoever asks, and go with the mailbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailframe.interfaces import IMessageSource
from mailframe.mailbox.maildir import Entry
from mailframe.mailbox.newlines import to_wire
from mailframe.runtime.disk import Disk

_MESSAGES = 32
_OCTETS = 128 << 10
"""On the wire, of all that are read ahead."""


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


def read_ahead(disk: Disk, entries: Sequence[Entry], at: int) -> dict[str, ReadAlready]:
    """Of the messages from ``at`` on, by uid, up to the first that is not as its name says:
    that is for whoever asks for it. Blocks."""
    found: dict[str, ReadAlready] = {}
    for entry in _small(entries, at):
        try:
            data = disk.read(entry.path)
        except OSError:
            break
        if len(data) != entry.name.size:
            break
        content = data if len(data) == entry.wire_size else to_wire(data)
        if len(content) != entry.wire_size:
            break
        found[entry.uid] = ReadAlready(content)
    return found


def _small(entries: Sequence[Entry], at: int) -> Iterator[Entry]:
    octets = 0
    for position in range(at, min(at + _MESSAGES, len(entries))):
        octets += entries[position].wire_size
        if octets > _OCTETS:
            return
        yield entries[position]
