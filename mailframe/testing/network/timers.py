"""What is going to happen: one entry of the network's queue, and Twisted's delayed call.

A ``Timer`` belongs to a reactor, and runs only while that lives, or to nobody: those are the
network's own. The queue is ordered by time and then by the order of scheduling, never by
anything that differs from one run to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

if TYPE_CHECKING:
    from mailframe.testing.network.reactor import SimReactor

_NOTHING: Mapping[str, Any] = {}


@implementer(IDelayedCall)
class Timer:
    """``at`` is in the network's seconds; ``what`` names it in the history, "" keeps it out."""

    __slots__ = ("args", "at", "called", "cancelled", "function", "keywords", "owner", "what")

    def __init__(
        self,
        at: float,
        owner: SimReactor | None,
        what: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        keywords: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self.at = at
        self.owner = owner
        self.what = what
        self.function = function
        self.args = args
        self.keywords = keywords
        self.called = False
        self.cancelled = False

    def active(self) -> bool:
        return not (self.called or self.cancelled)

    def cancel(self) -> None:
        self._check()
        self.cancelled = True
        self.function = _nothing
        self.args = ()

    def getTime(self) -> float:
        """By the clock of its machine."""
        return self.at + (self.owner.offset if self.owner is not None else 0.0)

    def reset(self, secondsFromNow: float) -> None:
        self._check()
        assert self.owner is not None, "the network's own events are not moved"
        self._move(self.owner.network.now + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        self._check()
        self._move(self.at + secondsLater)

    def _move(self, at: float) -> None:
        # The entry in the queue cannot be moved: where it comes up too early it is put back.
        assert self.owner is not None
        earlier = at < self.at
        self.at = at
        if earlier:
            self.owner.network.put(self)

    def _check(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled


def _nothing() -> None:
    """What a cancelled timer holds on to."""


def name_of(function: Callable[..., Any]) -> str:
    """For the history: the same in every run."""
    name: str | None = getattr(function, "__qualname__", None)
    return name if name is not None else type(function).__name__
