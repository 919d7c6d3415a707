"""Answers and new messages: to whom, from whom, and what stands in them."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.hooks.replies import MAX_REFERENCES, MAX_SUBJECT, new_mail
from tests.unit.hooks.mailbag import (
    BOB,
    NOW,
    ORDERS,
    PLAIN,
    letter_of,
    message,
    read,
    server,
    text_in,
)


def answer(raw: str = PLAIN, text: str | None = "Thanks.", **more: Any) -> Any:
    keys = ("html", "attachments", "to", "subject", "headers", "even_automatic")
    asked = {key: more.pop(key) for key in keys if key in more}
    return message(raw, **more).reply(text, **asked)


def test_an_answer() -> None:
    letter = letter_of(answer())
    found = read(letter)
    # RFC 3834 sections 3.3 and 4
    assert (letter.reverse_path, letter.recipients) == (None, (BOB,))
    assert found["From"] == "orders+42@shop.test"
    assert found["To"] == "Bob <bob@example.org>"
    assert found["Subject"] == "Re: My order"
    assert found["In-Reply-To"] == "<1@example.org>"
    assert found["References"] == "<1@example.org>"
    assert found["Auto-Submitted"] == "auto-replied"
    assert found["Message-ID"] == letter.message_id
    assert email.utils.parsedate_to_datetime(found["Date"]).timestamp() == NOW
    assert text_in(found) == "Thanks.\n"
    assert letter.content.isascii()


def test_it_goes_to_the_reverse_path_whatever_the_header_says() -> None:
    raw = "From: Ceo <ceo@victim.test>\r\nReply-To: other@victim.test\r\n\r\n"
    letter = letter_of(answer(raw))
    assert letter.recipients == (BOB,)
    assert read(letter)["To"] == "bob@example.org"


def test_it_goes_to_who_is_named() -> None:
    raw = "From: Ann <ann@a.test>\r\n\r\n"
    letter = letter_of(answer(raw, to=message(raw).from_))
    assert letter.recipients == (Address.parse("ann@a.test"),)
    assert read(letter)["To"] == "Ann <ann@a.test>"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("a", "Re: a"),
        ("Re: a", "Re: a"),
        ("RE: re[2]: AW: a", "Re: a"),
        ("ΑΠ: a", "Re: a"),
        ("Report: a", "Re: Report: a"),
        ("Fwd: a", "Re: Fwd: a"),
        ("", "Re: "),
        ("=?utf-8?q?a=0D=0ABcc:_x@y.test?=", "Re: a  Bcc: x@y.test"),
        ("x" * 2_000, "Re: " + "x" * MAX_SUBJECT),
    ],
)
def test_subjects(subject: str, expected: str) -> None:
    found = read(letter_of(answer(f"Subject: {subject}\r\n\r\n")))
    assert found["Subject"] == expected.rstrip()
    assert found["Bcc"] is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", None),
        ("References: <a@x>\r\n", None),
        ("Message-ID: <m@x>\r\n", "<m@x>"),
        ("Message-ID: <m@x>\r\nReferences: <a@x>\r\n <b@x> junk\r\n", "<a@x> <b@x> <m@x>"),
        ("Message-ID: <m@x>\r\nIn-Reply-To: <a@x>\r\n", "<a@x> <m@x>"),
        ("Message-ID: <m@x>\r\nIn-Reply-To: <a@x> <b@x>\r\n", "<m@x>"),
        ("Message-ID: <m@x>\r\nReferences: <m@x> <a@x> <m@x>\r\n", "<a@x> <m@x>"),
        ("Message-ID: <m@\xe9>\r\n", None),
        ("Message-ID: not one\r\n", None),
    ],
)
def test_threads(fields: str, expected: str | None) -> None:
    found = read(letter_of(answer(f"{fields}\r\n")))
    assert found["References"] == expected
    assert (found["In-Reply-To"] is None) is (expected is None)


def test_references_are_bounded_and_the_root_is_kept() -> None:
    ids = [f"<{number}@{'x' * 200}>" for number in range(500)]
    raw = f"Message-ID: <m@x>\r\nReferences: {' '.join(ids)}\r\n\r\n"
    found = read(letter_of(answer(raw)))["References"].split()
    assert found == [ids[0], *ids[-MAX_REFERENCES + 2 :], "<m@x>"]


AUTOMATIC = "Precedence: bulk\r\n\r\n"


def test_programs_are_not_answered() -> None:
    dispatch = answer(AUTOMATIC)
    assert (dispatch.letter, dispatch.queue_id, dispatch.message_id) == (None, None, "")
    assert dispatch.why == "no reply: Precedence: bulk"


def test_programs_are_answered_where_the_application_insists() -> None:
    assert letter_of(answer(AUTOMATIC, even_automatic=True))


@pytest.mark.parametrize(
    ("raw", "more"),
    [
        (PLAIN, {"sender": None}),
        (PLAIN, {"sender": None, "to": "ann@a.test"}),
        (PLAIN, {"sender": Address.parse("orders@shop.test")}),
        (PLAIN, {"to": "orders+9@shop.test"}),
        ("Auto-Submitted: auto-replied\r\n\r\n", {}),
        ("Received: x\r\n" * 31 + "\r\n", {}),
    ],
)
def test_loops_are_never_made(raw: str, more: dict[str, Any]) -> None:
    dispatch = answer(raw, even_automatic=True, **more)
    assert dispatch.letter is None
    assert dispatch.why.startswith("no reply: ")


def test_without_an_address_it_is_from_the_postmaster() -> None:
    recipients = (Recipient(Address.parse("x@far.test")), Recipient(ORDERS))
    dispatch = answer(address=None, envelope=Envelope(BOB, recipients))
    assert read(letter_of(dispatch))["From"] == "postmaster@shop.test"


def test_html_has_text_beside_it() -> None:
    found = read(letter_of(answer(text=None, html="<h1>Γεια</h1><p>a &lt; b")))
    assert [part.get_content_type() for part in found.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    plain, html = found.iter_parts()
    assert text_in(plain) == "Γεια\n\na < b\n"
    assert text_in(html) == "<h1>Γεια</h1><p>a &lt; b\n"


def test_attachments(tmp_path: Path) -> None:
    path = tmp_path / "τιμολόγιο.pdf"
    path.write_bytes(b"%PDF")
    given = [b"raw", path, ("a.txt", "αβγ"), ("b.png", b"png"), ("c", b"c", "x-own/type")]
    found = read(letter_of(answer(attachments=given)))
    files = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in found.iter_attachments()
    ]
    assert files == [
        ("attachment.bin", "application/octet-stream", b"raw"),
        ("τιμολόγιο.pdf", "application/pdf", b"%PDF"),
        ("a.txt", "text/plain", "αβγ".encode()),
        ("b.png", "image/png", b"png"),
        ("c", "x-own/type", b"c"),
    ]
    text = list(found.iter_attachments())[2]
    assert text_in(text) == "αβγ"


@pytest.mark.parametrize(
    "wrong", ["a.txt", ["a.txt"], [7], [("a.txt",)], [("a.txt", 7)], ("a.txt", b"x")]
)
def test_what_is_no_attachment(wrong: Any) -> None:
    with pytest.raises(TypeError, match="attachment"):
        answer(attachments=wrong)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        answer(attachments=[tmp_path / "none"])


def test_fields_of_ones_own() -> None:
    found = read(letter_of(answer(headers={"X-Ticket": "Νο 7", "Importance": "high"})))
    assert (found["X-Ticket"], found["Importance"]) == ("Νο 7", "high")


@pytest.mark.parametrize(
    "name",
    ["From", "bcc", "Message-ID", "Auto-Submitted", "References", "Content-Type", "Resent-To"],
)
def test_fields_that_are_ours(name: str) -> None:
    with pytest.raises(ValueError, match="not set by headers"):
        answer(headers={name: "x"})


BAD = ["a\r\nBcc: x@y.test", "a\nb", "a\rb", "a\0b"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "call",
    [
        lambda bad: answer(subject=bad),
        lambda bad: answer(to=bad),
        lambda bad: answer(to=f"{bad} <a@b.test>"),
        lambda bad: answer(to=f"a@b.test{bad}"),
        lambda bad: answer(headers={"X-A": bad}),
        lambda bad: answer(headers={bad: "a"}),
        lambda bad: answer(attachments=[(bad, b"x")]),
        lambda bad: answer(attachments=[("x", b"x", bad)]),
        lambda bad: message().send(to="a@b.test", from_=bad),
        lambda bad: message().send(to="a@b.test", reply_to=bad),
        lambda bad: message().send(to=["a@b.test", bad]),
        lambda bad: message().send(to="a@b.test", cc=bad),
        lambda bad: message().send(to="a@b.test", bcc=bad),
        lambda bad: message().forward(bad),
    ],
)
def test_no_argument_makes_a_field(call: Callable[[str], object], bad: str) -> None:
    with pytest.raises(ValueError, match=r"line end|header field|media type"):
        call(bad)


def test_a_new_message() -> None:
    letter = new_mail(
        server(),
        to=["Ann <ann@a.test>", '"Smith, Bob" <bob@b.test>', "ANN@a.test"],
        cc="carol@c.test",
        bcc=Address.parse("dan@d.test"),
        subject="Νέα",
        text="Hello",
        from_="Shop <news@shop.test>",
        reply_to="help@shop.test",
        headers={"List-Unsubscribe": "<mailto:off@shop.test>"},
    )
    found = read(letter)
    assert letter.reverse_path == Address.parse("news@shop.test")
    assert [str(each) for each in letter.recipients] == [
        *("ann@a.test", "bob@b.test", "carol@c.test", "dan@d.test")
    ]
    assert found["To"] == 'Ann <ann@a.test>, "Smith, Bob" <bob@b.test>, ANN@a.test'
    assert (found["Cc"], found["Bcc"]) == ("carol@c.test", None)
    assert b"dan@d.test" not in letter.content
    assert (found["From"], found["Reply-To"]) == ("Shop <news@shop.test>", "help@shop.test")
    assert (found["Subject"], found["Auto-Submitted"]) == ("Νέα", "auto-generated")
    assert found["List-Unsubscribe"] == "<mailto:off@shop.test>"
    assert letter.message_id == "<ID1@mail.shop.test>"


def test_who_asks_may_say_that_a_person_wrote_it() -> None:
    letter = new_mail(server(), to="a@b.test", headers={"auto-submitted": "no"})
    assert read(letter).get_all("Auto-Submitted") == ["no"]


def test_a_message_sent_from_a_hook_is_from_its_address() -> None:
    letter = letter_of(message().send(to="a@b.test", subject="x", text="y"))
    assert (letter.reverse_path, read(letter)["From"]) == (ORDERS, "orders+42@shop.test")


def test_domains_need_no_smtputf8_and_local_parts_do() -> None:
    letter = new_mail(server(), to=["ann@ελλάδα.test", "άννα@b.test"])
    assert b"To: ann@xn--hxakic4aa.test" in letter.content
    assert "άννα@b.test".encode() in letter.content
    assert letter.recipients[0].domain == "ελλάδα.test"


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        ({}, ValueError, "no recipients"),
        ({"to": "a@b.test, c@d.test"}, ValueError, "domain"),
        ({"to": "Ann <a@b.test"}, ValueError, "is not Name"),
        (
            {"to": "a@b.test", "bcc": Address("a>\r\nRSET", "b.test")},
            ValueError,
            "control character",
        ),
        ({"to": "a@b.test", "bcc": Address("a", "b.test>\r\nRSET")}, ValueError, "malformed"),
        ({"to": "a@b.test", "from_": "nobody"}, ValueError, "domain"),
        ({"to": [7]}, TypeError, "no address"),
        ({"to": [f"a{n}@b.test" for n in range(1001)]}, ValueError, "1000 recipients"),
    ],
)
def test_what_is_no_message(arguments: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        new_mail(server(), **arguments)


def test_a_message_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailframe.hooks.drafts.MAX_OCTETS", 1 << 20)
    with pytest.raises(ValueError, match="larger than 1 MB"):
        answer(attachments=[b"x" * (1 << 20)])
