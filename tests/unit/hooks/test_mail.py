"""``msg``: what hooks read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.verdict import Symbol
from mailframe.hooks.attachments import MAX_TEXT
from mailframe.hooks.header_fields import MAX_VALUE, Headers
from mailframe.hooks.hook import AppError
from mailframe.hooks.mail import MAX_ADDRESSES, MAX_PARTS, Message
from mailframe.message.structure import MAX_HEADER
from tests.unit.hooks.mailbag import BOB, ORDERS, message

MIXED = """\
From: =?utf-8?q?Bob_=CE=92?= <Bob@Example.ORG>, carol@example.org\r
To: "Orders, all" <orders+42@shop.test>\r
Cc: a@x.test, b@x.test\r
Subject: =?utf-8?b?zpjOrc68zrE=?=\r
Received: two\r
received: one\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
Content-Type: multipart/alternative; boundary=y\r
\r
--y\r
Content-Type: text/plain; charset=iso-8859-7\r
Content-Transfer-Encoding: quoted-printable\r
\r
=CA=E1=EB=E7=EC=DD=F1=E1\r
two=20\r
--y\r
Content-Type: text/html\r
\r
<p>Hello\r
--y--\r
--x\r
Content-Type: text/plain; name="../notes.txt"\r
\r
not its words\r
--x\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename*=utf-8''%CE%B1.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERg==\r
--x\r
Content-Type: message/rfc822\r
\r
Subject: within\r
\r
somebody else's words\r
--x\r
\r
a footer\r
--x--\r
"""


def test_the_envelope() -> None:
    msg = message()
    assert (msg.sender, msg.recipients, msg.address) == (
        "bob@example.org",
        ["orders+42@shop.test"],
        ORDERS,
    )
    assert message(sender=None).sender == ""
    assert msg.size == len(msg.raw)
    assert message(received=86_400.0).received == datetime(1970, 1, 2, tzinfo=UTC)


def test_headers_are_found_whatever_their_case() -> None:
    headers = message(MIXED).headers
    assert headers["SUBJECT"] == "Θέμα"
    assert headers["Received"] == "two"
    assert headers.all("received") == ["two", "one"]
    assert "subject" in headers
    assert headers.get("X-None") is None
    assert headers.all("X-None") == []
    with pytest.raises(KeyError):
        headers["X-None"]
    assert list(headers) == ["From", "To", "Cc", "Subject", "Received", "Content-Type"]
    assert [name for name, _ in headers.pairs()].count("received") == 1
    assert len(headers) == 6


def test_people() -> None:
    msg = message(MIXED)
    assert msg.from_ == "Bob@example.org"
    assert (msg.from_.name, msg.from_.local_part, msg.from_.domain) == (
        "Bob Β",
        "Bob",
        "example.org",
    )
    assert msg.to == ["orders+42@shop.test"]
    assert msg.to[0].name == "Orders, all"
    assert msg.cc == ["a@x.test", "b@x.test"]


def test_a_quoted_local_part_is_spelt_as_one() -> None:
    assert message('From: "a b"@x.test\r\n\r\n').from_ == '"a b"@x.test'


def test_its_words_are_not_those_of_files_and_attached_messages() -> None:
    msg = message(MIXED)
    assert msg.text == "Καλημέρα\ntwo \na footer"
    assert msg.html == "<p>Hello"


def test_attachments() -> None:
    notes, pdf, attached = message(MIXED).attachments
    assert (notes.name, notes.type, notes.content) == (
        "../notes.txt",
        "text/plain",
        b"not its words",
    )
    assert (pdf.name, pdf.type, pdf.content) == ("α.pdf", "application/pdf", b"%PDF")
    assert (attached.type, attached.name) == ("message/rfc822", "")
    assert attached.content == b"Subject: within\r\n\r\nsomebody else's words"
    assert [part.type for part in message(MIXED).parts] == [
        *("text/plain", "text/html", "text/plain", "application/pdf"),
        *("message/rfc822", "text/plain"),
    ]


def test_text_of_html_where_there_is_no_other() -> None:
    html = "Content-Type: text/html\r\n\r\n<h1>Hi</h1>\r\n<p>a &amp; b</p><br><br><br>end"
    assert message(html).text == "Hi\n\na & b\n\nend"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Tue, 01 Jul 2025 10:00:00 +0200", datetime(2025, 7, 1, 8, tzinfo=UTC)),
        ("nonsense", None),
        ("Tue, 01 Jul 9999999 10:00:00 +0200", None),
        ("", None),
    ],
)
def test_date(field: str, expected: datetime | None) -> None:
    assert message(f"Date: {field}\r\n\r\n").date == expected
    assert message("\r\n").date is None


def test_message_id() -> None:
    assert message("Message-ID: <a@b>\r\n\r\n").message_id == "<a@b>"
    assert message("\r\n").message_id == ""


def test_what_earlier_policies_put_on_top_is_there_too() -> None:
    msg = message("Subject: a\r\n\r\nb", added=b"X-Added: yes\r\n")
    assert msg.headers["X-Added"] == "yes"
    assert msg.raw == b"X-Added: yes\r\nSubject: a\r\n\r\nb"
    assert msg.text == "b"


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?a=0D=0ABcc:_x@y?=", "=?utf-8?q?a=00b?=", "=?utf-7?q?+2AA-?=", "a\x85b", "a\u2028b"],
)
def test_nothing_of_it_can_forge_a_field(subject: str) -> None:
    found = message(f"Subject: {subject}\r\n\r\n").subject
    assert not set(found) & set("\r\n\0\ud800\x85\u2028")


def test_texts_can_be_written_again() -> None:
    text = message(b"Content-Type: text/plain; charset=utf-7\r\n\r\na+2AA-\0\x1b[1m\r\nb").text
    assert text == "a\ufffd\ufffd\ufffd[1m\nb"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "\r\n",
        "no header at all",
        ":\r\n:\r\n\r\n",
        "Content-Type: multipart/mixed\r\n\r\n--\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
        "From: <\r\nTo: (((\r\nDate: ?\r\nSubject\r\n\r\n\xff",
    ],
)
def test_broken_mail_yields_empty_values(raw: str) -> None:
    msg = message(raw)
    assert msg.from_ == ""
    assert not msg.from_
    assert (msg.to, msg.cc, msg.date, msg.subject, msg.html) == ([], [], None, "", "")
    assert isinstance(msg.text, str)
    assert all(isinstance(part.content, bytes) for part in msg.parts)


@given(st.binary(max_size=500))
def test_nothing_raises(raw: bytes) -> None:
    for data in (raw, b"From: " + raw, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + raw):
        msg = message(data)
        msg.prepare()
        _ = (msg.subject, msg.from_, msg.to, msg.date, msg.html, msg.is_automatic, repr(msg))
        _ = ([part.text for part in msg.parts], dict(msg.headers), list(msg.headers.pairs()))


def test_nothing_is_read_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("mailframe.hooks.mail.read_facts", refuse)
    msg = message()
    assert msg.id == "7KQ2"
    assert msg.sender
    with pytest.raises(AssertionError, match="read"):
        _ = msg.subject


def test_each_thing_is_read_once() -> None:
    msg = message(MIXED)
    assert msg.parts is msg.parts
    assert msg.text is msg.text
    assert msg.headers is msg.headers


def test_only_so_much_of_it_is_looked_at() -> None:
    part = b"--x\r\n\r\na\r\n"
    many = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 2 * MAX_PARTS
    assert len(message(many).parts) == MAX_PARTS
    assert len(message(b"X: y\r\n" * 300_000 + b"\r\nbody").header) <= MAX_HEADER
    one_field = b"Subject: " + b"a" * 2 * MAX_VALUE + b"\r\n\r\n"
    assert len(message(one_field).subject) < MAX_VALUE
    people = b"To: " + b"a@x.test, " * 2 * MAX_ADDRESSES + b"\r\n\r\n"
    assert len(message(people).to) == MAX_ADDRESSES
    assert len(message(b"\r\n" + b"x" * (MAX_TEXT + 10)).text) == MAX_TEXT


def test_points() -> None:
    assert message().score("AIRDROP_2", 2.5, "mentions\r\nit") == Symbol(
        "AIRDROP_2", 2.5, "mentions  it"
    )
    for name in ("airdrop", "", "A B", "A" * 65):
        with pytest.raises(ValueError, match="no name for a symbol"):
            message().score(name, 1)
    for points in (float("nan"), float("inf"), 1001):
        with pytest.raises(ValueError, match="no points"):
            message().score("A", points)


def test_where_nothing_can_be_sent_says_so() -> None:
    with pytest.raises(AppError, match=r"msg\.reply: no mail can be sent from this hook"):
        message(outgoing=None).reply("x")


def test_headers_without_a_message() -> None:
    assert dict(Headers(b"A: 1\r\nB: 2\r\n")) == {"A": "1", "B": "2"}


def test_before_the_commit_there_may_be_several_recipients() -> None:
    recipients = (Recipient(ORDERS), Recipient(BOB))
    msg: Message = message(envelope=Envelope(BOB, recipients), address=None)
    assert msg.recipients == ["orders+42@shop.test", "bob@example.org"]
