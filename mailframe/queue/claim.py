"""Fresh mail that the queue begins to deliver without looking for it in the tables.

Before a message is written down the queue may claim recipients of it: they are inserted as
leased, room is kept for them, and after the commit they go to their couriers as they are in
memory. What is not claimed is inserted as due, and found by a lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailframe.core.envelope import Recipient
from mailframe.queue.records import NewMessage
from mailframe.queue.traffic import Places, Way


@dataclass(frozen=True, slots=True)
class Part:
    """Claimed recipients that travel together."""

    way: Way
    numbers: tuple[int, ...]
    places: Places


@dataclass(frozen=True, slots=True)
class Claim:
    """Held until the message is handed over, or released because it was not written down."""

    parts: Sequence[Part]
    numbers: frozenset[int]
    """Of all parts."""
    octets: int
    """Of content that stay in memory."""
    until: float
    """When the leases end, seconds since the epoch."""


class Taker(Protocol):
    """Who delivers. Called on the reactor thread; does not raise."""

    def claim(self, recipients: Sequence[Recipient], octets: int) -> Claim | None:
        """What can go at once of a message that is about to be written down, with so many
        octets of content in memory. None: nothing."""

    def release(self, claim: Claim) -> None:
        """It was not written down after all."""

    def committed(self, handed: Sequence[tuple[NewMessage, Claim]], lanes: Sequence[str]) -> None:
        """These are durable. ``lanes`` are those of recipients that nobody claimed."""
