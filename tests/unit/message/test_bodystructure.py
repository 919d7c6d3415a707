"""MIME fields as BODY and BODYSTRUCTURE tell them."""

from __future__ import annotations

import time

import pytest

from mailframe.message.bodystructure import read_fields, read_media, read_parameters
from mailframe.message.facts import read_facts


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, b'"text" "plain" ("charset" "us-ascii")'),
        (b"Text/HTML; Charset=UTF-8", b'"Text" "HTML" ("Charset" "UTF-8")'),
        (b'image/png; name="a \\"b\\".png"', b'"image" "png" ("name" "a \\"b\\".png")'),
        (b"image/png; name=a b.png; x", b'"image" "png" ("name" "a b.png")'),
        (b"image/png;; name=", b'"image" "png" ("name" "")'),
        (b"(a) image (b) / png (c); x=(d)y", b'"image" "png" ("x" "y")'),
        (b"image/png;\r\n\tname=\xc3\xa9", b'"image" "png" ("name" {2}\r\n\xc3\xa9)'),
        (b"nonsense", b'"text" "plain" ("charset" "us-ascii")'),
        (b"text/", b'"text" "plain" ("charset" "us-ascii")'),
        (b"", b'"text" "plain" ("charset" "us-ascii")'),
        (b"application/x", b'"application" "x" NIL'),
    ],
)
def test_types(value: bytes | None, shown: bytes) -> None:
    assert read_media(value).shown == shown


def test_a_digest_holds_messages() -> None:
    assert read_media(None, in_digest=True).name == "message/rfc822"
    assert read_media(b"text/plain", in_digest=True).name == "text/plain"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a*0=x; a*1=y", [(b"a", b"xy")]),
        (b"a*1=y; b=c; a*0=x", [(b"a", b"xy"), (b"b", b"c")]),
        (b"a*0*=utf-8''%41; a*1=\"b c\"", [(b"a*", b"utf-8''%41b%20c")]),
        (b"a*0=b; a*1*=%20", [(b"a*", b"''b%20")]),
        (b"a*=utf-8''x", [(b"a*", b"utf-8''x")]),
        (b"a*1=lost", [(b"a*1", b"lost")]),
        (b"a*0=x; a*0=y; a=z", [(b"a", b"x"), (b"a", b"z")]),
        (b'a="x;y"; b="open; c=d', [(b"a", b"x;y"), (b"b", b"open; c=d")]),
    ],
)
def test_parameters(text: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert list(read_parameters(text)) == expected


@pytest.mark.parametrize(
    ("value", "shown", "name"),
    [
        (b"", b'"7BIT"', "7bit"),
        (b" Quoted-Printable \r\n", b'"QUOTED-PRINTABLE"', "quoted-printable"),
        (b"base64 (c)", b'"BASE64"', "base64"),
        (b"base64;", b'"BASE64"', "base64"),
        (b"8 bit", b'"7BIT"', "7bit"),
        (b"x-uuencode", b'"X-UUENCODE"', "x-uuencode"),
    ],
)
def test_encodings(value: bytes, shown: bytes, name: str) -> None:
    fields = read_fields({b"content-transfer-encoding": value})
    assert fields.about == b"NIL NIL " + shown
    assert fields.encoding == name


def test_extension_data() -> None:
    fields = read_fields(
        {
            b"content-disposition": b' Attachment (x); filename="a"\r\n',
            b"content-language": b" en, de (German)",
            b"content-location": b" http://x.example/\r\n y",
            b"content-md5": b"abc=",
            b"content-id": b"",
        }
    )
    assert fields.extension == (
        b'("Attachment" ("filename" "a")) ("en" "de") "http://x.example/ y"'
    )
    assert fields.md5 == b'"abc="'
    assert fields.about == b'"" NIL "7BIT"'
    assert fields.attached


def test_whole_structure() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\nb\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nc\r\n\r\n"
        b"--x\r\nContent-Type: image/png\r\n\r\nd\r\n--x--\r\n"
    )
    text = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7BIT"'
    s = b'(NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL)'
    assert read_facts(data).body == (
        b"((%b 4 1)"
        b'("message" "rfc822" NIL NIL NIL "7BIT" 17 %b (%b 3 1) 3)'
        b'("image" "png" NIL NIL NIL "7BIT" 1) "mixed")'
    ) % (text, s, text)
    none = b" NIL NIL NIL NIL)"
    assert read_facts(data).structure == (
        b"((%b 4 1%b"
        b'("message" "rfc822" NIL NIL NIL "7BIT" 17 %b (%b 3 1%b 3%b'
        b'("image" "png" NIL NIL NIL "7BIT" 1%b "mixed" ("boundary" "x") NIL NIL NIL)'
    ) % (text, none, s, text, none, none, none)


@pytest.mark.parametrize("head", [b"", b"; boundary=x"])
def test_a_multipart_without_parts_has_an_empty_one(head: bytes) -> None:
    facts = read_facts(b"Content-Type: multipart/mixed" + head + b"\r\n\r\nnothing\r\n")
    assert facts.body == (b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 0 0) "mixed")')


@pytest.mark.parametrize("piece", [b'"\\', b"(", b"(a)", b"; a=b", b"; a*1=b", b"a ", b"="])
def test_hostile_values_take_no_time(piece: bytes) -> None:
    begin = time.process_time()
    for head in (b"", b"text/plain; "):
        read_media(head + piece * 200_000)
        read_fields({b"content-disposition": head + piece * 200_000})
    assert time.process_time() - begin < 2
