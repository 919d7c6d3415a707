"""The site of ``mailframe dev``: a live inbox for people, and an API for tests.

::

    /                        the list, newest first; ?page=2, ?q=SEARCH, ?to=ann@here.test
    /view/ID                 one message; ID is the queue id, or ``latest``
    /view/ID.html .txt       its HTML, for the sandboxed frame, and its text
    /view/ID/part/PART       an attachment
    /view/ID/source          the octets as they are
    /messages, /release      what the forms of the pages post to
    /api/messages            the list as JSON; ?wait=SECONDS waits for the next change
    /api/faults              errors on demand (``faults``)
    /api/v1/...              as Mailpit has it (``api``)
    /livez, /readyz          200

It shows every account's mail to whoever can connect: for loopback only.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection
from importlib.resources import files

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mailframe.errors import MailframeError, MessageGone
from mailframe.interfaces import IMailboxEvents, IWorkers
from mailframe.runtime.aio import as_deferred
from mailframe.web.api import Api
from mailframe.web.catalogue import Accounts, Catalogue, OpenMailbox
from mailframe.web.exchange import (
    BoundedRequest,
    Refused,
    argument,
    decoded,
    send,
    send_text,
)
from mailframe.web.finding import Finder
from mailframe.web.pages import Pages
from mailframe.web.powers import Powers
from mailframe.web.safety import LOOPBACK_NAMES, PAGE_POLICY, comes_from_here, host_is_ours, protect
from mailframe.web.waiting import Waits

_STATIC = {"inbox.css": "text/css; charset=utf-8", "inbox.js": "text/javascript; charset=utf-8"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")

Show = Callable[[Request], Awaitable[None]]


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
        token: str,
        powers: Powers = Powers(),  # noqa: B008 - frozen
        hosts: Collection[str] = LOOPBACK_NAMES,
    ) -> None:
        """``accounts`` and ``open_mailbox`` as of Catalogue. ``workers`` takes messages apart.
        ``token``: text that nobody can guess, for the forms. ``hosts``: the names under which a
        browser may ask for it, without port."""
        self._changes = Waits(clock)
        self._catalogue = Catalogue(
            accounts,
            open_mailbox,
            events=events,
            clock=clock,
            workers=workers,
            changed=self._changes.happened,
        )
        finder = Finder(self._catalogue, powers)
        pages = Pages(finder, workers, token)
        api = Api(finder, self._changes, clock, workers)
        super().__init__(InboxRoot(pages, api, token, hosts), BoundedRequest, reactor=clock)  # type: ignore[no-untyped-call]
        self.displayTracebacks = False

    def stopFactory(self) -> None:
        self._catalogue.stop()
        self._changes.stop()
        super().stopFactory()


class InboxRoot(Resource):
    """Who may ask, which page answers, and what becomes of errors."""

    isLeaf = True
    log = Logger()

    def __init__(self, pages: Pages, api: Api, token: str, hosts: Collection[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pages = pages
        self._api = api
        self._token = token
        self._hosts = frozenset(hosts)

    def render(self, request: Request) -> int:
        protect(request, PAGE_POLICY)
        answering = as_deferred(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        path = [decoded(segment) for segment in request.postpath or []]
        is_api = path[:1] == ["api"]
        try:
            self._admit(request)
            await self._find(request, path)(request)
        except CancelledError:
            raise
        except Refused as refused:
            self._refuse(request, refused.code, refused.why, is_api)
        except MessageGone:
            self._refuse(request, 404, "There is no such message.", is_api)
        except MailframeError as error:
            self._refuse(request, 503, str(error), is_api)
        except Exception:  # noqa: BLE001 - the last place that can answer the browser
            self.log.failure("cannot show {path}", path=request.path)
            self._refuse(request, 500, "This is a bug in mailframe; its log says more.", is_api)

    def _admit(self, request: Request) -> None:
        if not host_is_ours(request, self._hosts):
            raise Refused(403, "This page answers only to names of this machine: localhost.")
        method = decoded(request.method)
        if method not in _METHODS:
            request.setHeader("Allow", ", ".join(_METHODS))
            raise Refused(405, "There is no such method here.")
        if method not in ("GET", "HEAD") and not comes_from_here(request):
            raise Refused(403, "Pages of other sites may not change anything here.")

    def _find(self, request: Request, path: list[str]) -> Show:
        method = decoded(request.method)
        method = "GET" if method == "HEAD" else method
        if path[:1] == ["api"]:
            return self._api.find(method, path[1:])
        if method == "POST":
            given = argument(request, b"token")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise Refused(403, "The form is of another run of the server: load the page anew.")
        match method, path:
            case "GET", ["static", name] if name in _STATIC:
                return lambda request: self._static(request, name)
            case "GET", ["livez" | "readyz"]:
                return _fine
        return self._pages.find(method, path)

    async def _static(self, request: Request, name: str) -> None:
        content = files("mailframe.web").joinpath("static", name).read_bytes()
        send(request, _STATIC[name], content)

    def _refuse(self, request: Request, code: int, why: str, is_api: bool) -> None:
        if request.startedWriting:
            if request.channel is not None:
                request.channel.loseConnection()
        elif is_api or code == 403:
            protect(request, PAGE_POLICY)
            send_text(request, why + "\n", code)
        else:
            protect(request, PAGE_POLICY)
            self._pages.refuse(request, code, why)


async def _fine(request: Request) -> None:
    send_text(request, "ok\n")
