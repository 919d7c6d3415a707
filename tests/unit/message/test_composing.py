"""Bodies of new messages, read back by the standard library and by our own reader."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from mailframe.message.composing import Part, file_part, message_part, multipart, text_part


def read(part: Part) -> EmailMessage:
    found = email.message_from_bytes(bytes(part), policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Hello\nthere\n", "7bit"),
        ("x" * 79, "quoted-printable"),
        ("Café au lait, s'il vous plaît, et un croissant pour Madame", "quoted-printable"),
        ("Καλημέρα κόσμε", "base64"),
        (".\n..\nFrom here", "7bit"),
        ("trailing \t\n", "7bit"),
    ],
)
def test_the_encoding_fits_the_text(text: str, encoding: str) -> None:
    found = read(text_part(text))
    assert found["Content-Transfer-Encoding"] == encoding
    assert found.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert all(len(line) <= 78 for line in bytes(text_part(text)).split(b"\r\n"))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_whatever_ends_a_line(end: str) -> None:
    assert text_part(f"a{end}b").body == b"a\r\nb\r\n"


def test_what_no_charset_has_is_replaced() -> None:
    assert read(text_part("a\0b\ud800c")).get_content() == "a\ufffdb\ufffdc\r\n"


def test_empty() -> None:
    assert text_part("").body == b""


@pytest.mark.parametrize("content", [b"", b"\0\r\n.\n" * 40, bytes(range(256))])
def test_files_come_back_to_the_octet(content: bytes) -> None:
    found = read(file_part(content, "image/png", "α.png", content_id="c@d", is_inline=True))
    assert found.get_content() == content
    assert found.get_filename() == "α.png"
    assert found["Content-ID"] == "<c@d>"
    assert found.get_content_disposition() == "inline"


@pytest.mark.parametrize(
    "media", ["png", "", "a/b; charset=x", "a/b\r\nBcc: x", "multipart/mixed", "message/rfc822"]
)
def test_media_types_of_files(media: str) -> None:
    with pytest.raises(ValueError, match=r"media type|cannot be attached"):
        file_part(b"x", media)


@pytest.mark.parametrize(
    ("content", "media", "is_8bit"),
    [
        (b"Subject: a\r\n\r\nb\r\n", "message/rfc822", False),
        (b"Subject: a\r\n\r\n\xff\r\n", "message/rfc822", True),
        ("Subject: α\r\n\r\nb\r\n".encode(), "message/global", True),
        (b"Subject: a\r\n\r\n" + b"x" * 999, "application/octet-stream", False),
        (b"Subject: a\r\n\r\n\0", "application/octet-stream", False),
        (b"Subject: a\n\nbare", "application/octet-stream", False),
    ],
)
def test_messages_are_attached_to_the_octet(content: bytes, media: str, is_8bit: bool) -> None:
    whole = multipart("mixed", [text_part("see below"), message_part(content, "m.eml")])
    found = email.message_from_bytes(bytes(whole), policy=email.policy.default)
    attached = list(found.walk())[2]
    assert attached.get_content_type() == media
    assert whole.is_8bit is is_8bit
    if media == "application/octet-stream":
        assert attached.get_payload(decode=True) == content
    else:
        assert content in bytes(whole)


def test_parts_that_hold_each_others_boundary() -> None:
    inner = multipart("mixed", [text_part("one"), text_part("two")])
    outer = multipart("mixed", [inner, file_part(bytes(inner), "a/b"), text_part("three")])
    kinds = [part.get_content_type() for part in read(outer).walk()]
    assert kinds == ["multipart/mixed", "multipart/mixed", *["text/plain"] * 2, "a/b", "text/plain"]


def test_the_same_input_is_the_same_octets() -> None:
    def make() -> bytes:
        return bytes(multipart("alternative", [text_part("α"), text_part("<p>α", "html")]))

    assert make() == make()


def test_nothing_is_left_for_a_host_without_8bitmime_to_convert() -> None:
    whole = multipart("mixed", [text_part("Καλημέρα" * 40), file_part(b"\xff" * 500, "a/b")])
    message = b"MIME-Version: 1.0\r\n" + bytes(whole)
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 78
