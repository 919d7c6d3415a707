"""What monitoring asks of a listener with the role ``http``.

::

    /metrics   counters and gauges for Prometheus (docs/metrics.md)
    /livez     200: the reactor answers
    /readyz    200 where mail can be taken and delivered, else 503; one line a check

Nothing else is here. A scraper comes every few seconds over one connection and sends a few
hundred octets; who sends more, sends a body, or takes longer than ``_IDLE`` seconds between two
whole requests is cut off, and there is room for ``_MOST`` connections, apart from those of mail:
a server that is full is the one to look at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mailframe.core.ip import plain_ip, plain_network
from mailframe.runtime.aio import as_deferred
from mailframe.web.safety import protect

_IDLE = 65.0  # seconds; scrapers come once a minute at the latest, and may keep their connection
_MOST = 64
_HEADER_OCTETS = 8192
_HEADER_FIELDS = 64
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_TEXT = "text/plain; charset=utf-8"
_TOO_MUCH = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Answer = tuple[int, str, bytes]
"""Status, Content-Type, body."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so for the server to be of use."""

    name: str
    trouble: str = ""
    """Empty: it is so."""


class Monitored(Protocol):
    """What there is to tell; errors become 500."""

    def page(self, accept: str) -> Awaitable[tuple[bytes, str] | None]:
        """The metrics and their Content-Type; None where they are switched off."""

    def checks(self) -> Awaitable[Sequence[Check]]: ...


class MonitoringChannel(HTTPChannel):
    """One connection."""

    MAX_LENGTH = totalHeadersSize = _HEADER_OCTETS
    maxHeaders = _HEADER_FIELDS
    site: MonitoringSite
    transport: Any
    _is_refused = False

    def connectionMade(self) -> None:
        self.site.open[self] = None
        super().connectionMade()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.site.left(self)

    def dataReceived(self, data: bytes) -> None:
        # Not HTTPChannel's, which gives more time for each octet that drips in.
        LineReceiver.dataReceived(self, data)

    def allHeadersReceived(self) -> None:
        if self.length == 0:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]
            return
        # Twisted would write a large body to a file before anybody is asked about it.
        self._is_refused = True
        self.transport.write(_TOO_MUCH)
        self.loseConnection()  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:
        if not self._is_refused:
            super().rawDataReceived(data)

    def drain(self) -> None:
        if self.requests:
            self.persistent = 0
        else:
            self.loseConnection()  # type: ignore[no-untyped-call]


class MonitoringSite(Site):
    """The factory to listen with, or to wrap for TLS."""

    noisy = False
    protocol = MonitoringChannel  # type: ignore[assignment]

    def __init__(
        self, monitored: Monitored, *, networks: Iterable[str], clock: IReactorTime
    ) -> None:
        """``networks``: whose hosts may ask, as text. A client at a Unix socket may, as far as
        the socket's file lets it."""
        super().__init__(MonitoringPages(monitored, networks), timeout=_IDLE, reactor=clock)  # type: ignore[no-untyped-call]
        self.open: dict[MonitoringChannel, None] = {}
        self._drained: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if len(self.open) >= _MOST:
            return None
        return super().buildProtocol(addr)  # type: ignore[no-untyped-call]

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def log(self, request: Any) -> None:
        """Every few seconds the same is worth no line."""

    def drain(self) -> Deferred[None]:
        """Finish what is being answered; fires when everybody has gone."""
        for channel in list(self.open):
            channel.drain()
        if not self.open:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def left(self, channel: MonitoringChannel) -> None:
        self.open.pop(channel, None)
        if not self.open:
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)


class MonitoringPages(Resource):
    isLeaf = True
    _log = Logger()

    def __init__(self, monitored: Monitored, networks: Iterable[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._monitored = monitored
        self._networks = [plain_network(text) for text in networks]
        self._pages: dict[bytes, Callable[[Request], Coroutine[Any, Any, Answer]]] = {
            b"/metrics": self._metrics,
            b"/livez": self._live,
            b"/readyz": self._ready,
        }

    def render(self, request: Request) -> int:
        protect(request, _POLICY)
        request.setHeader("Server", "mailframe")
        answering = as_deferred(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallback(_send, request)
        answering.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> Answer:
        if not self._may_ask(request):
            return 403, _TEXT, b"not from here: see metrics.networks\n"
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return 405, _TEXT, b"GET and HEAD only\n"
        page = self._pages.get(request.path)
        if page is None:
            return _NOT_FOUND
        try:
            return await page(request)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the last place that can answer
            self._log.failure("cannot answer {path}", path=request.path)
            return 500, _TEXT, b"an error: see the log\n"

    def _may_ask(self, request: Request) -> bool:
        host = getattr(request.getClientAddress(), "host", None)
        if host is None:
            return True
        address = plain_ip(host)
        return address is not None and any(address in network for network in self._networks)

    async def _metrics(self, request: Request) -> Answer:
        accept = request.requestHeaders.getRawHeaders("accept", [""])[0]
        found = await self._monitored.page(accept)
        if found is None:
            return _NOT_FOUND
        text, content_type = found
        return 200, content_type, text

    async def _live(self, request: Request) -> Answer:
        return 200, _TEXT, b"ok\n"

    async def _ready(self, request: Request) -> Answer:
        checks = await self._monitored.checks()
        lines = [f"{check.name}: {check.trouble or 'ok'}\n" for check in checks]
        code = 503 if any(check.trouble for check in checks) else 200
        return code, _TEXT, "".join(lines).encode()


_NOT_FOUND: Answer = (404, _TEXT, b"/metrics, /livez and /readyz are here\n")


def _send(answer: Answer, request: Request) -> None:
    code, content_type, body = answer
    request.setResponseCode(code)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)  # which Twisted leaves out for HEAD
    request.finish()
