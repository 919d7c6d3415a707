from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.headers import (
    count,
    fields,
    first,
    has_more_than,
    message_id,
    named,
    split_message,
    unfolded,
)

HEADER = (
    b"Received: from a\r\n\tby b\r\nreceived: from c by d\r\nSubject:no\r\n blank \r\n"
    b"X-Received: no\r\nFrom : ann@example.org\r\nMessage-ID: <1@example.org>\r\n"
)


def test_split_at_the_first_empty_line() -> None:
    assert split_message(b"A: 1\r\nB: 2\r\n\r\nbody\r\n\r\nC: 3") == (
        b"A: 1\r\nB: 2\r\n",
        b"body\r\n\r\nC: 3",
    )
    assert split_message(b"\r\nbody") == (b"", b"body")
    assert split_message(b"A: 1\r\n") == (b"A: 1\r\n", b"")
    assert split_message(b"A: 1\n\nbody") == (b"A: 1\n", b"body")
    # a line of blanks continues the field above
    assert split_message(b"A: 1\r\n \r\nB: 2\r\n\r\n")[0] == b"A: 1\r\n \r\nB: 2\r\n"


def test_fields_keep_every_octet() -> None:
    found = list(fields(HEADER))
    assert b"".join(field.raw for field in found) == HEADER
    assert [field.name for field in found] == [
        "Received", "received", "Subject", "X-Received", "From", "Message-ID"
    ]  # fmt: skip
    assert found[0].value == b" from a\r\n\tby b\r\n"
    assert found[0].text == "from a\tby b"
    assert found[2].text == "no blank"


def test_what_is_no_field_is_left_out() -> None:
    header = (
        b"From ann Thu Jan  1 00:00:00 1970\r\n stray\r\nno colon\r\n: empty\r\n\xe9: x\r\nA: 1"
    )
    assert [(field.name, field.text) for field in fields(header)] == [("A", "1")]


def test_more_fields_than_so_many() -> None:
    assert has_more_than(1, HEADER, "Received")
    assert not has_more_than(2, HEADER, "received")
    assert has_more_than(1, b"A: 1\r\nA: 2", "A")
    assert not has_more_than(1, b"A: 1\r\nB: 2\r\nC: 3\r\n", "A")


def test_named_fields_ignore_case_and_other_names() -> None:
    assert count(HEADER, "Received") == 2
    assert [field.text for field in named(HEADER, "RECEIVED")] == ["from a\tby b", "from c by d"]
    from_field = first(HEADER, "from")
    assert from_field is not None
    assert from_field.text == "ann@example.org"
    assert HEADER[from_field.start :].startswith(b"From :")
    assert first(HEADER, "Sender") is None


def test_a_bare_line_feed_hides_nothing() -> None:
    assert count(b"Subject: x\nFrom: a@b\r\n", "From") == 1


def test_octets_that_are_no_utf8_are_shown_as_such() -> None:
    field = first(b"Subject: caf\xe9\r\n", "Subject")
    assert field is not None
    assert field.text == "caf\ufffd"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" <a@b>\r\n", "<a@b>"),
        (b"\r\n <a@b> (comment)\r\n", "<a@b>"),
        (b"a@b\r\n", ""),
        (b"<a b@c>\r\n", ""),
        (b"<" + b"a" * 2000 + b">\r\n", ""),
        (b"<a@b\0>\r\n", ""),
        (b"<" * 2000 + b"x>\r\n", "<x>"),
    ],
)
def test_message_id(value: bytes, expected: str) -> None:
    assert message_id(b"X: y\r\nMessage-Id:" + value) == expected


def test_no_message_id() -> None:
    assert message_id(b"X: <y>\r\n") == ""


@given(st.binary(max_size=400))
def test_any_octets_are_a_header(data: bytes) -> None:
    header, _ = split_message(data)
    for field in fields(header):
        assert header[field.start :].startswith(field.raw)
        assert field.text is not None
        assert field in list(named(header, field.name))


@given(st.lists(st.tuples(st.sampled_from(["A", "b-c", "X!"]), st.text("xy:é \t", max_size=9))))
def test_fields_of_a_rendered_section_come_back(pairs: list[tuple[str, str]]) -> None:
    header = "".join(f"{name}:{value}\r\n" for name, value in pairs).encode()
    assert [(f.name, unfolded(f.value).decode()) for f in fields(header)] == [
        (name, value.strip(" \t")) for name, value in pairs
    ]


@pytest.mark.parametrize("hostile", [b"A" * 99, b"A: b\n", b" ", b"A:\n ", b"A ", b"<", b"\r\n\t"])
def test_reading_takes_linear_time(hostile: bytes) -> None:
    data = b"Message-ID:" + hostile * (1_000_000 // len(hostile))
    started = time.process_time()
    split_message(data)
    sum(len(field.text) for field in fields(data))
    message_id(data)
    count(data, "A")
    assert time.process_time() - started < 5
