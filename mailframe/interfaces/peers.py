"""The other workers of one server, as each of them sees them.

A worker is a node: it keeps its own copy of what the workers share in memory (who is
connected, who failed to log in, who is watched) and tells the others what it adds. Nothing
waits for an answer on the way of a message, so what is shared so is exact a moment later:
enough for limits, not for ownership, which rows in a database and locked files decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class IPeers(Interface):
    """Called on the reactor thread only. ``topic`` names one kind of note; notes and answers
    are what JSON holds (``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, None)."""

    own: str = Attribute("""This worker's name. No other worker ever had it or will.""")

    def names() -> tuple[str, ...]:
        """Of all workers that are up, this one among them, in one order for all."""

    def tell(topic: str, note: Any) -> None:
        """Every other worker hears of it, in the order of the telling. One that joins later
        does not, and nobody after this process has died: whatever must not be lost is on disk.
        Notes of one turn of the reactor travel together."""

    def hear(topic: str, listener: Callable[[Any, str], None]) -> None:
        """``listener(note, name of the worker that told)``. What it raises is logged."""

    def welcome(topic: str, notes: Callable[[], Iterable[Any]]) -> None:
        """``notes()`` is what each worker that joins is told by this one before anything else
        of ``topic``: what it could not have heard."""

    def lost(listener: Callable[[str], None]) -> None:
        """``listener(name)`` when a worker has ended, in whatever way, and has let go of all
        that it held."""

    def ask(topic: str, note: Any) -> Deferred[dict[str, Any]]:
        """The answers of all others by name; of one that ends or says nothing for five seconds
        there is none. Never fails."""

    def answer(topic: str, answerer: Callable[[Any], Any]) -> None:
        """``answerer(note)`` answers those who ask; it may return a Deferred. What it raises is
        logged, and they hear nothing."""
