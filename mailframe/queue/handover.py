"""Fresh mail: what of it can go to its couriers at once, from memory, and that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailframe.core.envelope import Recipient
from mailframe.core.routing import Route
from mailframe.queue.claim import Claim, Part
from mailframe.queue.errand import Errand
from mailframe.queue.errands import Errands
from mailframe.queue.ledger import RECIPIENTS_PER_BATCH
from mailframe.queue.ownership import Ownership
from mailframe.queue.records import NewMessage, fresh_row
from mailframe.queue.routing import Routing
from mailframe.queue.traffic import LOCAL, Traffic, Way

# Of messages that are being written down or tried.
_OCTETS_IN_MEMORY = 16 * 1024 * 1024


class Handover:
    """The ``Taker`` of a spool, between ``start`` and ``stop``."""

    def __init__(
        self,
        errands: Errands,
        routing: Routing,
        ownership: Ownership,
        traffic: Traffic,
        clock: IReactorTime,
        *,
        lease_seconds: float,
        due: Callable[[Sequence[str]], None],
    ) -> None:
        """``due`` is told the lanes of what is committed and was not claimed."""
        self._errands = errands
        self._due = due
        self._routing = routing
        self._ownership = ownership
        self._traffic = traffic
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._is_taking = False
        self._octets = 0
        """Of messages that are being written down."""
        self._handed: list[tuple[NewMessage, Claim]] = []
        """Durable, and about to be begun."""
        self._timer: IDelayedCall | None = None

    @property
    def octets_left(self) -> int:
        """That may be in memory besides what is."""
        return max(0, _OCTETS_IN_MEMORY - self._errands.octets - self._octets)

    def start(self) -> None:
        self._is_taking = True

    def stop(self) -> None:
        """What was handed over already is begun."""
        self._is_taking = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._begin()

    def claim(self, recipients: Sequence[Recipient], octets: int) -> Claim | None:
        self._errands.intake.heard()
        if not self._is_taking or octets > self.octets_left:
            return None
        now = self._clock.seconds()
        parts = []
        for way, numbers in self._ways(recipients).items():
            # More are leased a hundred at a time.
            if len(numbers) <= RECIPIENTS_PER_BATCH and self._is_ours(way):
                places = self._traffic.claim(way, now)
                if places is not None:
                    parts.append(Part(way, tuple(numbers), places))
        if not parts:
            return None
        claimed = frozenset(number for part in parts for number in part.numbers)
        self._octets += octets
        return Claim(parts, claimed, octets, now + self._lease_seconds)

    def release(self, claim: Claim) -> None:
        self._octets -= claim.octets
        for part in claim.parts:
            part.places.release()

    def committed(self, handed: Sequence[tuple[NewMessage, Claim]], lanes: Sequence[str]) -> None:
        if handed:
            self._errands.intake.heard()
            if not self._handed:
                # What is committed in one turn of the reactor goes together.
                self._timer = self._clock.callLater(0, self._begin)
            self._handed += handed
        if lanes:
            self._due(lanes)

    def _begin(self) -> None:
        handed, self._handed = self._handed, []
        for new, claim in handed:
            self._errands.add(self._errands_of(new, claim))
        self._errands.deliver_gathered()

    def _errands_of(self, new: NewMessage, claim: Claim) -> Iterator[Errand]:
        """What was claimed of a message that is durable now; to be begun at once."""
        self.release(claim)
        for part in claim.parts:
            rows = tuple(
                fresh_row(new.message, number, new.recipients[number]) for number in part.numbers
            )
            is_whole = len(rows) == len(new.recipients)
            yield Errand(part.way, new.message, rows, new.content, is_whole)

    def _ways(self, recipients: Sequence[Recipient]) -> dict[Way, list[int]]:
        """Who has none is left to a lease, which finds out why."""
        ways: dict[Way, list[int]] = {}
        for number, recipient in enumerate(recipients):
            route = self._routing.route(recipient)
            if isinstance(route, Route):
                ways.setdefault(self._routing.way(recipient, route), []).append(number)
        return ways

    def _is_ours(self, way: Way) -> bool:
        """Our mailboxes take mail from any worker; hosts and programs are counted by one."""
        return way.courier == LOCAL or self._ownership.is_own(way.next_hop)
