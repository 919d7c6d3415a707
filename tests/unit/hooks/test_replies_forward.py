"""Messages sent on, and the loops that this could make."""

from __future__ import annotations

import pytest

from mailframe.core.address import Address
from mailframe.hooks.mail import Message
from mailframe.hooks.outgoing import Letter
from tests.unit.hooks.mailbag import ORDERS, PLAIN, letter_of, message, read, text_in

AGENT = "agent@desk.test"
WITH_FILES = """\
From: Bob <bob@example.org>\r
Subject: Fwd: =?utf-8?q?=CE=91?=\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
\r
its words\r
--x\r
Content-Type: text/csv; charset=iso-8859-7; name=a.csv\r
Content-Transfer-Encoding: base64\r
\r
4Q==\r
--x\r
Content-Type: message/rfc822\r
\r
Subject: within\r
\r
x\r
--x\r
Content-Type: message/delivery-status\r
\r
Status: 5.1.1\r
--x--\r
"""


def test_inline() -> None:
    letter = letter_of(message(WITH_FILES).forward(AGENT, note="Please look."))
    found = read(letter)
    assert letter.reverse_path == ORDERS
    assert letter.recipients == (Address.parse(AGENT),)
    assert (found["From"], found["To"]) == ("orders+42@shop.test", AGENT)
    assert (found["Reply-To"], found["Subject"]) == ("Bob <bob@example.org>", "Fwd: Α")
    assert found["Auto-Submitted"] == "auto-generated"
    text, csv, attached, status = found.iter_parts()
    assert text_in(text) == (
        "Please look.\n\n---------- Forwarded message ----------\nFrom: Bob <bob@example.org>\n"
        "Subject: Fwd: Α\n\nits words\n"
    )
    assert (csv.get_filename(), text_in(csv)) == ("a.csv", "α")
    assert attached.get_content_type() == "message/rfc822"
    assert status.get_content_type() == "application/octet-stream"
    assert status.get_payload(decode=True) == b"Status: 5.1.1"


def test_attached_to_the_octet() -> None:
    raw = b"Subject: a/b\r\nX-Odd:  kept \r\n\r\nbody\r\n\r\n"
    letter = letter_of(message(raw).forward(AGENT, as_attachment=True))
    assert raw in letter.content
    attached = list(read(letter).walk())[2]
    assert (attached.get_content_type(), attached.get_filename()) == ("message/rfc822", "a_b.eml")


def test_bounces_of_what_has_the_null_sender_are_not_made() -> None:
    letter = letter_of(message(PLAIN, sender=None).forward(AGENT))
    assert letter.reverse_path is None


def back(letter: Letter, address: str, *, top: bytes = b"") -> Message:
    """The message as it comes back from where it was sent to."""
    return message(top + letter.content, address=Address.parse(address))


def test_what_comes_back_is_not_sent_again() -> None:
    letter = letter_of(message().forward(AGENT))
    dispatch = back(letter, "orders+42@shop.test", top=b"Received: x\r\n").forward(AGENT)
    assert dispatch.why == "not forwarded: it was forwarded from here before, and has come back"


def test_nor_through_another_application() -> None:
    first = letter_of(message().forward("b@shop.test"))
    second = letter_of(back(first, "b@shop.test").forward("orders@elsewhere.test"))
    assert back(second, "orders+42@shop.test").forward("b@shop.test").letter is None
    assert back(second, "c@shop.test").forward("d@shop.test").letter is not None


@pytest.mark.parametrize("to", ["orders@shop.test", "orders+42@shop.test", "Orders+1@shop.test"])
def test_not_to_its_own_address(to: str) -> None:
    assert message().forward(AGENT, to).why.startswith("not forwarded: it would come")


def test_not_over_too_many_hosts() -> None:
    assert "more than 30 hosts" in message("Received: x\r\n" * 31 + "\r\n").forward(AGENT).why
    many = "".join(f"Delivered-To: a{n}@x.test\r\n" for n in range(31))
    assert "more than 30 hosts" in message(f"{many}\r\n").forward(AGENT).why


def test_somebody_elses_notation_is_no_error() -> None:
    letter = letter_of(message("Delivered-To: mailing list x\r\n\r\n").forward(AGENT))
    assert read(letter).get_all("Delivered-To") == ["orders+42@shop.test"]


def test_needs_an_address() -> None:
    with pytest.raises(ValueError, match="needs an address"):
        message().forward()


def test_an_author_who_cannot_be_read_has_no_reply_to() -> None:
    letter = letter_of(message("From: nobody\r\n\r\nx").forward(AGENT))
    assert read(letter)["Reply-To"] is None
