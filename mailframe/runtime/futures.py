"""What asyncio's libraries make, awaited by code that runs on Twisted.

Works where the reactor is asyncio's (``--reactor=asyncio``): one loop then runs both. Elsewhere
there is no loop that could ever finish it, and that is said at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python import threadable

from mailframe.errors import MailframeError

T = TypeVar("T")


class NoLoop(MailframeError):
    """asyncio does not run here; says what to do."""


def aio(awaitable: Awaitable[T]) -> Deferred[T]:
    """``await mailframe.aio(client.get(url))``: what a coroutine, task or future of asyncio's
    yields. In an ``async def`` hook only; cancelled with it when its time is over. Raises NoLoop
    where the reactor is not asyncio's."""
    loop = _loop()
    if loop is None:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise NoLoop(
            "asyncio runs on the server's own thread only, and only with --reactor=asyncio; a plain"
            " def, which has a thread of its own, can call asyncio.run(...)"
        )
    future: asyncio.Future[T]
    if asyncio.isfuture(awaitable):
        future = awaitable
    elif asyncio.iscoroutine(awaitable):
        future = loop.create_task(cast(Coroutine[Any, Any, T], awaitable))
    else:
        future = loop.create_task(_waiting(awaitable))
    return Deferred.fromFuture(future)


def _loop() -> asyncio.AbstractEventLoop | None:
    """The reactor's, on its thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # While the reactor starts, which is when startup hooks are called, its loop does not run
        # yet; what is begun now goes on when it does. Twisted has no public name for it.
        reactor = sys.modules.get("twisted.internet.reactor")
        loop = getattr(reactor, "_asyncioEventloop", None)
        return loop if threadable.isInIOThread() else None


def is_of_asyncio(thing: object) -> bool:
    """Whether it can only be awaited through ``aio``."""
    return asyncio.isfuture(thing)


async def _waiting(awaitable: Awaitable[T]) -> T:
    return await awaitable
