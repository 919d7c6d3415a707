"""The way between two hosts, and what may go wrong on it.

A ``Link`` is one pair's, both directions alike unless a fault names its sender. ``Links``
finds it; with ``*`` for a host what is set holds for all its links, those to come included.

TCP sees loss as delay, since segments are sent again, and a partition as silence: only the
timers of the two ends notice. A cut is a reset in the middle of a transfer: the receiver gets
what was sent before that octet, everything else on its way in either direction is lost, and
both ends hear of a reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailframe.testing.network.flow import Flow
    from mailframe.testing.network.network import SimNetwork

Cutter = Callable[[str, bytes], int | None]
"""Given the sender and what it sends: the octet at which to cut, or None."""

_LOOPBACK_DELAY = 0.00002


class Link:
    """``delay`` and ``jitter`` in seconds one way; ``loss`` and ``duplicates`` are the shares
    of datagrams, ``loss`` also that of segments sent again; ``window`` is how many octets a
    sender may be ahead of its reader."""

    def __init__(self, network: SimNetwork, one: str, other: str) -> None:
        self.hosts = (one, other)
        self.delay = _LOOPBACK_DELAY if one == other else 0.005
        self.jitter = 0.0 if one == other else 0.002
        self.loss = 0.0
        self.duplicates = 0.0
        self.window = 65_536
        self.cutter: Cutter | None = None
        self.flows: dict[Flow, None] = {}
        self._network = network
        self._blocked: set[str] = set()  # senders
        self._cut_share: dict[str, float] = {}
        self._octets_left: dict[str, int] = {}
        self._stalled: list[Callable[[], None]] = []

    def set(
        self,
        *,
        delay: float | None = None,
        jitter: float | None = None,
        loss: float | None = None,
        duplicates: float | None = None,
        window: int | None = None,
    ) -> None:
        self.delay = self.delay if delay is None else delay
        self.jitter = self.jitter if jitter is None else jitter
        self.loss = self.loss if loss is None else loss
        self.duplicates = self.duplicates if duplicates is None else duplicates
        self.window = self.window if window is None else window

    def partition(self, on: bool = True, *, sender: str | None = None) -> None:
        """Nothing gets through, or nothing of one sender. When it ends, segments that were on
        their way arrive by and by; datagrams are lost."""
        senders = set(self.hosts) if sender is None else {sender}
        if on:
            self._blocked |= senders
            return
        self._blocked -= senders
        stalled, self._stalled = self._stalled, []
        for resume in stalled:
            # RFC 6298: who got no answer waits longer and longer before it sends again.
            pause = 0.2 + 3.0 * self._network.random.random()
            self._network.schedule(pause, None, "", resume)

    def reset(self) -> None:
        """Cut every connection now."""
        for flow in list(self.flows):
            flow.cut_now()

    def cut(self, share: float, *, sender: str | None = None) -> None:
        """Cut the connection within this share of all writes."""
        for name in self.hosts if sender is None else (sender,):
            self._cut_share[name] = share

    def cut_after(self, octets: int, *, sender: str | None = None) -> None:
        """Cut once, at the octet after so many more, counted over all connections of both or
        of one sender; 0 for right before the next."""
        for name in self.hosts if sender is None else (sender,):
            self._octets_left[name] = octets

    def heal(self) -> None:
        """End every fault; delay and jitter stay."""
        self._cut_share.clear()
        self._octets_left.clear()
        self.cutter = None
        self.loss = self.duplicates = 0.0
        self.partition(False)

    # For those who send

    def blocks(self, sender: str) -> bool:
        return sender in self._blocked

    def stall(self, resume: Callable[[], None]) -> None:
        """Call it some time after the partition has ended."""
        self._stalled.append(resume)

    def travel(self) -> float:
        """Seconds that a datagram or segment needs, drawn."""
        return self.delay + self.jitter * self._network.random.random()

    def retransmission(self) -> float:
        """Seconds that a segment is late by because it was lost; mostly none."""
        random = self._network.random
        if self.loss and random.random() < self.loss:
            return 0.2 + 2.8 * random.random()
        return 0.0

    def cut_point(self, sender: str, data: bytes) -> int | None:
        """Where within ``data`` the connection breaks, 0 for before it; None for nowhere."""
        if self.cutter is not None and (point := self.cutter(sender, data)) is not None:
            return point
        left = self._octets_left.get(sender)
        if left is not None:
            if left < len(data):
                for name in list(self._octets_left):
                    del self._octets_left[name]
                return left
            self._octets_left[sender] = left - len(data)
        share = self._cut_share.get(sender, 0.0)
        if share and self._network.random.random() < share:
            return self._network.random.randrange(len(data) + 1)
        return None


class _Many:
    """All links that match: whatever is called on it is called on each."""

    def __init__(self, links: Links, one: str, other: str) -> None:
        self._links = links
        self._pattern = (one, other)

    def set(
        self,
        *,
        delay: float | None = None,
        jitter: float | None = None,
        loss: float | None = None,
        duplicates: float | None = None,
        window: int | None = None,
    ) -> None:
        self._each(
            lambda link: link.set(
                delay=delay, jitter=jitter, loss=loss, duplicates=duplicates, window=window
            )
        )

    def partition(self, on: bool = True, *, sender: str | None = None) -> None:
        self._each(lambda link: link.partition(on, sender=sender))

    def reset(self) -> None:
        for link in self._links.matching(self._pattern):
            link.reset()

    def cut(self, share: float, *, sender: str | None = None) -> None:
        self._each(lambda link: link.cut(share, sender=sender))

    def cut_after(self, octets: int, *, sender: str | None = None) -> None:
        self._each(lambda link: link.cut_after(octets, sender=sender))

    def heal(self) -> None:
        self._each(Link.heal)

    def _each(self, change: Callable[[Link], None]) -> None:
        for link in self._links.matching(self._pattern):
            change(link)
        self._links.later.append((self._pattern, change))


class Links:
    """All of a network, made when first used."""

    Side = Link | _Many

    def __init__(self, network: SimNetwork) -> None:
        self.later: list[tuple[tuple[str, str], Callable[[Link], None]]] = []
        self._network = network
        self._links: dict[tuple[str, str], Link] = {}

    def between(self, one: str, other: str) -> Link | _Many:
        return _Many(self, one, other) if "*" in (one, other) else self.of(one, other)

    def of(self, one: str, other: str) -> Link:
        """The link of two hosts, by name."""
        pair = (one, other) if one <= other else (other, one)
        link = self._links.get(pair)
        if link is None:
            link = self._links[pair] = Link(self._network, *pair)
            for pattern, change in self.later:
                if _matches(pattern, pair):
                    change(link)
        return link

    def matching(self, pattern: tuple[str, str]) -> Iterator[Link]:
        """Those made so far."""
        for pair, link in list(self._links.items()):
            if _matches(pattern, pair):
                yield link


def _matches(pattern: tuple[str, str], pair: tuple[str, str]) -> bool:
    """``*`` is any other host: what a host says to itself is nobody else's business."""
    if pair[0] == pair[1]:
        return pattern == pair
    return any(
        all(want in ("*", have) for want, have in zip(pattern, hosts, strict=True))
        for hosts in (pair, pair[::-1])
    )
