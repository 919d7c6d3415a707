"""The inbox page of ``mailframe dev``.

::

    /                               the list, newest first; ?page=2, ?account=ann@here.test
    /message/ACCOUNT/UID            one message
    /message/ACCOUNT/UID/html       its HTML, for the sandboxed frame
    /message/ACCOUNT/UID/part/N     an attachment
    /message/ACCOUNT/UID/source     the octets as they are
    /api/messages                   the list as JSON; ?wait=SECONDS waits for the next arrival

It shows every account's mail to whoever can connect: for loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mailframe.core.events import MailboxEvent, MessageArrived
from mailframe.core.units import format_size
from mailframe.errors import MessageGone
from mailframe.interfaces import IMailboxEvents, IWorkers
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.sources import read_and_close
from mailframe.web.listing import Accounts, Inboxes, Listed, OpenMailbox
from mailframe.web.reading import MAX_TEXT, Reading, read_message
from mailframe.web.safety import (
    LOOPBACK_NAMES,
    MESSAGE_POLICY,
    PAGE_POLICY,
    disposition,
    host_is_ours,
    protect,
)
from mailframe.web.streaming import stream

PAGE = 50
MAX_SHOWN = 25 << 20  # octets of a message that are taken apart; the source shows all
_MAX_WAIT = 60.0
_STATIC = {"inbox.css": "text/css; charset=utf-8", "inbox.js": "text/javascript; charset=utf-8"}


class NotFound(Exception):
    """404, with words for the person."""


class InboxSite(Site):
    """The factory to listen with. It subscribes to ``events`` until ``stopFactory``."""

    def __init__(
        self,
        events: IMailboxEvents,
        accounts: Accounts,
        open_mailbox: OpenMailbox,
        *,
        clock: IReactorTime,
        workers: IWorkers,
        hosts: Collection[str] = LOOPBACK_NAMES,
    ) -> None:
        """``accounts()`` yields the names of all accounts, ``open_mailbox(account, folder)`` an
        IMailbox; either may be awaited. ``workers`` takes messages apart. ``hosts``: the names
        under which a browser may ask for it, without port."""
        self._inbox = InboxPages(
            Inboxes(accounts, open_mailbox), Arrivals(events, clock), workers, hosts
        )
        super().__init__(self._inbox, reactor=clock)  # type: ignore[no-untyped-call]
        self.displayTracebacks = False

    def stopFactory(self) -> None:
        self._inbox.arrivals.stop()
        super().stopFactory()


class Arrivals:
    """Lets requests wait until something arrives."""

    def __init__(self, events: IMailboxEvents, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[Deferred[None]] = []
        self._unsubscribe = events.subscribe(self._heard)

    def stop(self) -> None:
        self._unsubscribe()
        self._wake()

    def next(self, seconds: float) -> Deferred[None]:
        """Fires at the next arrival, or after ``seconds``."""
        arrival: Deferred[None] = Deferred(self._forget)
        self._waiting.append(arrival)
        timer = self._clock.callLater(seconds, self._fire, arrival)

        def done(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            return result

        return arrival.addBoth(done)

    def _heard(self, event: MailboxEvent) -> None:
        if isinstance(event, MessageArrived):
            self._wake()

    def _wake(self) -> None:
        for arrival in list(self._waiting):
            self._fire(arrival)

    def _fire(self, arrival: Deferred[None]) -> None:
        self._forget(arrival)
        arrival.callback(None)

    def _forget(self, arrival: Deferred[None]) -> None:
        if arrival in self._waiting:
            self._waiting.remove(arrival)


class InboxPages(Resource):
    """Every page; ``Answer`` is what each makes."""

    isLeaf = True
    log = Logger()

    def __init__(
        self, inboxes: Inboxes, arrivals: Arrivals, workers: IWorkers, hosts: Collection[str]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arrivals = arrivals
        self._inboxes = inboxes
        self._workers = workers
        self._hosts = frozenset(hosts)
        self._templates = Environment(
            loader=PackageLoader("mailframe.web"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters.update(size=_size, when=_when, segment=_segment)

    def render(self, request: Request) -> int | bytes:
        protect(request, PAGE_POLICY)
        if not host_is_ours(request, self._hosts):
            request.setResponseCode(403)
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
            return b"This page answers only to the names of this machine, such as localhost.\n"
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(405)
            request.setHeader("Allow", "GET, HEAD")
            return b""
        answering = as_deferred(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        try:
            await self._find_page(request)(request)
        except (NotFound, MessageGone):
            self._send_page(request, "missing.html", code=404)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the last place that can answer the browser
            self.log.failure("cannot show {path}", path=request.path)
            if not request.startedWriting:
                self._send_page(request, "failed.html", code=500)
            elif request.channel is not None:
                request.channel.loseConnection()

    def _find_page(self, request: Request) -> Callable[[Request], Awaitable[None]]:
        match [_decoded(segment) for segment in request.postpath or []]:
            case [""]:
                return self._list
            case ["api", "messages"]:
                return self._api_list
            case ["static", name] if name in _STATIC:
                return lambda request: self._static(request, name)
            case ["message", account, uid]:
                return lambda request: self._message(request, account, uid)
            case ["message", account, uid, "html"]:
                return lambda request: self._html(request, account, uid)
            case ["message", account, uid, "source"]:
                return lambda request: self._source(request, account, uid)
            case ["message", account, uid, "part", number] if number.isascii() and number.isdigit():
                return lambda request: self._part(request, account, uid, int(number[:6]))
        raise NotFound

    # -- pages

    async def _list(self, request: Request) -> None:
        number = max(1, _number(request, b"page", 1))
        account = _argument(request, b"account")
        messages, total = await self._inboxes.page((number - 1) * PAGE, PAGE, account)
        pages = max(1, -(-total // PAGE))
        self._send_page(
            request,
            "list.html",
            messages=messages,
            total=total,
            account=account,
            number=number,
            pages=pages,
        )

    async def _message(self, request: Request, account: str, uid: str) -> None:
        info, reading = await self._read(account, uid)
        text = reading.text.text if reading.text else ""
        self._send_page(
            request,
            "message.html",
            account=account,
            uid=uid,
            info=info,
            reading=reading,
            text=text[:MAX_TEXT],
            is_cut=reading.is_cut or len(text) > MAX_TEXT,
        )

    async def _html(self, request: Request, account: str, uid: str) -> None:
        _, reading = await self._read(account, uid)
        if reading.html is None:
            raise NotFound
        protect(request, MESSAGE_POLICY)
        html = reading.html.text.encode("utf-8", "replace")
        _send(request, "text/html; charset=utf-8", html)

    async def _part(self, request: Request, account: str, uid: str, number: int) -> None:
        _, reading = await self._read(account, uid)
        if number >= len(reading.parts):
            raise NotFound
        part = reading.parts[number]
        protect(request, MESSAGE_POLICY)
        name = part.name or f"part-{number}"
        request.setHeader("Content-Disposition", disposition("attachment", name))
        # Never the declared type: a browser must not be talked into running it.
        _send(request, "application/octet-stream", part.content)

    async def _source(self, request: Request, account: str, uid: str) -> None:
        _, source = await self._inboxes.open(account, uid)
        protect(request, MESSAGE_POLICY)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        request.setHeader("Content-Disposition", disposition("inline", f"{uid}.eml"))
        await stream(request, source)

    async def _api_list(self, request: Request) -> None:
        if wait := _number(request, b"wait", 0):
            await self.arrivals.next(min(float(wait), _MAX_WAIT))
        count = min(max(1, _number(request, b"limit", PAGE)), 1000)
        messages, total = await self._inboxes.page(0, count, _argument(request, b"account"))
        answer = {"total": total, "messages": [_as_object(message) for message in messages]}
        body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
        _send(request, "application/json", body)

    async def _static(self, request: Request, name: str) -> None:
        _send(request, _STATIC[name], files("mailframe.web").joinpath("static", name).read_bytes())

    # -- how

    async def _read(self, account: str, uid: str) -> tuple[Any, Reading]:
        info, source = await self._inboxes.open(account, uid)
        data = await read_and_close(source, MAX_SHOWN)
        return info, await self._workers.run(read_message, data, len(data) >= info.size)

    def _send_page(self, request: Request, template: str, code: int = 200, **values: Any) -> None:
        page = self._templates.get_template(template).render(values)
        request.setResponseCode(code)
        _send(request, "text/html; charset=utf-8", page.encode("utf-8", "replace"))


def _send(request: HttpRequest, content_type: str, body: bytes) -> None:
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def _as_object(message: Listed) -> dict[str, Any]:
    path = f"/message/{_segment(message.account)}/{_segment(message.uid)}"
    return {
        "account": message.account,
        "uid": message.uid,
        "received": _iso(message.received),
        "size": message.size,
        **message.summary,
        "url": path,
        "source": f"{path}/source",
    }


def _argument(request: Request, name: bytes) -> str:
    return _decoded(request.args.get(name, [b""])[0])


def _number(request: Request, name: bytes, default: int) -> int:
    text = _argument(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _segment(text: str) -> str:
    """For use in a path; nothing in it is left to mean something there."""
    return quote(text, safe="@")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _size(octets: int) -> str:
    return f"{format_size(octets)}B"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
