"""Charsets by the names that mail uses, and encoded words."""

from __future__ import annotations

import time

import pytest

from mailframe.message.charsets import decode_text, is_known
from mailframe.message.encoded_words import decode_header, from_base64


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        ("αβ".encode(), "UTF-8", "αβ"),
        ("αβ".encode("cp1253"), "windows-1253", "αβ"),
        ("αβ".encode("iso8859-7"), '"ISO_8859-7"', "αβ"),
        (b"\x93a\x94", "iso-8859-1", "\u201ca\u201d"),
        (b"\x81", "iso-8859-1", "\x81"),
        ("한".encode("cp949"), "ks_c_5601-1987", "한"),
        ("①".encode("cp932"), "Shift_JIS", "①"),
        ("鎔".encode("gb18030"), "gb2312", "鎔"),
        ("й".encode("koi8-r"), "koi8-r", "й"),
        (b"a\xff", "utf-8", "a\ufffd"),
        ("é".encode(), "us-ascii", "é"),
        (b"\xe9", "us-ascii", "é"),
        (b"\xe9", "", "é"),
        ("é".encode(), "x-nonsense", "é"),
        (b"aGk=", "base64", "aGk="),
        (b"abc-def", "punycode", "abc-def"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"a", "../../etc", "a"),
        (b"a", "\0", "a"),
        (b"a", "x" * 10_000, "a"),
    ],
)
def test_decode_text(octets: bytes, charset: str, expected: str) -> None:
    assert decode_text(octets, charset) == expected


def test_which_are_known() -> None:
    assert all(map(is_known, ["UTF-8", "us-ascii", "windows-1253", "ks_c_5601-1987"]))
    assert not any(map(is_known, ["", "base64", "rot13", "idna", "x-none", "undefined"]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" plain\r\n", "plain"),
        (b"a =?utf-8?q?b=C3?= =?UTF-8?Q?=A9_x?= c", "a b\u00e9 x c"),
        (b"=?utf-8?B?w6k?==?iso-8859-1?Q?=E9?=", "\u00e9\u00e9"),
        (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"=?utf-8?q?what??=", "what?"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?q?open =?utf-8?q?x?=", "=?utf-8?q?open x"),
        (b"=?utf-8?q?=zz?=", "=zz"),
        (b"=?utf-8?x?a?= =?", "=?utf-8?x?a?= =?"),
        (b"=?utf-8?q??=", ""),
        (b"\xe9", "\u00e9"),
        (b"", ""),
    ],
)
def test_decode_header(value: bytes, expected: str) -> None:
    assert decode_header(value) == expected


def test_base64_is_read_as_far_as_it_goes() -> None:
    assert from_base64(b"a") == b""
    assert from_base64(b"aGk=aGk=\r\n") == b"hihi"
    assert from_base64(b"\xff\0=") == b""


@pytest.mark.parametrize("piece", [b"=?a?q?", b"=?a?q??=", b"=?", b"?=", b"=?a?b?=?=", b"=?a"])
def test_hostile_headers_take_no_time(piece: bytes) -> None:
    begin = time.process_time()
    decode_header(piece * 200_000)
    assert time.process_time() - begin < 10
