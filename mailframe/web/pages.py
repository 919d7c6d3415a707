"""The pages for people, and what their forms do.

Reading, deleting, marking and releasing work without JavaScript: everything that changes
something is a form, answered by a redirect to the list or to the message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from twisted.web.server import Request

from mailframe.core.units import format_size
from mailframe.interfaces import IWorkers
from mailframe.web.api import send_source
from mailframe.web.exchange import Refused, argument, arguments, number, redirect, send
from mailframe.web.finding import Finder
from mailframe.web.html import links, with_images
from mailframe.web.reading import MAX_TEXT
from mailframe.web.safety import MESSAGE_POLICY, disposition, protect
from mailframe.web.sending import released

PAGE = 50
MAX_PAGES = 100_000
_FIELDS_SHOWN = 1_000

Show = Callable[[Request], Awaitable[None]]


class Pages:
    def __init__(self, finder: Finder, workers: IWorkers, token: str) -> None:
        self._finder = finder
        self._catalogue = finder.catalogue
        self._workers = workers
        self._templates = Environment(
            loader=PackageLoader("mailframe.web"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters.update(
            size=_size, when=_when, machine=_machine, segment=segment, query=_query
        )
        self._templates.globals.update(token=token, release_to=finder.powers.release_to)

    def find(self, method: str, path: list[str]) -> Show:
        """Raises Refused."""
        found = self._found(path)
        if not found:
            raise Refused(404, "There is no such page.")
        if method not in found:
            raise Refused(405, f"There is no {method} here.")
        return found[method]

    def _found(self, path: list[str]) -> dict[str, Show]:
        match path:
            case [""]:
                return {"GET": self._list}
            case ["messages"]:
                return {"POST": self._act}
            case ["release"]:
                return {"POST": self._release}
            case ["view", "latest"]:
                return {"GET": self._latest}
            case ["view", name] if name.endswith(".html"):
                return {"GET": lambda request: self._html(request, name.removesuffix(".html"))}
            case ["view", name] if name.endswith(".txt"):
                return {"GET": lambda request: self._text(request, name.removesuffix(".txt"))}
            case ["view", id]:
                return {"GET": lambda request: self._message(request, id)}
            case ["view", id, "source"]:
                return {"GET": lambda request: self._source(request, id)}
            case ["view", id, "part", part]:
                return {"GET": lambda request: self._part(request, id, part)}
        return {}

    def refuse(self, request: Request, code: int, why: str) -> None:
        self._send(request, "refused.html", code, why=why)

    # -- reading

    async def _list(self, request: Request) -> None:
        page = min(max(1, number(request, b"page", 1)), MAX_PAGES)
        query, to = argument(request, b"q"), argument(request, b"to")
        found = await self._finder.page((page - 1) * PAGE, PAGE, query=query, to=to)
        self._send(
            request,
            "list.html",
            found=found,
            query=query,
            to=to,
            page=page,
            pages=max(1, -(-found.matching // PAGE)),
        )

    async def _latest(self, request: Request) -> None:
        message = await self._finder.message("latest", argument(request, b"query"))
        redirect(request, f"/view/{segment(message.id)}")

    async def _message(self, request: Request, id: str) -> None:
        message = await self._finder.message(id)
        candidate = await self._finder.candidate(message)
        reading = await self._catalogue.reading(message)
        self._catalogue.mark([message], True)
        text = reading.text.text if reading.text else ""
        html = reading.html.text if reading.html else ""
        self._send(
            request,
            "message.html",
            message=message,
            candidate=candidate,
            reading=reading,
            fields=reading.headers[:_FIELDS_SHOWN],
            text=text[:MAX_TEXT],
            is_cut=reading.is_cut or len(text) > MAX_TEXT,
            links=await self._workers.run(links, html, text[:MAX_TEXT]),
            username=self._finder.powers.username(message.id),
        )

    async def _html(self, request: Request, id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        reading = await self._catalogue.reading(message)
        if reading.html is None:
            raise Refused(404, "The message has no HTML.")
        html: str = await self._workers.run(with_images, reading.html.text, reading.parts)
        protect(request, MESSAGE_POLICY)
        send(request, "text/html; charset=utf-8", html.encode("utf-8", "replace"))

    async def _text(self, request: Request, id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        reading = await self._catalogue.reading(message)
        protect(request, MESSAGE_POLICY)
        send(request, "text/plain; charset=utf-8", reading.all_text.encode("utf-8", "replace"))

    async def _part(self, request: Request, id: str, part_id: str) -> None:
        message = await self._finder.message(id)
        part = (await self._catalogue.reading(message)).part(part_id)
        if part is None:
            raise Refused(404, "The message has no such part.")
        protect(request, MESSAGE_POLICY)
        name = part.name or f"part-{part.id}"
        request.setHeader("Content-Disposition", disposition("attachment", name))
        # Never the declared type: a browser must not be talked into running it.
        send(request, "application/octet-stream", part.content)

    async def _source(self, request: Request, id: str) -> None:
        message = await self._finder.message(id)
        await send_source(request, await self._catalogue.source(message), message)

    # -- changing

    async def _act(self, request: Request) -> None:
        """``delete``, ``read`` or ``unread`` what is ticked; ``delete-all`` what is listed."""
        action = argument(request, b"action")
        query, to = argument(request, b"q"), argument(request, b"to")
        if action == "delete-all":
            messages = await self._finder.matching(query, to=to)
        else:
            messages = await self._finder.messages(arguments(request, b"id"))
        if action in ("delete", "delete-all"):
            if left := await self._catalogue.remove(messages):
                raise Refused(500, f"{left} could not be removed; the log says why.")
        elif action in ("read", "unread"):
            self._catalogue.mark(messages, action == "read")
        else:
            raise Refused(400, "There is no such action.")
        page = max(1, number(request, b"page", 1))
        redirect(request, f"/{_query({'q': query, 'to': to, 'page': page if page > 1 else ''})}")

    async def _release(self, request: Request) -> None:
        message = await self._finder.message(argument(request, b"id"))
        if argument(request, b"sure") != "yes":
            raise Refused(400, "Tick the box that says that the message may leave this machine.")
        to = argument(request, b"recipients").replace(",", " ").split()
        if not to:
            raise Refused(400, "There is nobody to send it to.")
        said = await released(self._finder, message, to)
        self._send(request, "released.html", message=message, to=to, said=said)

    # -- how

    def _send(self, request: Request, template: str, code: int = 200, **values: Any) -> None:
        page = self._templates.get_template(template).render(values)
        send(request, "text/html; charset=utf-8", page.encode("utf-8", "replace"), code)


def segment(text: str) -> str:
    """For use in a path; nothing in it is left to mean something there."""
    return quote(text, safe="@", errors="replace")


def _query(values: dict[str, Any]) -> str:
    """``?name=value`` of those that are not empty; empty where none is."""
    given = {name: value for name, value in values.items() if value not in ("", None)}
    return f"?{urlencode(given, errors='replace')}" if given else ""


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _machine(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _size(octets: int) -> str:
    return f"{format_size(octets)}B"
