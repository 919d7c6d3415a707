"""What a test is told of a message that it waited for. The process is seen in tests/interop."""

from __future__ import annotations

import email
import email.policy
import subprocess
import sys

import pytest

from mailframe.testing.inbox import InboxError, MailframeInbox, ReceivedMessage

HEAD = b"From: me@x.test\r\nTo: ann@x.test\r\nSubject: Code 77 inside\r\nMIME-Version: 1.0\r\n"


def message(data: bytes) -> ReceivedMessage:
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    return ReceivedMessage("ID", "me@x.test", ("ann@x.test",), data, parsed)


def text(body: str) -> ReceivedMessage:
    kind = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    return message(HEAD + kind + body.replace("\n", "\r\n").encode())


def test_text_and_headers() -> None:
    found = text("Γειά\nσου\n")
    assert found.text == "Γειά\nσου\n"
    assert found.html == ""
    assert found.subject == found.headers["SUBJECT"] == "Code 77 inside"
    assert found.attachments == ()
    assert "ann@x.test" in repr(found)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("Your code is 482913.", "482913"),
        ("code: 1234", "1234"),
        ("12345678", "12345678"),
        ("In 2.1234 or 12 or 123456789 or a1234 or 1234b or 1.5 is none. 5678!", "5678"),
    ],
)
def test_codes(body: str, code: str) -> None:
    assert text(body).code() == code


def test_a_pattern_of_ones_own() -> None:
    assert text("key=AB-12;").code(r"key=([A-Z0-9-]+)") == "AB-12"
    assert text("x").code(r"Code \d+") == "Code 77"
    with pytest.raises(LookupError, match=r"finds nothing in .*no code here"):
        text("no code here").code()


HTML = (
    HEAD + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"
    b"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\n"
    b"Go to https://x.test/plain?a=1.\r\n--a\r\nContent-Type: text/html\r\n\r\n"
    b'<style>a{}</style><a href="https://x.test/confirm?t=1&amp;u=2">yes</a>'
    b"<a href='mailto:a@b.test'>no</a>\r\n--a--\r\n--m\r\n"
    b'Content-Type: text/csv\r\nContent-Disposition: attachment; filename="a.csv"\r\n\r\n'
    b"1,2\r\n--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--m--\r\n"
)


def test_links() -> None:
    found = message(HTML)
    assert found.links() == ["https://x.test/confirm?t=1&u=2", "https://x.test/plain?a=1"]
    assert found.link("plain") == "https://x.test/plain?a=1"
    assert found.link() == found.links()[0]
    with pytest.raises(LookupError, match=r"confirm\?t=1"):
        found.link("absent")


def test_attachments() -> None:
    csv, inner = message(HTML).attachments
    assert (csv.name, csv.content_type, csv.content) == ("a.csv", "text/csv", b"1,2")
    assert inner.content_type == "message/rfc822"
    assert b"Subject: inner" in inner.content


def test_html_alone_has_a_text() -> None:
    found = message(HEAD + b"Content-Type: text/html\r\n\r\n<style>x</style><p>1 &lt; 2</p>")
    assert found.text == "1 < 2"


def test_html_that_closes_nothing_has_a_text_at_once() -> None:
    kind = b"Content-Type: text/html\r\n\r\n"
    assert message(HEAD + kind + b"a<style " * 300_000).text == "a"
    assert message(HEAD + kind + b"<b>1</b><STYLE>x</style>2<script>y").text.split() == ["1", "2"]
    assert message(HEAD + kind + b"<" * 300_000).text == "<" * 300_000


@pytest.mark.parametrize("charset", ["nonsense", "rot13"])
def test_a_charset_that_nobody_knows(charset: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert message(HEAD + kind + b"https://x.test/1 \xff").links() == ["https://x.test/1"]


def test_what_is_not_started_says_so() -> None:
    inbox = MailframeInbox()
    with pytest.raises(InboxError, match="not started"):
        _ = inbox.url
    inbox.stop()


def test_the_tests_process_gets_no_twisted() -> None:
    program = "import sys, mailframe.testing.inbox; print('twisted' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
