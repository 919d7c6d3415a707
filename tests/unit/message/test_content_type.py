from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.content_type import parse_content_type


@pytest.mark.parametrize(
    ("value", "kind", "boundary"),
    [
        (b' multipart/mixed; boundary="b c"\r\n', "multipart/mixed", b"b c"),
        (b"Multipart/Mixed;\r\n\tcharset=x;\r\n BOUNDARY=b", "multipart/mixed", b"b"),
        (b"multipart/mixed; boundary=----=_Part_1:2/3", "multipart/mixed", b"----=_Part_1:2/3"),
        (b"multipart/mixed; boundary=b; boundary=c", "multipart/mixed", b"b"),
        (b'multipart/mixed; (a) boundary (b) = (c) "b\\"" (d)', "multipart/mixed", b'b"'),
        (b'multipart/mixed; boundary="unclosed', "multipart/mixed", b"unclosed"),
        (b'multipart/mixed; boundary="trailing  "', "multipart/mixed", b"trailing"),
        (b"multipart/mixed; boundary*0=ab; boundary*1=cd", "multipart/mixed", b"abcd"),
        (
            b"multipart/mixed; boundary*1*=%20cd; boundary*0*=us-ascii''ab",
            "multipart/mixed",
            b"ab cd",
        ),
        (b"multipart/mixed; boundary*=us-ascii'en'a%3Db", "multipart/mixed", b"a=b"),
        (b'multipart/mixed; boundary="b\xe9"', "multipart/mixed", b"b\xe9"),
        (b"multipart/mixed; boundary=", "multipart/mixed", None),
        (b'multipart/mixed; boundary=""', "multipart/mixed", None),
        (b"multipart/mixed; boundary", "multipart/mixed", None),
        (b"multipart/mixed; boundary=" + b"x" * 300, "multipart/mixed", None),
        (b"text/html", "text/html", None),
        (b"text / html ; x=y", "text/html", None),
        (b"text", "text/plain", None),
        (b"", "text/plain", None),
        (b"/; /", "text/plain", None),
        (b"text/html charset=utf-8; boundary=x", "text/html", b"x"),
    ],
)
def test_types_and_boundaries(value: bytes, kind: str, boundary: bytes | None) -> None:
    parsed = parse_content_type(value)
    assert str(parsed) == kind
    assert parsed.boundary == boundary


@given(st.binary(max_size=200))
def test_nothing_raises(value: bytes) -> None:
    assert parse_content_type(value).type
    assert parse_content_type(b"text/plain;" + value).subtype


@pytest.mark.parametrize("hostile", [b"(", b'"', b"=", b";", b" ", b"a*1=", b"\\", b'"\\'])
def test_parsing_takes_linear_time(hostile: bytes) -> None:
    started = time.process_time()
    parse_content_type(b"multipart/mixed; a=" + hostile * 60_000)
    assert time.process_time() - started < 10
