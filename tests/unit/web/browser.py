"""The inbox site and some mailboxes, asked without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from mailframe.core.events import MailboxEvent, MessageArrived, MessagesRemoved
from mailframe.core.ids import IdSource
from mailframe.errors import MessageGone
from mailframe.interfaces import IMailbox, IMailboxEvents, IMessageSource, MessageInfo
from mailframe.runtime.workers import InlineWorkers
from mailframe.web.inbox import InboxSite
from mailframe.web.powers import Powers

ANN, EVE = "ann@here.test", "eve@here.test"
NOW = 1_800_000_000.0
TOKEN = "a token"


@implementer(IMailboxEvents)
class Events:
    def __init__(self) -> None:
        self.listeners: list[Callable[[MailboxEvent], None]] = []

    def subscribe(
        self, listener: Callable[[MailboxEvent], None], account: str = "", *, here: bool = False
    ) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def publish(self, event: MailboxEvent) -> None:
        for listener in self.listeners:
            listener(event)


@implementer(IMessageSource)
class Source:
    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.left = memoryview(data)
        self.closed = False

    async def read(self, octets: int) -> bytes:
        chunk, self.left = self.left[:octets], self.left[octets:]
        return bytes(chunk)

    def close(self) -> None:
        self.closed = True


@implementer(IMailbox)
class Box:
    def __init__(self, account: str, events: Events) -> None:
        self.account = account
        self.events = events
        self.mail: dict[str, tuple[bytes, float]] = {}
        self.opened: list[Source] = []
        self.listed = 0
        self.stubborn = False

    async def messages(self) -> tuple[MessageInfo, ...]:
        self.listed += 1
        return tuple(MessageInfo(uid, len(data), when) for uid, (data, when) in self.mail.items())

    async def open(self, uid: str) -> IMessageSource:
        if uid not in self.mail:
            raise MessageGone(uid)
        self.opened.append(Source(self.mail[uid][0]))
        return self.opened[-1]

    async def remove(self, uids: Collection[str]) -> frozenset[str]:
        if self.stubborn:
            return frozenset(uids)
        for uid in uids:
            self.mail.pop(uid, None)
        self.events.publish(MessagesRemoved(self.account, "", tuple(uids)))
        return frozenset()


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.code = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        if self.headers.get("transfer-encoding") == "chunked":
            body = b"".join(body.split(b"\r\n")[1::2])
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    def __init__(self, powers: Powers | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.events = Events()
        self.boxes = {name: Box(name, self.events) for name in (ANN, EVE)}
        self.ids = IdSource(self.clock.seconds, 7)
        self.site = InboxSite(
            self.events,
            lambda: self.boxes,
            lambda account, folder: self.boxes[account],
            clock=self.clock,
            workers=InlineWorkers(),
            token=TOKEN,
            powers=powers or Powers(),
        )
        self.site.doStart()

    # -- asking

    def begin(
        self,
        path: str,
        host: str = "localhost:8025",
        method: str = "GET",
        body: bytes | None = None,
        **fields: str,
    ) -> Any:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        head = [f"{method} {path} HTTP/1.1", "Connection: close"]
        head += [f"Host: {host}"] if host else []
        head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        head += [f"Content-Length: {len(body)}"] if body is not None else []
        protocol.dataReceived("\r\n".join([*head, "", ""]).encode() + (body or b""))
        return transport

    def get(
        self, path: str, host: str = "localhost:8025", method: str = "GET", **fields: str
    ) -> Answer:
        return Answer(self.begin(path, host, method, **fields).value())

    def ask(self, method: str, path: str, value: Any = None, **fields: str) -> Answer:
        """With a JSON body."""
        body = None if value is None else json.dumps(value).encode()
        fields = {"Content_Type": "application/json"} | fields
        return Answer(self.begin(path, method=method, body=body, **fields).value())

    def post(self, path: str, form: str, **fields: str) -> Answer:
        """As a form of the pages does."""
        fields = {"Content_Type": "application/x-www-form-urlencoded"} | fields
        return Answer(self.begin(path, method="POST", body=form.encode(), **fields).value())

    def list(self, query: str = "") -> list[Any]:
        return list(self.get(f"/api/v1/messages{query}").json["messages"])

    # -- mail

    def put(self, data: bytes, uid: str = "1", account: str = ANN, when: float = NOW) -> None:
        """As a program does that is not ours: nothing is told."""
        self.boxes[account].mail[uid] = (data, when)

    def send(self, data: bytes, *accounts: str, sender: str = "bob@there.test") -> str:
        """By SMTP, as it lies in the mailboxes afterwards; its queue id."""
        self.clock.advance(0.001)
        queue_id = self.ids()
        for account in accounts or (ANN,):
            top = f"Return-Path: <{sender}>\r\nDelivered-To: {account}\r\n"
            top += f"Received: from c.test by here.test with ESMTP id {queue_id};\r\n\tx\r\n"
            uid = f"{queue_id}.{account}"
            whole = top.encode() + data
            self.put(whole, uid, account, float(int(self.clock.seconds())))
            self.events.publish(MessageArrived(account, "", uid, queue_id, len(whole)))
        return queue_id
