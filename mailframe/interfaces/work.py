"""Work that blocks, done elsewhere than on the reactor thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class IWorkers(Interface):
    """A named pool of threads with a bounded queue."""

    name: str = Attribute("For logs: ``disk``, ``password`` ...")

    def run(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call it on a thread; its result or error comes back on the reactor thread.

        Fails at once with TransientFailure (451 4.3.2) when the queue is full."""
