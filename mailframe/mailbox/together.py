"""Many deliveries as one piece of work: what each of them is, and what has become of it.

The questions (is there such an account, is there room) are asked once an account, and the disk
is gone to in one call for all that are new, and one for all that may be there already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailframe.errors import TransientFailure
from mailframe.interfaces import Delivery, MessageInfo
from mailframe.mailbox.committing import Ready
from mailframe.mailbox.failures import MAILBOX_FULL
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, key_in
from mailframe.mailbox.newlines import CRLF
from mailframe.mailbox.quota import Quotas, Reservation
from mailframe.runtime.disk import disk_failure


@dataclass(eq=False, slots=True)
class Copy:
    """One delivery on its way; done when it has a ``result``."""

    delivery: Delivery
    maildir: Maildir
    inbox: Maildir
    key: str
    result: MessageInfo | Exception | None = None
    ready: Ready | None = None

    @property
    def octets(self) -> int:
        return len(self.delivery.prefix) + self.delivery.message.size

    @property
    def content(self) -> bytes:
        """As it will be stored, in wire format."""
        octets = self.delivery.message.octets
        assert octets is not None  # as ``IGroupStore`` has it
        # BDAT may bring a message that breaks off within a line. POP3 ends that line, and the
        # size that is announced must say so.
        return self.delivery.prefix + octets + (b"" if octets.endswith(CRLF) else CRLF)

    def fail(self, error: Exception) -> None:
        self.result = disk_failure(error, "deliver") if isinstance(error, OSError) else error


@dataclass(frozen=True, slots=True)
class Share:
    """Room that is held for some copies of one account."""

    reservation: Reservation
    copies: Sequence[Copy]

    def end(self) -> None:
        """They are done."""
        there = [
            copy.ready.writing.disk_size
            for copy in self.copies
            if copy.ready is not None and isinstance(copy.result, MessageInfo)
        ]
        if there:
            self.reservation.settle(sum(there), len(there))
        else:
            self.reservation.release()


async def hold_room(quotas: Quotas, account: str, copies: Sequence[Copy]) -> list[Share]:
    """For all of them, or else for as many as there is; the others fail."""
    together = sum(copy.octets for copy in copies)
    if reservation := await quotas.reserve(account, together, len(copies)):
        return [Share(reservation, copies)]
    shares = []
    for copy in copies:
        if len(copies) > 1 and (reservation := await quotas.reserve(account, copy.octets)):
            shares.append(Share(reservation, [copy]))
        else:
            why = f"{account} has no room for {copy.octets} octets"
            copy.fail(TransientFailure(MAILBOX_FULL, why))
    return shares


def find_earlier(wanted: Iterable[tuple[Maildir, str]]) -> list[FileName | None]:
    """What was delivered before, to these Maildirs under these keys, durable now. Each Maildir
    is read once. Blocks; raises OSError."""
    known: dict[str, dict[str, tuple[str, FileName]]] = {}
    found: list[FileName | None] = []
    synced: set[str] = set()
    for maildir, key in wanted:
        if maildir.path not in known:
            known[maildir.path] = {
                key_in(name.base): (path, name) for path, name in maildir.files()
            }
        path, name = known[maildir.path].get(key, ("", None))
        directory = os.path.dirname(path)
        if name is not None and directory not in synced:
            # Whoever put it there may have died before this.
            maildir.disk.sync_directory(directory)
            synced.add(directory)
        found.append(name)
    return found
