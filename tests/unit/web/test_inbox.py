"""The dev inbox: every message can be looked at, none can do anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from mailframe.core.events import MailboxEvent, MessageArrived
from mailframe.errors import MessageGone
from mailframe.interfaces import IMailbox, IMailboxEvents, IMessageSource, MessageInfo
from mailframe.runtime.workers import InlineWorkers
from mailframe.web.inbox import InboxSite
from mailframe.web.words import to_text

ANN = "ann@here.test"
SIMPLE = b"From: Bob <bob@there.test>\r\nTo: ann@here.test\r\nSubject: Hello\r\n\r\nHi Ann\r\n"


@implementer(IMailboxEvents)
class Events:
    def __init__(self) -> None:
        self.listeners: list[Callable[[MailboxEvent], None]] = []

    def subscribe(self, listener: Callable[[MailboxEvent], None]) -> Callable[[], None]:
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
    def __init__(self) -> None:
        self.mail: dict[str, bytes] = {}
        self.opened: list[Source] = []

    async def messages(self) -> tuple[MessageInfo, ...]:
        return tuple(
            MessageInfo(uid, len(data), 1_800_000_000.0 + number)
            for number, (uid, data) in enumerate(self.mail.items())
        )

    async def open(self, uid: str) -> IMessageSource:
        if uid not in self.mail:
            raise MessageGone(uid)
        self.opened.append(Source(self.mail[uid]))
        return self.opened[-1]


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


class Browser:
    """The site and one box, asked without sockets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events = Events()
        self.boxes = {ANN: Box(), "eve@here.test": Box()}
        self.site = InboxSite(
            self.events,
            lambda: self.boxes,
            lambda account, folder: self.boxes[account],
            clock=self.clock,
            workers=InlineWorkers(),
        )
        self.site.doStart()

    def begin(self, path: str, host: str = "localhost:8025", method: str = "GET") -> Any:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        host_line = f"Host: {host}\r\n" if host else ""
        request = f"{method} {path} HTTP/1.1\r\n{host_line}Connection: close\r\n\r\n"
        protocol.dataReceived(request.encode())
        return transport

    def get(self, path: str, host: str = "localhost:8025", method: str = "GET") -> Answer:
        return Answer(self.begin(path, host, method).value())

    def put(self, data: bytes, uid: str = "1", account: str = ANN) -> None:
        self.boxes[account].mail[uid] = data


@pytest.fixture
def browser() -> Browser:
    return Browser()


def page_of(browser: Browser, data: bytes) -> str:
    """The message's page, after every other page about it was seen to work too."""
    browser.put(data)
    assert browser.get("/").code == 200
    assert json.loads(browser.get("/api/messages").body)["total"] == 1
    assert browser.get(f"/message/{ANN}/1/source").body == data
    answer = browser.get(f"/message/{ANN}/1")
    assert answer.code == 200, answer.text
    for number in range(min(5, answer.text.count("/part/"))):
        assert browser.get(f"/message/{ANN}/1/part/{number}").code == 200
    assert all(source.closed for box in browser.boxes.values() for source in box.opened)
    return answer.text


def test_an_empty_inbox_says_how_to_fill_it(browser: Browser) -> None:
    answer = browser.get("/")
    assert answer.code == 200
    assert "Nothing has arrived yet" in answer.text


def test_newest_first_over_all_accounts(browser: Browser) -> None:
    for number in range(3):
        browser.put(SIMPLE.replace(b"Hello", b"First %d" % number), f"a{number}")
    browser.put(SIMPLE.replace(b"Hello", b"Other"), "b", "eve@here.test")
    listed = json.loads(browser.get("/api/messages").body)["messages"]
    assert [m["uid"] for m in listed][:2] == ["a2", "a1"]
    assert {m["account"] for m in listed} == set(browser.boxes)
    only = json.loads(browser.get("/api/messages?account=eve@here.test").body)
    assert [m["subject"] for m in only["messages"]] == ["Other"]
    text = browser.get("/").text
    assert text.index("First 2") < text.index("First 1") < text.index("First 0")


def test_pages(browser: Browser) -> None:
    for number in range(120):
        browser.put(SIMPLE.replace(b"Hello", b"No. %d." % number), f"u{number}")
    assert "Page 1 of 3" in browser.get("/").text
    last = browser.get("/?page=3").text
    assert "No. 0." in last
    assert "No. 100." not in last
    for strange in ("0", "-1", "x", "9999999999", "%FF"):
        assert browser.get(f"/?page={strange}").code == 200


def test_a_message(browser: Browser) -> None:
    text = page_of(browser, SIMPLE)
    assert "Hello" in text
    assert "Bob &lt;bob@there.test&gt;" in text
    assert "Hi Ann" in text


def test_everything_is_escaped(browser: Browser) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x>"
    data = f"From: {evil}\r\nSubject: {evil}\r\nX-{'a'}: {evil}\r\n\r\n{evil}\r\n".encode()
    text = page_of(browser, data)
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<script>alert" not in browser.get("/").text


def test_html_is_sandboxed(browser: Browser) -> None:
    html = b"<script>alert(1)</script><img src=http://evil.test/><p>shown</p>"
    text = page_of(browser, b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + html)
    assert 'sandbox src="/message/' in text
    answer = browser.get(f"/message/{ANN}/1/html")
    assert answer.body == html
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "allow" not in policy


def test_every_answer_has_the_protections(browser: Browser) -> None:
    browser.put(SIMPLE)
    for path in ("/", "/nothing", "/static/inbox.css", "/api/messages", f"/message/{ANN}/1/source"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8025", "localhost.evil.test", "", "[::2]"]
)
def test_other_names_are_refused(browser: Browser, host: str) -> None:
    browser.put(SIMPLE)
    answer = browser.get("/", host)
    assert answer.code in (400, 403)
    assert b"Hello" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8025", "[::1]:8025", "LOCALHOST:1"])
def test_our_names_are_served(browser: Browser, host: str) -> None:
    assert browser.get("/", host).code == 200


def test_attachments_are_never_what_they_say(browser: Browser) -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: text/html; name=x\r\n"
        b"Content-Disposition: attachment; filename*=UTF-8''%CE%91%22%0D%0Aevil.html\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n--b--\r\n"
    )
    assert "text/html" in page_of(browser, data)
    answer = browser.get(f"/message/{ANN}/1/part/1")
    assert answer.body == b"<b>hi</b>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "evil" not in answer.headers
    assert browser.get(f"/message/{ANN}/1/part/2").code == 404


def test_encoded_words_and_charsets(browser: Browser) -> None:
    data = (
        b"Subject: =?iso-8859-7?Q?=C1=E8=DE=ED=E1?= =?utf-8?b?IM6azrHOu863?=\r\n"
        b"Content-Type: text/plain; charset=iso-8859-7\r\n\r\n\xa2\xe8\xeb\xe1\x80\r\n"
    )
    text = page_of(browser, data)
    assert "Αθήνα Καλη" in text


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "zip", "none"])
def test_what_python_calls_a_codec_is_not_always_a_charset(charset: str) -> None:
    assert to_text(b"xn--mnchen-3ya \\x41", charset) == "xn--mnchen-3ya \\x41"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff" * 500,
        b"no header at all",
        b"Subject: " + b"x" * 100_000 + b"\r\n\r\n",
        b"Content-Type: text/plain; charset=zip\r\n\r\nx\xff",
        b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"x" * 5000,
        b'Content-Type: text/plain; charset="\x00"\r\n\r\nx',
        b"Content-Type: text/plain; charset=utf-16\r\n\r\n\x00\xd8",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3000,
        b"Content-Type: message/rfc822\r\n\r\n" * 500,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
            for n in range(500)
        ),
        b"Content-Transfer-Encoding: base64\r\n\r\n=====\xff$",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=\r\n=",
        b"Subject: =?utf-8?b?////?= =?x?q?=ZZ?= =?utf-8?q?=ED=A0=80?=\r\n\r\n",
        b"X-Y: z\r\n" * 20_000 + b"\r\n",
    ],
    ids=range(17),
)
def test_nothing_breaks_a_page(browser: Browser, data: bytes) -> None:
    page_of(browser, data)


def test_a_large_message_is_cut_and_its_source_is_not(browser: Browser) -> None:
    data = SIMPLE + b"x" * 70 + b"\r\n" + b"0123456789" * 3_000_000
    browser.put(data)
    answer = browser.get(f"/message/{ANN}/1")
    assert answer.code == 200
    assert "too large to be shown whole" in answer.text
    assert len(answer.body) < 3 << 20
    assert browser.get(f"/message/{ANN}/1/source").body == data


def test_what_is_not_there(browser: Browser) -> None:
    browser.put(SIMPLE)
    for path in (
        "/message/nobody@here.test/1",
        f"/message/{ANN}/2",
        f"/message/{ANN}/1/html",
        f"/message/{ANN}/1/part/9999999999",
        f"/message/{ANN}/1/part/-1",
        f"/message/{ANN}/..%2F..%2Fetc/source",
        "/static/..%2Finbox.py",
        "/static/inbox.py",
        "//",
        "/%FF%00",
    ):
        assert browser.get(path).code == 404, path


def test_only_reading(browser: Browser) -> None:
    assert browser.get("/", method="POST").code == 405
    head = browser.get("/", method="HEAD")
    assert head.code == 200
    assert head.body == b""


def test_an_unlucky_uid_survives_the_url(browser: Browser) -> None:
    uid = "1/2?x=%41&y#z;,S=5"
    browser.put(SIMPLE, uid)
    (message,) = json.loads(browser.get("/api/messages").body)["messages"]
    assert browser.get(message["url"]).code == 200
    assert f'href="{message["url"]}"' in browser.get("/").text


def test_waiting_for_the_next_arrival(browser: Browser) -> None:
    transport = browser.begin("/api/messages?wait=30")
    assert transport.value() == b""
    browser.put(SIMPLE)
    browser.events.publish(MessageArrived(ANN, "", "1", "Q", len(SIMPLE)))
    assert json.loads(Answer(transport.value()).body)["total"] == 1
    late = browser.begin("/api/messages?wait=30")
    browser.clock.advance(30)
    assert Answer(late.value()).code == 200


def test_a_browser_that_leaves_while_waiting(browser: Browser) -> None:
    protocol = browser.site.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(b"GET /api/messages?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    protocol.connectionLost(Failure(ConnectionDone()))
    browser.events.publish(MessageArrived(ANN, "", "1", "Q", 1))
    browser.site.doStop()
    assert browser.events.listeners == []


def test_public_oddities_all_show(browser: Browser) -> None:
    suites = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[4] / "shared/suites"))
    corpus = sorted(p for p in (suites / "06-mime").rglob("*") if p.suffix in (".eml", ".msg"))
    if not corpus:
        pytest.skip("no MIME corpus (MAILFRAME_SUITES)")
    for path in corpus[:400]:
        page_of(browser, path.read_bytes())
