"""The JSON API: the routes that users of Mailpit know, and a few of our own.

Paths, members and codes are those of Mailpit's API v1, so that test helpers written for it work
as they are; ``docs/dev.md`` has the table, and what differs. Errors are 400 or 404 with words as
plain text. Nothing needs a login; what changes something is refused to pages of other sites.
"""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.message.headers import split_message
from mailframe.runtime.sources import read_and_close
from mailframe.web.catalogue import Message
from mailframe.web.exchange import (
    Refused,
    argument,
    json_body,
    number,
    send,
    send_json,
    send_text,
)
from mailframe.web.faults import FaultError, Faults
from mailframe.web.finding import Finder, Found
from mailframe.web.mailpit_json import headers_object, message_object, summary_object
from mailframe.web.safety import MESSAGE_POLICY, disposition, protect
from mailframe.web.sending import Sending
from mailframe.web.streaming import stream
from mailframe.web.waiting import Waits

PAGE = 50
MAX_PAGE = 5_000
_MAX_WAIT = 60.0
_HEADER_OCTETS = 1 << 20

Show = Callable[[Request], Awaitable[None]]


class Api:
    def __init__(
        self, finder: Finder, changes: Waits, clock: IReactorTime, workers: IWorkers
    ) -> None:
        self._finder = finder
        self._catalogue = finder.catalogue
        self._powers = finder.powers
        self._changes = changes
        self._clock = clock
        self._sending = Sending(finder, clock, workers)
        self._began = clock.seconds()

    def find(self, method: str, path: list[str]) -> Show:
        """``path``: what follows ``/api``. Raises Refused."""
        found = self._of_mailpit(path[1:]) if path[:1] == ["v1"] else self._of_ours(path)
        if not found:
            raise Refused(404, "There is no such route.")
        if method not in found:
            raise Refused(405, f"There is no {method} here, only {', '.join(found)}.")
        return found[method]

    def _of_mailpit(self, path: list[str]) -> dict[str, Show]:
        match path:
            case ["messages"]:
                return {"GET": self._list, "PUT": self._mark, "DELETE": self._delete}
            case ["search"]:
                return {"GET": self._search, "DELETE": self._delete_search}
            case ["message", id]:
                return {"GET": lambda request: self._message(request, id)}
            case ["message", id, "headers"]:
                return {"GET": lambda request: self._headers(request, id)}
            case ["message", id, "raw"]:
                return {"GET": lambda request: self._raw(request, id)}
            case ["message", id, "part", part]:
                return {"GET": lambda request: self._part(request, id, part)}
            case ["message", id, "release"]:
                return {"POST": lambda request: self._sending.release(request, id)}
            case ["send"]:
                return {"POST": self._sending.send}
            case ["tags"]:
                return {"GET": self._tags, "PUT": self._set_tags}
            case ["tags", tag]:
                return {
                    "PUT": lambda request: self._change_tag(request, tag, renamed=True),
                    "DELETE": lambda request: self._change_tag(request, tag, renamed=False),
                }
            case ["chaos"]:
                return {"GET": self._chaos, "PUT": self._set_chaos}
            case ["info"]:
                return {"GET": self._info}
            case ["webui"]:
                return {"GET": self._webui}
        return {}

    def _of_ours(self, path: list[str]) -> dict[str, Show]:
        match path:
            case ["messages"]:
                return {"GET": self._list_waiting}
            case ["faults"]:
                return {
                    "GET": self._faults,
                    "POST": self._add_fault,
                    "DELETE": self._clear_faults,
                }
        return {}

    # -- lists

    async def _list(self, request: Request) -> None:
        start, count = _start_and_count(request)
        found = await self._finder.page(start, count or MAX_PAGE)
        send_json(request, self._page_object(found, start))

    async def _search(self, request: Request) -> None:
        start, count = _start_and_count(request)
        found = await self._finder.page(
            start, count, query=_query(request), zone=argument(request, b"tz")
        )
        send_json(request, self._page_object(found, start))

    async def _list_waiting(self, request: Request) -> None:
        """With ``state``: until it is another one than that; without: until the next change."""
        wait = min(float(number(request, b"wait", 0)), _MAX_WAIT)
        known = argument(request, b"state")
        if wait and known in ("", str(self._changes.state)):
            await self._changes.next(wait)
        state = self._changes.state  # what changes from here on may be in the answer, or not
        count = min(number(request, b"limit", PAGE), MAX_PAGE)
        found = await self._finder.page(
            0, count, query=argument(request, b"q"), to=argument(request, b"to")
        )
        page = self._page_object(found, 0)
        for listed, each in zip(page["messages"], found.candidates, strict=True):
            listed["Recipients"] = list(each.message.recipients)
        send_json(request, {"state": state, **page})

    def _page_object(self, found: Found, start: int) -> dict[str, Any]:
        username = self._powers.username
        return {
            "total": found.total,
            "unread": found.unread,
            "count": len(found.candidates),
            "messages_count": found.matching,
            "messages_unread": found.matching_unread,
            "start": start,
            "tags": sorted({tag for each in found.candidates for tag in each.tags}),
            "messages": [
                summary_object(each, username(each.message.id)) for each in found.candidates
            ],
        }

    # -- one message

    async def _message(self, request: Request, id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        candidate = await self._finder.candidate(message)
        reading = await self._catalogue.reading(message)
        header = await self._header(message)
        self._catalogue.mark([message], True)
        username = self._powers.username(message.id)
        send_json(request, message_object(candidate, reading, header, username))

    async def _headers(self, request: Request, id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        send_json(request, headers_object(await self._header(message)))

    async def _raw(self, request: Request, id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        await send_source(request, await self._catalogue.source(message), message)

    async def _part(self, request: Request, id: str, part_id: str) -> None:
        message = await self._finder.message(id, argument(request, b"query"))
        part = (await self._catalogue.reading(message)).part(part_id)
        if part is None:
            raise Refused(404, "The message has no such part.")
        # As declared, unlike on the page: a test wants to know. The policy has it do nothing.
        protect(request, MESSAGE_POLICY)
        name = part.name or part.content_id or f"part-{part.id}"
        request.setHeader("Content-Disposition", disposition("inline", name))
        send(request, part.media_type, part.content)

    async def _header(self, message: Message) -> bytes:
        source = await self._catalogue.source(message)
        return split_message(await read_and_close(source, _HEADER_OCTETS))[0]

    # -- changing

    async def _mark(self, request: Request) -> None:
        given = json_body(request)
        ids, query = _ids(given), given.get("search") or ""
        if ids and query:
            raise Refused(400, "Give either IDs or Search, not both.")
        messages = (
            await self._finder.messages(ids)
            if ids
            else await self._finder.matching(str(query), zone=argument(request, b"tz"))
        )
        self._catalogue.mark(messages, _is_true(given.get("read")))
        send_text(request, "ok")

    async def _delete(self, request: Request) -> None:
        ids = _ids(json_body(request))
        found = await self._finder.messages(ids) if ids else await self._finder.matching("")
        await self._remove(request, found)

    async def _delete_search(self, request: Request) -> None:
        found = await self._finder.matching(_query(request), zone=argument(request, b"tz"))
        await self._remove(request, found)

    async def _remove(self, request: Request, messages: list[Message]) -> None:
        if left := await self._catalogue.remove(messages):
            raise Refused(500, f"{left} could not be removed; the log says why")
        send_text(request, "ok")

    # -- tags

    async def _tags(self, request: Request) -> None:
        send_json(request, sorted(await self._all_tags()))

    async def _all_tags(self) -> dict[str, int]:
        """Of every message, and how many have each."""
        counts: dict[str, int] = {}
        found = await self._finder.page(0, MAX_PAGE)
        for tag in (tag for each in found.candidates for tag in each.tags):
            counts[tag] = counts.get(tag, 0) + 1
        return counts

    async def _set_tags(self, request: Request) -> None:
        given = json_body(request)
        tags = given.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Refused(400, "Tags must be a list of texts.")
        for message in await self._finder.messages(_ids(given)):
            self._catalogue.set_tags(message, _clean(tags))
        send_text(request, "ok")

    async def _change_tag(self, request: Request, tag: str, renamed: bool) -> None:
        name = json_body(request).get("name") if renamed else ""
        if renamed and not (isinstance(name, str) and name.strip()):
            raise Refused(400, "Name must be a text.")
        for each in (await self._finder.page(0, MAX_PAGE)).candidates:
            if tag in each.tags:
                tags = [str(name) if one == tag else one for one in each.tags]
                self._catalogue.set_tags(each.message, _clean(tags))
        send_text(request, "ok")

    # -- errors on demand

    def _demanded(self) -> Faults:
        if self._powers.faults is None:
            raise Refused(400, "This server makes no errors on demand.")
        return self._powers.faults

    async def _chaos(self, request: Request) -> None:
        triggers = self._demanded().triggers
        send_json(request, {name: each.as_object() for name, each in triggers.items()})

    async def _set_chaos(self, request: Request) -> None:
        try:
            self._demanded().set_triggers(json_body(request))
        except FaultError as error:
            raise Refused(400, str(error)) from error
        await self._chaos(request)

    async def _faults(self, request: Request) -> None:
        send_json(request, [fault.as_object() for fault in self._demanded().faults])

    async def _add_fault(self, request: Request) -> None:
        try:
            fault = self._demanded().add(json_body(request))
        except FaultError as error:
            raise Refused(400, str(error)) from error
        send_json(request, fault.as_object())

    async def _clear_faults(self, request: Request) -> None:
        self._demanded().clear()
        send_text(request, "ok")

    # -- about the server

    async def _info(self, request: Request) -> None:
        found = await self._finder.page(0, MAX_PAGE)
        tags = await self._all_tags()
        size = sum(each.message.size for each in found.candidates)
        answer = {
            "Version": f"mailframe {self._powers.version}",
            "LatestVersion": "disabled",
            "Database": self._powers.base,
            "DatabaseSize": size,
            "Messages": found.total,
            "Unread": found.unread,
            "Tags": tags,
            "RuntimeStats": {
                "Uptime": int(self._clock.seconds() - self._began),
                "Memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
                "MessagesDeleted": self._catalogue.removed,
                "SMTPAccepted": self._catalogue.arrived,
                "SMTPAcceptedSize": self._catalogue.arrived_size,
                "SMTPRejected": 0,
                "SMTPIgnored": 0,
            },
        }
        send_json(request, answer)

    async def _webui(self, request: Request) -> None:
        answer = {
            "Label": "mailframe dev",
            "MessageRelay": {
                "Enabled": self._powers.release is not None,
                "SMTPServer": self._powers.release_to,
                "ReturnPath": "",
                "AllowedRecipients": "",
                "BlockedRecipients": "",
                "OverrideFrom": "",
                "PreserveMessageIDs": True,
            },
            "SpamAssassin": False,
            "ChaosEnabled": self._powers.faults is not None,
            "DuplicatesIgnored": False,
            "HideDeleteAllButton": False,
        }
        send_json(request, answer)


async def send_source(request: Request, source: IMessageSource, message: Message) -> None:
    protect(request, MESSAGE_POLICY)
    kind = "attachment" if argument(request, b"dl") == "1" else "inline"
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    request.setHeader("Content-Disposition", disposition(kind, f"{message.id}.eml"))
    await stream(request, source)


def _start_and_count(request: Request) -> tuple[int, int]:
    return number(request, b"start", 0), min(number(request, b"limit", PAGE), MAX_PAGE)


def _query(request: Request) -> str:
    query = argument(request, b"query").strip()
    if not query:
        raise Refused(400, "There is no search query.")
    return query


def _ids(given: dict[str, Any]) -> list[str]:
    ids = given.get("ids") or []
    if not isinstance(ids, list):
        raise Refused(400, "IDs must be a list.")
    return [str(id) for id in ids]


def _is_true(value: object) -> bool:
    """A form can say it only in letters."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))


def _clean(tags: Iterable[str]) -> list[str]:
    return [tag for each in tags if (tag := each.strip()[:100])][:50]
