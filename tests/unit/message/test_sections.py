"""BODY[...] and BINARY[...]: part numbers, header fields, transfer encodings."""

from __future__ import annotations

import time

import pytest

from mailframe.message.facts import read_facts
from mailframe.message.sections import (
    UnknownEncoding,
    decoded,
    find,
    pick,
    section,
    slice_of,
    undo,
)

INNER = b"Subject: in\r\nFrom: a@b\r\n\r\ninner\r\n"
MIXED = (
    b"Subject: out\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\n"
    b"Content-ID: <1>\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER
    + b"\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\n3.1"
    b"\r\n--y--\r\n--x--\r\nepi\r\n"
)
PLAIN = b"Subject: s\r\n\r\nbody"


def told(data: bytes, path: tuple[int, ...], text: str = "", *fields: str) -> bytes | None:
    parts = read_facts(data).parts
    assert parts is not None
    return section(data, parts, path, text, fields)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ((), "", MIXED),
        ((), "HEADER", MIXED[: MIXED.index(b"pre")]),
        ((), "TEXT", MIXED[MIXED.index(b"pre") :]),
        ((), "MIME", None),
        ((1,), "", b"one"),
        ((1,), "MIME", b"Content-ID: <1>\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((2,), "", INNER),
        ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ((2,), "HEADER", b"Subject: in\r\nFrom: a@b\r\n\r\n"),
        ((2,), "TEXT", b"inner\r\n"),
        ((2, 1), "", b"inner\r\n"),
        ((2, 1), "MIME", b"Subject: in\r\nFrom: a@b\r\n\r\n"),
        ((2, 2), "", None),
        ((2, 1, 1), "", None),
        ((3,), "", b"--y\r\n\r\n3.1\r\n--y--\r\n"),
        ((3, 1), "", b"3.1"),
        ((3, 1), "MIME", b"\r\n"),
        ((4,), "", None),
        ((0,), "", None),
    ],
)
def test_parts_of_a_multipart(path: tuple[int, ...], text: str, expected: bytes | None) -> None:
    assert told(MIXED, path, text) == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ((1,), "", b"body"),
        ((1,), "MIME", b"Subject: s\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1, 1), "", None),
        ((2,), "", None),
    ],
)
def test_a_message_is_its_own_part(
    path: tuple[int, ...], text: str, expected: bytes | None
) -> None:
    assert told(PLAIN, path, text) == expected


def test_a_header_that_a_delimiter_ends() -> None:
    data = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nA: b\r\n--x\r\n--x--"
    assert told(data, (1,), "MIME") == b"A: b\r\n"
    assert told(data, (1,)) == told(data, (2,)) == told(data, (2,), "MIME") == b""


def test_a_line_of_dashes_is_text() -> None:
    data = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--\r\n--x--\r\n"
    assert told(data, (1,)) == b"a\r\n--"
    assert told(data, (2,)) is None


def test_a_message_in_a_message() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\n" + MIXED
    assert told(data, (1,)) == told(data, (), "TEXT") == MIXED
    assert told(data, (1, 1)) == b"one"
    assert told(data, (1, 2, 1)) == b"inner\r\n"
    assert told(data, (1,), "HEADER.FIELDS", "subject") == b"Subject: out\r\n\r\n"


HEADER = b"From x Mon\r\nA: 1\r\nB: 2\r\na: 3\r\n x\r\nno field\r\nC : 4\r\n\r\n"


@pytest.mark.parametrize(
    ("names", "excluded", "expected"),
    [
        (["a", "C"], False, b"A: 1\r\na: 3\r\n x\r\nC : 4\r\n\r\n"),
        (["A"], True, b"From x Mon\r\nB: 2\r\nno field\r\nC : 4\r\n\r\n"),
        (["zz"], False, b"\r\n"),
        ([], True, HEADER),
    ],
)
def test_header_fields(names: list[str], excluded: bool, expected: bytes) -> None:
    assert pick(HEADER, names, excluded=excluded) == expected


@pytest.mark.parametrize("header", [b"", b"\r\n", b"A: 1", b"A: 1\r\n"])
def test_header_fields_end_with_the_empty_line(header: bytes) -> None:
    for excluded in (False, True):
        made = pick(header, ["a"], excluded=excluded)
        assert made in (b"\r\n", b"A: 1\r\n\r\n")


@pytest.mark.parametrize(
    ("encoding", "octets", "expected"),
    [
        ("7bit", b"a=41\r\n", b"a=41\r\n"),
        ("binary", b"\0", b"\0"),
        ("base64", b"aGVs\r\nbG8=\r\n", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),
        ("base64", b"aGVs!!bG8=\r\nzzz", b"hello\xcf\x3c"),
        ("base64", b"aGk=aGk=", b"hihi"),
        ("base64", b"", b""),
        ("base64", b"=", b""),
        ("quoted-printable", b"a=3Db=\r\nc  \r\n=E9 ", b"a=bc\r\n\xe9"),
        ("quoted-printable", b"=zz=", b"=zz"),
    ],
)
def test_transfer_encodings(encoding: str, octets: bytes, expected: bytes) -> None:
    assert undo(octets, encoding) == expected


def test_an_unknown_encoding_is_refused() -> None:
    data = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n"
    parts = read_facts(data).parts
    assert parts is not None
    with pytest.raises(UnknownEncoding):
        decoded(data, parts)


def test_where_a_section_is_agrees_with_what_it_is() -> None:
    parts = read_facts(MIXED).parts
    assert parts is not None
    for path in ((), (1,), (2,), (2, 1), (3,), (3, 1)):
        where = slice_of(parts, path, "")
        assert where is not None
        assert MIXED[slice(*where)] == section(MIXED, parts, path)
    assert find(parts, (3, 2)) is None


@pytest.mark.parametrize("piece", [b" ", b"=", b"=\r\n", b" \r\n", b"\r"])
def test_hostile_bodies_take_no_time(piece: bytes) -> None:
    begin = time.process_time()
    for encoding in ("base64", "quoted-printable"):
        undo(piece * 1_000_000, encoding)
    pick(piece * 1_000_000, ["a"])
    assert time.process_time() - begin < 10
