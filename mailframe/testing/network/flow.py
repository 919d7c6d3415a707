"""One direction of a TCP connection: segments on their way, in order.

What a socket takes is cut into segments at borders drawn from the seed, so that a reader may
meet any split of the octets; segments that arrive together are read together. The sender may
be ahead of its reader by the link's window, and no further: a reader that pauses makes the
sender's socket full.

A segment for a socket that is closed is answered with a reset, as kernels do; one for a
machine without power stays without an answer until that is up again.
"""

from __future__ import annotations

import enum
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from mailframe.testing.network.timers import Timer

if TYPE_CHECKING:
    from mailframe.testing.network.link import Link
    from mailframe.testing.network.stream import StreamSocket

_LARGEST_SEGMENT = 16_384
_MOST_BORDERS = 6
_GAP = 0.001  # seconds between segments of one write, at most about


class Mark(enum.Enum):
    FIN = "fin"
    RESET = "reset"


Segment = tuple[float, "bytes | Mark"]
"""When it arrives, and what it is."""


class Flow:
    def __init__(self, link: Link, source: StreamSocket, target: StreamSocket) -> None:
        self.link = link
        self.source = source
        self.target = target
        self.back: Flow  # the other direction; whoever makes both sets it
        self.sender = source.host.name
        self.receiver = target.host.name
        self.outstanding = 0
        self.is_full = False
        self.is_severed = False
        self._network = source.host.network
        self._segments: deque[Segment] = deque()
        self._last_arrival = 0.0
        self._arrival: Timer | None = None
        self._is_stalled = False
        self._name = f"{source.local[0]}:{source.local[1]}>{target.local[0]}:{target.local[1]}"

    def begin(self, not_before: float) -> None:
        """``not_before``: nothing arrives earlier, the handshake being first."""
        self._last_arrival = not_before
        self.link.flows[self] = None

    @property
    def room(self) -> int:
        """Octets that may be sent now."""
        return self.link.window - self.outstanding

    def send(self, data: bytes) -> None:
        """No more than there is room for."""
        if self.is_severed:
            return
        point = self.link.cut_point(self.sender, data)
        if point is not None:
            data = data[:point]
        self.outstanding += len(data)
        pause = 0.0
        for segment in self._cut(data):
            self._enqueue(segment, pause)
            # Mostly one by one; some arrive together.
            pause = max(0.0, self._network.random.random() - 0.25) * _GAP
        if point is not None:
            self._network.note(self.sender, "cut", f"{self._name} {point}")
            self._sever()

    def finish(self) -> None:
        """No more data will come."""
        if not self.is_severed:
            self._enqueue(Mark.FIN)

    def reset(self) -> None:
        """Whatever was sent before may still arrive."""
        if not self.is_severed:
            self._enqueue(Mark.RESET)
            self.is_severed = True

    def cut_now(self) -> None:
        """Both ends are reset; what is on its way is lost."""
        if not self.is_severed:
            self._segments.clear()
            self._network.note(self.sender, "cut", self._name)
            self._sever()

    def consumed(self, octets: int) -> None:
        """So much of it was read."""
        self.outstanding -= octets
        if self.is_full:
            self.is_full = False
            self._network.schedule(self.link.travel(), None, "", self.source.wake)

    def lose_unsent(self) -> None:
        """The sender has lost its power: what its kernel still held is gone."""
        departed = self._network.now + self.link.delay
        self._segments = deque(segment for segment in self._segments if segment[0] <= departed)
        self.is_severed = True

    def _sever(self) -> None:
        self._enqueue(Mark.RESET)
        self.is_severed = True
        self.back._segments.clear()
        self.back.is_severed = True
        pause = 2 * self.link.travel()
        self._network.schedule(pause, None, "", self.source.hear_reset)

    def _cut(self, data: bytes) -> list[bytes]:
        random = self._network.random
        size = len(data)
        draw = random.random()
        borders = {0, size, *range(_LARGEST_SEGMENT, size, _LARGEST_SEGMENT)}
        if size > 1 and draw > 0.6:
            most = 1 if draw < 0.8 else random.randint(2, _MOST_BORDERS)
            borders.update(random.randrange(1, size) for _ in range(most))
        ordered = sorted(borders)
        return [data[start:end] for start, end in pairwise(ordered)]

    def _enqueue(self, what: bytes | Mark, pause: float = 0.0) -> None:
        at = self._network.now + self.link.travel() + self.link.retransmission()
        self._last_arrival = at = max(at, self._last_arrival + pause)
        self._segments.append((at, what))
        self._await_next()

    def _await_next(self) -> None:
        if self._arrival is None and self._segments and not self._is_stalled:
            at = max(self._segments[0][0], self._network.now)
            self._arrival = Timer(at, None, "", self._arrive, ())
            self._network.put(self._arrival)

    def _resume(self) -> None:
        self._is_stalled = False
        self._await_next()

    def _arrive(self) -> None:
        self._arrival = None
        if not self._segments:
            return
        if self.link.blocks(self.sender):
            self._is_stalled = True
            self.link.stall(self._resume)
            return
        now = self._network.now
        while self._segments and self._segments[0][0] <= now:
            self._deliver(self._segments.popleft()[1])
        self._await_next()
        self.target.wake()

    def _deliver(self, what: bytes | Mark) -> None:
        target = self.target
        if target.is_gone:
            self._network.note(self.receiver, "unheard", self._name)
            target.host.answer_dead(self)
        elif what is Mark.RESET:
            self._network.note(self.receiver, "reset", self._name)
            target.take_reset()
        elif target.is_closed:
            # RFC 9293 section 3.10.7.1: whatever comes for a closed connection is reset.
            if what is not Mark.FIN:
                self.back.reset()
        elif what is Mark.FIN:
            self._network.note(self.receiver, "fin", self._name)
            target.take_end()
        else:
            assert isinstance(what, bytes)
            self._network.note(self.receiver, "data", f"{self._name} {len(what)} {crc32(what)}")
            if self._network.story is not None:
                self._network.story.append(f"    {what[:160]!r}")
            target.take(what)

    def forget(self) -> None:
        """Both ends are closed: no fault concerns it any more."""
        self.link.flows.pop(self, None)
