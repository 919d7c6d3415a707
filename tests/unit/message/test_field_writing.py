"""Fields of new messages: what they look like, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import decode_header
from mailframe.message.field_writing import (
    addresses_field,
    parameters_field,
    text_field,
    tokens_field,
)
from mailframe.message.headers import fields

LONG = "Παρακαλούμε επιβεβαιώστε την παραγγελία σας το συντομότερο δυνατόν, ευχαριστούμε πολύ!"


def one(field: bytes) -> bytes:
    """The value of what must be exactly one field."""
    (found,) = fields(field)
    assert found.raw == field
    return found.value


@pytest.mark.parametrize("text", ["", "a", "Order 7 has arrived", "x" * 500, "a: b", "~!"])
def test_plain_text_stays_legible(text: str) -> None:
    assert one(text_field("Subject", text)).decode().split() == text.split()


@pytest.mark.parametrize(
    "text", ["Καλημέρα", LONG, " lead", "trail ", "a  b", "=?utf-8?q?no?=", "tab\there", "x" * 2000]
)
def test_everything_else_is_encoded_and_read_back(text: str) -> None:
    field = text_field("Subject", text)
    assert field.isascii()
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert decode_header(one(field)) == text


def test_the_shorter_encoding_is_taken() -> None:
    assert b"?q?" in text_field("Subject", "Café au lait")
    assert b"?b?" in text_field("Subject", "Καλημέρα")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", b" a@b.example\r\n"),
        ("Ann Smith", b" Ann Smith <a@b.example>\r\n"),
        ("Smith, Ann", b' "Smith, Ann" <a@b.example>\r\n'),
        ('"Ann" \\', b' "\\"Ann\\" \\\\" <a@b.example>\r\n'),
        ("Άννα", b" =?utf-8?b?zobOvc69zrE=?= <a@b.example>\r\n"),
        ("a@evil.example", b' "a@evil.example" <a@b.example>\r\n'),
    ],
)
def test_names_of_people(name: str, written: bytes) -> None:
    assert one(addresses_field("To", [(name, "a@b.example")])) == written


def test_an_address_that_needs_utf8_is_written_in_it() -> None:
    assert one(addresses_field("To", [("", "άννα@b.example")])) == " άννα@b.example\r\n".encode()


def test_many_addresses_are_folded_between_them() -> None:
    field = addresses_field("To", [(f"Person {n}", f"person{n}@b.example") for n in range(20)])
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert one(field).count(b",") == 19


@pytest.mark.parametrize("name", ["a.txt", "α.txt", 'q"\\.txt', "Ευχαριστώ πολύ " * 9, "a" * 200])
def test_file_names_come_back(name: str) -> None:
    field = parameters_field("Content-Disposition", "attachment", [("filename", name)])
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    found = parse_content_type(b"x/" + one(field).strip()).parameters["filename"]
    assert found.encode("latin-1").decode() == name


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text_field("Subject", text),
        lambda text: tokens_field("References", [text]),
        lambda text: addresses_field("To", [(text, "a@b.example")]),
        lambda text: addresses_field("To", [("", text)]),
        lambda text: parameters_field("Content-Type", text, []),
        lambda text: parameters_field("Content-Type", "a/b", [("name", text)]),
        lambda text: text_field(text, "x"),
    ],
)
@pytest.mark.parametrize("bad", ["\r", "\n", "\r\nBcc: x@y.example", "\r\n folded", "\0", "\ud800"])
def test_no_field_becomes_two(write: Callable[[str], bytes], bad: str) -> None:
    with pytest.raises(ValueError, match=r"line end|name of a header field"):
        write(f"a{bad}b")


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "X" * 77, "Θέμα", "-x"])
def test_names_of_fields(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a header field"):
        text_field(name, "x")
