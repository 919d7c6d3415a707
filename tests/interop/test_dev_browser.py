"""The live inbox in a real browser: it updates by itself, obeys keys, and keeps mail harmless."""

from __future__ import annotations

import http.server
import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailframe.testing.inbox import MailframeInbox
from tests.interop.peers.chromium import Chromium
from tests.interop.peers.node import node_modules


@pytest.fixture(scope="module")
def inbox() -> Iterator[MailframeInbox]:
    with MailframeInbox() as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    running = Chromium(tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def empty(inbox: MailframeInbox) -> None:
    inbox.clear()


def send(inbox: MailframeInbox, subject: str, html: str = "", to: str = "ann@x.test") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "me@x.test", to, subject
    message.set_content("Καλημέρα\n")
    if html:
        message.add_alternative(html, subtype="html")
    with smtplib.SMTP(inbox.host, inbox.port) as client:
        client.send_message(message)


def subjects(browser: Chromium) -> str:
    return str(
        browser.evaluate(
            "[...document.querySelectorAll('a.subject')].map(a => a.innerText).join('|')"
        )
    )


def test_mail_appears_by_itself_and_ticks_stay(inbox: MailframeInbox, browser: Chromium) -> None:
    browser.open(inbox.web)
    browser.wait_for("document.body.innerText.includes('Nothing has arrived yet')")
    send(inbox, "First Αθήνα")
    browser.wait_for("document.querySelectorAll('a.subject').length === 1")
    assert "First Αθήνα" in subjects(browser)
    browser.evaluate("document.querySelector('input[name=id]').click()")
    send(inbox, "Second")
    browser.wait_for("document.querySelectorAll('a.subject').length === 2")
    ticked = browser.evaluate("document.querySelectorAll('input[name=id]')[1].checked")
    assert ticked is True
    assert browser.evaluate("document.getElementById('news').textContent") == "1 new message"
    assert browser.evaluate("document.title").startswith("2 messages")
    inbox.clear()
    browser.wait_for("document.body.innerText.includes('Nothing has arrived yet')")


def test_keys(inbox: MailframeInbox, browser: Chromium) -> None:
    for number in range(3):
        send(inbox, f"No. {number}")
    browser.open(inbox.web)
    browser.press("j")
    browser.press("ξ", "KeyJ")  # where J is on a Greek keyboard
    focused = "document.activeElement.innerText"
    browser.wait_for(f"{focused}.includes('No. 1')")
    browser.press("k")
    browser.wait_for(f"{focused}.includes('No. 2')")
    browser.press("#")
    browser.wait_for("document.querySelectorAll('a.subject').length === 2")
    browser.press("/")
    browser.wait_for("document.activeElement.id === 'q'")
    browser.press("j")  # a letter there
    browser.wait_for("document.getElementById('q').value === 'j'")
    browser.open(inbox.web)
    browser.press("j")
    browser.press("Enter")
    browser.wait_for("location.pathname.startsWith('/view/')")
    browser.wait_for("document.readyState === 'complete'")
    browser.press("u")
    browser.wait_for("location.pathname === '/' && document.querySelector('a.subject')")
    browser.evaluate("document.getElementById('keys').click()")
    browser.press("j")
    assert browser.evaluate("document.activeElement === document.body") is True
    browser.evaluate("document.getElementById('keys').click()")


HOSTILE = """<html><head><meta http-equiv="refresh" content="0;url={url}/refresh">
<link rel=stylesheet href="{url}/css"><style>@import "{url}/import"; body {{ background:
url({url}/background) }}</style><base href="{url}/"></head><body onload="fetch('{url}/onload')">
<img src="{url}/img"><img src="/relative"><img srcset="{url}/srcset 1x"><video src="{url}/video">
</video><iframe src="{url}/frame"></iframe><object data="{url}/object"></object>
<svg><image href="{url}/svg"/><use href="{url}/use#x"/></svg><input type=image src="{url}/input">
<script>fetch('{url}/script'); parent.document.title = 'owned'; alert(1)</script>
<form action="{url}/form"><button id=b>x</button></form><audio src="{url}/audio" autoplay></audio>
<a id=visible>shown</a><img src=x onerror="fetch('{url}/onerror')"></body></html>"""


class Requests(http.server.BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """They are in ``seen``."""


def test_hostile_html_reaches_nothing(inbox: MailframeInbox, browser: Chromium) -> None:
    seen: list[str] = []
    handler = type("Seeing", (Requests,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        send(inbox, "Hostile", HOSTILE.format(url=url))
        id = inbox.wait(subject="Hostile").id
        browser.open(f"{inbox.web}/view/{id}")
        browser.wait_for("document.querySelector('iframe')")
        frame = browser.evaluate("document.querySelector('iframe').src")
        assert any(frame == each for each in browser.requests)
        assert browser.evaluate("document.title").startswith("Hostile")
        # As a document of its own, too: the policy is the answer's, not only the frame's.
        browser.open(f"{inbox.web}/view/{id}.html")
        browser.wait_for("document.readyState === 'complete'")
        send(inbox, "Later")
        inbox.wait(subject="Later")
        server.shutdown()
    assert seen == []
    dialogs = [each for each in browser.events if each["method"] == "Page.javascriptDialogOpening"]
    assert dialogs == []


AXE = """axe.run(document, {iframes: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
  "wcag22aa", "best-practice"]}).then((found) => found.violations.map((each) =>
  `${each.impact} ${each.id}: ${each.nodes.map((node) => node.html).join(" ")}`))"""


def test_nothing_is_in_the_way_of_anybody(inbox: MailframeInbox, browser: Chromium) -> None:
    """Names, roles, headings, contrast: in both colour schemes, on wide and narrow screens."""
    axe = Path(node_modules(), "axe-core", "axe.min.js")
    if not axe.is_file():
        pytest.skip("axe-core is not installed (MAILFRAME_NODE_MODULES names its directory)")
    send(inbox, "Named", html="<a href=https://x.test/>link</a>")
    send(inbox, "With tags", to="ann+shop@x.test")
    inbox.fail(recipient="nobody@x.test")
    id = inbox.wait(subject="Named").id
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", features=features)
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=False,
        )
        for page in ("/", "/?q=absent", f"/view/{id}", "/nothing"):
            browser.open(inbox.web + page)
            browser.evaluate(axe.read_text(encoding="utf-8") + ";0")
            assert browser.evaluate(AXE) == [], (scheme, width, page)
            wide = "document.documentElement.scrollWidth"
            assert browser.evaluate(wide) <= width, (width, page)
