"""The dev inbox: every message can be looked at, none can do anything."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mailframe.errors import MailframeError
from mailframe.web.exchange import MAX_BODY, BoundedRequest
from mailframe.web.powers import Powers
from mailframe.web.words import to_text
from tests.unit.web.browser import ANN, EVE, TOKEN, Answer, Browser

SIMPLE = b"From: Bob <bob@there.test>\r\nTo: ann@here.test\r\nSubject: Hello\r\n\r\nHi Ann\r\n"


@pytest.fixture
def browser() -> Browser:
    return Browser()


def page_of(browser: Browser, data: bytes, uid: str = "1") -> str:
    """The message's page, after every other page about it was seen to work too. It is the only
    one."""
    browser.boxes[ANN].mail.clear()
    browser.put(data, uid)
    browser.clock.advance(10)
    assert browser.get("/").code == 200
    (listed,) = browser.list()
    path = f"/view/{listed['ID']}"
    assert browser.get(f"{path}/source").body == data
    assert browser.get(f"{path}.txt").code == 200
    answer = browser.get(path)
    assert answer.code == 200, answer.text
    message = browser.get(f"/api/v1/message/{listed['ID']}").json
    assert browser.get(f"/api/v1/message/{listed['ID']}/headers").code == 200
    parts = [*message["Inline"], *message["Attachments"]]
    assert len(parts) == answer.text.count(f"{path}/part/")
    for part in parts[:5]:
        assert browser.get(f"{path}/part/{part['PartID']}").code == 200
        assert browser.get(f"/api/v1/message/{listed['ID']}/part/{part['PartID']}").code == 200
    assert all(source.closed for box in browser.boxes.values() for source in box.opened)
    return answer.text


def test_an_empty_inbox_says_how_to_fill_it(browser: Browser) -> None:
    answer = browser.get("/")
    assert answer.code == 200
    assert "Nothing has arrived yet" in answer.text


def test_newest_first_over_all_accounts(browser: Browser) -> None:
    for number in range(3):
        browser.send(SIMPLE.replace(b"Hello", b"First %d" % number))
    browser.send(SIMPLE.replace(b"Hello", b"Other"), EVE)
    assert [each["Subject"] for each in browser.list()] == [
        "Other",
        "First 2",
        "First 1",
        "First 0",
    ]
    text = browser.get("/").text
    assert text.index("Other") < text.index("First 2") < text.index("First 0")
    only = browser.get(f"/?to={quote(EVE)}").text
    assert "Other" in only
    assert "First" not in only


def test_pages(browser: Browser) -> None:
    for number in range(120):
        browser.send(SIMPLE.replace(b"Hello", b"No. %d." % number))
    assert "Page 1 of 3" in browser.get("/").text
    last = browser.get("/?page=3").text
    assert "No. 0." in last
    assert "No. 100." not in last
    for strange in ("0", "-1", "x", "9999999999", "%FF"):
        assert browser.get(f"/?page={strange}").code == 200


def test_searching(browser: Browser) -> None:
    browser.send(SIMPLE)
    browser.send(SIMPLE.replace(b"Hello", b"Other").replace(b"Hi Ann", b"secret words"))
    found = browser.get("/?q=" + quote('"secret words"')).text
    assert "Other" in found
    assert "Hello" not in found
    assert 'value="&#34;secret words&#34;"' in found
    assert "Nothing is found" in browser.get("/?q=absent").text


def test_a_message(browser: Browser) -> None:
    text = page_of(browser, SIMPLE)
    assert "Hello" in text
    assert "Bob &lt;bob@there.test&gt;" in text
    assert "Hi Ann" in text


def test_the_newest_by_name(browser: Browser) -> None:
    first, second = browser.send(SIMPLE), browser.send(SIMPLE.replace(b"Hello", b"Other"))
    assert browser.get("/view/latest").headers["location"] == f"/view/{second}"
    assert browser.get("/view/latest?query=hello").headers["location"] == f"/view/{first}"
    assert browser.get("/view/latest.txt").text == "Hi Ann\r\n"


def test_everything_is_escaped(browser: Browser) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x>"
    data = f"From: {evil}\r\nSubject: {evil}\r\nX-Tags: {evil}\r\nX-{'a'}: {evil}\r\n\r\n{evil}\r\n"
    text = page_of(browser, data.encode())
    for shown in (
        text,
        browser.get("/").text,
        browser.get(f"/?q={quote(evil)}&to={quote(evil)}").text,
    ):
        assert "<script>alert" not in shown
        assert "<img" not in shown


def test_html_is_sandboxed(browser: Browser) -> None:
    html = b"<script>alert(1)</script><img src=http://evil.test/><p>shown</p>"
    text = page_of(browser, b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + html)
    assert 'sandbox src="/view/' in text
    answer = browser.get("/view/latest.html")
    assert answer.body == html
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "allow" not in policy


def test_images_that_came_along_are_shown_without_a_request(browser: Browser) -> None:
    data = (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b'<img src="cid:logo@x"><img src="cid:evil@x">\r\n--b\r\nContent-Type: image/png\r\n'
        b"Content-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b\r\n"
        b"Content-Type: image/svg+xml\r\nContent-ID: <evil@x>\r\n\r\n<svg/>\r\n--b--\r\n"
    )
    page_of(browser, data)
    shown = browser.get("/view/latest.html").text
    assert 'src="data:image/png;base64,AAAA"' in shown
    assert 'src="cid:evil@x"' in shown


def test_links_are_listed_and_only_those_of_the_web(browser: Browser) -> None:
    html = (
        b'<a href="https://x.test/a?b=1&amp;c=2">a</a><a href="javascript:alert(1)">b</a>'
        b"<a href='http://x.test/\"onmouseover=x'>c</a>"
    )
    text = page_of(browser, b"Content-Type: text/html\r\n\r\n" + html)
    assert 'href="https://x.test/a?b=1&amp;c=2"' in text
    assert "javascript:" not in text
    assert '"onmouseover' not in text


def test_every_answer_has_the_protections(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    paths = ("/", "/nothing", "/static/inbox.css", "/api/v1/messages", f"/view/{id}/source")
    for path in (*paths, "/api/nothing", f"/view/{id}", f"/view/{id}.txt"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-dns-prefetch-control"] == "off"
        from_mail = path.endswith(("source", ".txt"))
        assert headers["referrer-policy"] == ("no-referrer" if from_mail else "same-origin")
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8025", "localhost.evil.test", "", "[::2]", "[::1].evil.test"],
)
def test_other_names_are_refused(browser: Browser, host: str) -> None:
    browser.send(SIMPLE)
    for path in ("/", "/api/v1/messages"):
        answer = browser.get(path, host)
        assert answer.code in (400, 403)
        assert b"Hello" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8025", "[::1]:8025", "LOCALHOST:1"])
def test_our_names_are_served(browser: Browser, host: str) -> None:
    assert browser.get("/", host).code == 200


FROM_ELSEWHERE = [
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("fields", FROM_ELSEWHERE, ids=str)
def test_pages_of_other_sites_change_nothing(browser: Browser, fields: dict[str, str]) -> None:
    id = browser.send(SIMPLE)
    form = f"token={quote(TOKEN)}&action=delete&id={id}"
    assert browser.post("/messages", form, **fields).code == 403
    assert browser.ask("DELETE", "/api/v1/messages", **fields).code == 403
    assert browser.ask("POST", "/api/v1/send", {}, Content_Type="text/plain", **fields).code == 403
    assert len(browser.list()) == 1


@pytest.mark.parametrize("token", ["", "token=wrong", "token=%FF"])
def test_forms_need_the_token(browser: Browser, token: str) -> None:
    id = browser.send(SIMPLE)
    assert browser.post("/messages", f"{token}&action=delete&id={id}").code == 403
    assert browser.post("/release", f"{token}&id={id}&sure=yes&recipients=a@b.test").code == 403
    assert len(browser.list()) == 1


def act(browser: Browser, action: str, *ids: str, more: str = "") -> Answer:
    form = f"token={quote(TOKEN)}&action={action}{more}"
    return browser.post(
        "/messages", form + "".join(f"&id={id}" for id in ids), Origin="http://localhost:8025"
    )


def test_ticked_messages_are_deleted(browser: Browser) -> None:
    first, second, third = (browser.send(SIMPLE, ANN, EVE) for _ in range(3))
    answer = act(browser, "delete", first, third, more="&q=hello&page=2")
    assert answer.code == 303
    assert answer.headers["location"] == "/?q=hello&page=2"
    assert [each["ID"] for each in browser.list()] == [second]
    assert all(len(box.mail) == 1 for box in browser.boxes.values())


def test_all_found_are_deleted_and_no_others(browser: Browser) -> None:
    browser.send(SIMPLE)
    browser.send(SIMPLE.replace(b"Hello", b"Other"))
    act(browser, "delete-all", more="&q=hello")
    assert [each["Subject"] for each in browser.list()] == ["Other"]
    browser.send(SIMPLE, EVE)
    act(browser, "delete-all", more=f"&to={quote(ANN)}")
    assert [each["Subject"] for each in browser.list()] == ["Hello"]
    act(browser, "delete-all")
    assert browser.list() == []


def test_what_cannot_be_removed_is_told(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    browser.boxes[ANN].stubborn = True
    answer = act(browser, "delete", id)
    assert answer.code == 500
    assert "could not be removed" in answer.text
    assert browser.ask("DELETE", "/api/v1/messages").code == 500


def test_reading_marks_as_read_and_it_can_be_undone(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    assert "1 unread" in browser.get("/").text
    browser.get(f"/view/{id}")
    assert "0 unread" in browser.get("/").text
    act(browser, "unread", id)
    assert "1 unread" in browser.get("/").text
    act(browser, "read", id)
    assert "0 unread" in browser.get("/").text
    assert act(browser, "explode", id).code == 400


class Server:
    """Takes what is released, or does not."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.refuses = ""

    async def __call__(self, sender: str, recipients: list[str], content: bytes) -> str:
        if self.refuses:
            raise MailframeError(self.refuses)
        self.taken.append((sender, recipients, content))
        return "250 Ok"


def test_releasing(browser: Browser) -> None:
    server = Server()
    browser = Browser(Powers(release=server, release_to="mx.test:25"))
    id = browser.send(SIMPLE.replace(b"Subject", b"Bcc: eve@here.test\r\nSubject"), ANN, EVE)
    assert "mx.test:25" in browser.get(f"/view/{id}").text
    form = f"token={quote(TOKEN)}&id={id}&recipients=a@b.test,+c@d.test"
    assert browser.post("/release", form).code == 400
    assert server.taken == []
    assert "said: 250 Ok" in browser.post("/release", form + "&sure=yes").text
    ((sender, recipients, content),) = server.taken
    assert (sender, recipients) == ("bob@there.test", ["a@b.test", "c@d.test"])
    assert content.startswith(b"Received: from c.test")
    assert content.endswith(SIMPLE.replace(b"From: Bob <bob@there.test>\r\n", b"")[-30:])
    assert b"Delivered-To" not in content
    assert b"Bcc" not in content
    server.refuses = "the server said 550 <no>"
    answer = browser.post("/release", form + "&sure=yes")
    assert answer.code == 400
    assert "550 &lt;no&gt;" in answer.text


def test_nothing_is_released_unless_it_was_asked_for(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    assert "/release" not in browser.get(f"/view/{id}").text
    form = f"token={quote(TOKEN)}&id={id}&recipients=a@b.test&sure=yes"
    answer = browser.post("/release", form)
    assert answer.code == 400
    assert "--release-to" in answer.text


def test_attachments_are_never_what_they_say(browser: Browser) -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: text/html; name=x\r\n"
        b"Content-Disposition: attachment; filename*=UTF-8''%CE%91%22%0D%0Aevil.html\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n--b--\r\n"
    )
    assert "text/html" in page_of(browser, data)
    (listed,) = browser.list()
    answer = browser.get(f"/view/{listed['ID']}/part/2")
    assert answer.body == b"<b>hi</b>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "evil" not in answer.headers
    assert browser.get(f"/view/{listed['ID']}/part/3").code == 404


def test_encoded_words_and_charsets(browser: Browser) -> None:
    data = (
        b"Subject: =?iso-8859-7?Q?=C1=E8=DE=ED=E1?= =?utf-8?b?IM6azrHOu863?=\r\n"
        b"Content-Type: text/plain; charset=iso-8859-7\r\n\r\n\xa2\xe8\xeb\xe1\x80\r\n"
    )
    text = page_of(browser, data)
    assert "Αθήνα Καλη" in text
    assert len(browser.get("/api/v1/search?query=" + quote("ΑΘΗΝΑ")).json["messages"]) == 1


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "zip", "none"])
def test_what_python_calls_a_codec_is_not_always_a_charset(charset: str) -> None:
    assert to_text(b"xn--mnchen-3ya \\x41", charset) == "xn--mnchen-3ya \\x41"


HOSTILE = [
    b"",
    b"\x00\xff" * 500,
    b"no header at all",
    b"Subject: " + b"x" * 100_000 + b"\r\n\r\n",
    b"Content-Type: text/plain; charset=zip\r\n\r\nx\xff",
    b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"x" * 5000,
    b'Content-Type: text/plain; charset="\x00"\r\n\r\nx',
    b"Content-Type: text/plain; charset=utf-16\r\n\r\n\x00\xd8",
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    b"Content-Type: text/plain; charset=rot13\r\n\r\n\xff\x81",
    b"Subject: =?zlib?Q?=FF=81?=\r\n\r\n",
    b'X-Tags: =?utf-7?Q?+2AA-?=\r\nContent-Type: text/x; name="=?utf-7?Q?+2AA-?="\r\n\r\nx',
    b"Content-Type: text/html\r\n\r\n" + b"<a " * 300_000,
    b"Content-Type: multipart/mixed\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3000,
    b"Content-Type: message/rfc822\r\n\r\n" * 500,
    b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)
    ),
    b"Content-Transfer-Encoding: base64\r\n\r\n=====\xff$",
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=\r\n=",
    b"Subject: =?utf-8?b?////?= =?x?q?=ZZ?= =?utf-8?q?=ED=A0=80?=\r\n\r\n",
    b"X-Y: z\r\n" * 20_000 + b"\r\n",
    b"To: " + b"a@b.test, " * 20_000 + b"\r\nX-Tags: " + b"x," * 20_000 + b"\r\n\r\n",
    b"From: <<>>\r\nTo: @,;:<\r\nDate: 99 Foo 99999\r\nMessage-ID: x\r\n\r\n",
    b"Date: Thu, 1 Jan 1970 00:00:00 +9999\r\nList-Unsubscribe: <javascript:x>\r\n\r\n",
    b"Received: x id 7KQ2M4XD00IL; y\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n" + b"<a <a href='" * 20_000,
    b"Content-Type: image/png\r\nContent-Disposition: attachment; filename=../../x\r\n\r\nx",
    b"Content-Disposition: \xff; filename=\xff\r\nContent-ID: <\xff\"'<>>\r\n\r\nx",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_breaks_a_page(browser: Browser, data: bytes) -> None:
    page_of(browser, data)


def test_a_large_message_is_cut_and_its_source_is_not(browser: Browser) -> None:
    data = SIMPLE + b"x" * 70 + b"\r\n" + b"0123456789" * 3_000_000
    browser.put(data)
    answer = browser.get("/view/latest")
    answer = browser.get(answer.headers["location"])
    assert answer.code == 200
    assert "too large to be shown whole" in answer.text
    assert len(answer.body) < 3 << 20
    assert browser.get("/view/latest/source").body == data


def test_what_is_not_there(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    for path in (
        "/view/nobody",
        f"/view/{id}.html",
        f"/view/{id}/part/9999999999",
        f"/view/{id}/part/-1",
        f"/view/{id}/..%2F..%2Fetc/source",
        "/static/..%2Finbox.py",
        "/static/inbox.py",
        "//",
        "/%FF%00",
        "/api",
        "/api/v2/messages",
        "/api/v1/message/nobody",
        "/api/v1/message/nobody/raw",
        f"/api/v1/message/{id}/part/7",
    ):
        assert browser.get(path).code == 404, path
    assert Browser().get("/view/latest").code == 404


def test_methods(browser: Browser) -> None:
    assert browser.get("/", method="PUT").code == 405
    assert browser.get("/", method="BREW").code == 405
    assert browser.get("/api/v1/info", method="DELETE").code == 405
    head = browser.get("/", method="HEAD")
    assert head.code == 200
    assert head.body == b""
    assert browser.get("/livez").code == browser.get("/readyz").code == 200


def test_a_request_that_is_too_long_is_cut_off(browser: Browser) -> None:
    for fields in ({"Content_Length": str(MAX_BODY + 1)}, {"Transfer_Encoding": "chunked"}):
        protocol = browser.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        protocol.dataReceived(f"POST /messages HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        for _ in range(65):
            if transport.disconnecting:
                break
            protocol.dataReceived(piece)
        assert transport.disconnecting


@pytest.mark.parametrize(("origin", "fields"), [("http://localhost", 1), ("http://evil.test", 0)])
def test_a_form_of_another_site_is_not_taken_apart(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, origin: str, fields: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(
        BoundedRequest, "process", lambda request: given.append(len(request.args or {}))
    )
    protocol = browser.site.buildProtocol(None)
    protocol.makeConnection(StringTransport())
    head = (
        f"POST /messages HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nContent-Length: 3\r\n"
    )
    kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    protocol.dataReceived(f"{head}{kind}a=1".encode())
    assert given == [fields]


def test_an_unlucky_uid_survives_the_url(browser: Browser) -> None:
    uid = "1/2?x=%41&y#z;,S=5"
    browser.put(SIMPLE, uid)
    (message,) = browser.list()
    assert browser.get(f"/view/{message['ID']}").code == 200
    assert f'href="/view/{message["ID"]}"' in browser.get("/").text


def test_waiting_for_the_next_change(browser: Browser) -> None:
    transport = browser.begin("/api/messages?wait=30")
    assert transport.value() == b""
    browser.send(SIMPLE)
    answer = Answer(transport.value()).json
    assert answer["total"] == 1
    assert answer["messages"][0]["Recipients"] == [ANN]
    browser.send(SIMPLE)  # nobody waits
    answer = browser.get("/api/messages").json
    late = browser.begin(f"/api/messages?wait=30&state={answer['state']}")
    assert late.value() == b""
    browser.clock.advance(30)
    assert Answer(late.value()).code == 200
    assert browser.get("/api/messages?wait=30&state=another").code == 200


def test_a_browser_that_leaves_while_waiting(browser: Browser) -> None:
    protocol = browser.site.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(b"GET /api/messages?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    browser.send(SIMPLE)
    browser.site.doStop()
    assert browser.events.listeners == []


def test_public_oddities_all_show(browser: Browser) -> None:
    suites = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[4] / "shared/suites"))
    corpus = sorted(p for p in (suites / "06-mime").rglob("*") if p.suffix in (".eml", ".msg"))
    if not corpus:
        pytest.skip("no MIME corpus (MAILFRAME_SUITES)")
    for number, path in enumerate(corpus[:400]):
        page_of(browser, path.read_bytes(), str(number))
