"""Sending a message's octets to a browser no faster than it takes them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

from mailframe.interfaces import IMessageSource
from mailframe.runtime.aio import result_of

_CHUNK = 64 << 10


async def stream(request: Request, source: IMessageSource) -> None:
    """Send all of ``source``, close it, finish the request. Stops when cancelled."""
    request.setHeader("Content-Length", str(source.size))
    try:
        if request.method != b"HEAD":
            await _pump(request, source)
    finally:
        source.close()
    request.finish()


async def _pump(request: Request, source: IMessageSource) -> None:
    valve = _Valve()
    request.registerProducer(valve, True)
    try:
        while True:
            chunk: bytes = await result_of(source.read(_CHUNK))
            if not chunk:
                return
            request.write(chunk)
            await valve.is_open()
    finally:
        request.unregisterProducer()


@implementer(IPushProducer)
class _Valve:
    """Closed by the transport while it has enough to send."""

    def __init__(self) -> None:
        self._closed = False
        self._waiting: Deferred[None] | None = None

    def pauseProducing(self) -> None:
        self._closed = True

    def resumeProducing(self) -> None:
        self._closed = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone; the request's notifyFinish cancels who waits here."""

    async def is_open(self) -> None:
        if self._closed:
            self._waiting = Deferred()
            await self._waiting
