"""Mail that is sent by HTTP: into the server, or out of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from mailframe.errors import MailframeError
from mailframe.interfaces import IWorkers
from mailframe.message.headers import split_message
from mailframe.runtime.aio import result_of
from mailframe.runtime.sources import read_and_close
from mailframe.web.catalogue import MAX_SHOWN, Message
from mailframe.web.composing import Composed, CompositionError, compose, without_fields
from mailframe.web.exchange import Refused, json_body, send_json, send_text
from mailframe.web.finding import Finder
from mailframe.web.mailpit_json import sender_of
from mailframe.web.powers import Send

# What a message gets here, and what is nobody else's business.
_OF_OURS = ("Return-Path", "Delivered-To", "Bcc")


class Sending:
    def __init__(self, finder: Finder, clock: IReactorTime, workers: IWorkers) -> None:
        self._finder = finder
        self._powers = finder.powers
        self._clock = clock
        self._workers = workers
        self._sent = 0

    async def send(self, request: Request) -> None:
        try:
            composed = await self._compose(json_body(request))
            if self._powers.send is None:
                raise Refused(400, "this server takes no mail by HTTP")
            id = await self._powers.send(composed.sender, composed.recipients, composed.content)
        except (Refused, CompositionError, MailframeError) as error:
            send_json(request, {"Error": str(error)}, 400)
            return
        await self._powers.settled()
        send_json(request, {"ID": id})

    async def _compose(self, given: dict[str, Any]) -> Composed:
        self._sent += 1
        now = self._clock.seconds()
        message_id = f"<{int(now * 1_000_000)}.{self._sent}@mailframe.localhost>"
        composed: Composed = await self._workers.run(compose, given, formatdate(now), message_id)
        return composed

    async def release(self, request: Request, id: str) -> None:
        message = await self._finder.message(id)
        to = json_body(request).get("to")
        if not isinstance(to, list) or not all(isinstance(each, str) for each in to) or not to:
            raise Refused(400, "To must be a list of addresses.")
        await released(self._finder, message, to)
        send_text(request, "ok")


async def released(finder: Finder, message: Message, to: Iterable[str]) -> str:
    """Send it out of the machine; what the server there said. Raises Refused."""
    deliver: Send | None = finder.powers.release
    if deliver is None:
        raise Refused(400, "Nothing leaves this machine: start it with --release-to HOST:PORT.")
    if message.size > MAX_SHOWN:
        raise Refused(400, "The message is too large to be released.")
    data = await read_and_close(await finder.catalogue.source(message), message.size)
    sender = message.reverse_path or sender_of(split_message(data)[0])
    try:
        return await result_of(deliver(sender, list(to), without_fields(data, _OF_OURS)))
    except MailframeError as error:
        raise Refused(400, f"It was not released: {error}") from error
