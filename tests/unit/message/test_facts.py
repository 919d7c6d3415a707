"""The offset scanner: ids, limits, messages made to be slow."""

from __future__ import annotations

import time

import pytest

from mailframe.core.facts import Part
from mailframe.message.facts import read_facts
from mailframe.message.parts import parts_from_bytes, parts_to_bytes
from mailframe.message.structure import MAX_DEPTH, MAX_ENTITIES, MAX_HEADER

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def test_a_part_is_offsets() -> None:
    data = (
        b"Content-Type: Text/Html; CHARSET=UTF-8\r\nContent-Transfer-Encoding: Base64\r\n\r\nQQ=="
    )
    assert read_facts(data).parts == Part(
        0, len(data) - 4, len(data), "text/html", "base64", "utf-8"
    )


def test_the_first_field_counts_and_all_addresses() -> None:
    facts = read_facts(
        b"Subject: one\r\nSubject: two\r\nTo: a@b\r\nTo: c@d\r\nContent-Type: a/b\r\n"
        b"Content-Type: c/d\r\n\r\n"
    )
    assert b'"one"' in facts.envelope
    assert b'"two"' not in facts.envelope
    assert b'((NIL NIL "a" "b")(NIL NIL "c" "d"))' in facts.envelope
    assert facts.body.startswith(b'("a" "b"')


def test_ids() -> None:
    root = read_facts(b"Message-ID: <r@x>\r\n\r\n")
    reply = read_facts(b"Message-ID: <a@x>\r\nIn-Reply-To: (x) <r@x>\r\n\r\n")
    later = read_facts(
        b"Message-ID: <b@x>\r\nReferences: <r@x>\r\n <a@x>\r\nIn-Reply-To: <a@x>\r\n\r\n"
    )
    other = read_facts(b"Subject: x\r\n\r\n")
    assert root.thread_id == reply.thread_id == later.thread_id
    assert len({root.email_id, reply.email_id, later.email_id, other.email_id}) == 4
    assert other.thread_id == "T" + other.email_id[1:]
    assert other.email_id == read_facts(b"Subject: x\r\n\r\n").email_id


def test_the_empty_message() -> None:
    facts = read_facts(b"")
    assert facts.parts == Part(0, 0, 0, "text/plain", "7bit", "")
    assert facts.envelope == b"(" + b" ".join([b"NIL"] * 10) + b")"


def _depth(part: Part) -> int:
    inner = [*part.parts, *([part.message] if part.message else [])]
    return 1 + max(map(_depth, inner), default=0)


def test_not_deeper_and_not_more_than_so_many() -> None:
    deep = read_facts(b"Content-Type: message/rfc822\r\n\r\n" * 5000).parts
    assert deep is not None
    assert _depth(deep) == MAX_DEPTH
    wide = read_facts(MIXED + b"--b\r\n\r\nx\r\n" * 20_000).parts
    assert wide is not None
    assert len(wide.parts) == MAX_ENTITIES - 1
    assert parts_from_bytes(parts_to_bytes(deep)) == deep


def test_a_header_without_end_is_cut() -> None:
    parts = read_facts(b"a: b\r\n" * (MAX_HEADER // 3)).parts
    assert parts is not None
    assert MAX_HEADER - 6 < parts.body <= MAX_HEADER


def nested(count: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(count)
    )


@pytest.mark.parametrize(
    "bomb",
    [
        MIXED + b"\r\n--" * 3_000_000,
        MIXED + b"--b\r\n" * 2_000_000,
        MIXED + (b"--b\r\n" + b"a" * 1000 + b"\r\n--x\r\n") * 10_000,
        MIXED + b"--b\r\n" * 10_000 + b"a:b\r\n" * 2_000_000,
        nested(100_000),
        nested(100) + b"\r\n" * 5_000_000,
        b"Content-Type: message/rfc822\r\n\r\n" * 99 + b"\r\n" * 5_000_000,
        b"To: " + b"a@b," * 3_000_000 + b"\r\n\r\n",
        b"To: a@b\r\n" * 1_000_000 + b"\r\n",
        b"References: " + b"<a" * 3_000_000 + b"\r\n\r\n",
        b"Subject" + b" " * 10_000_000 + b"x\r\n\r\n",
        b"Content-Type: text/html\r\n\r\n" + b"<style>" * 1_000_000,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b" " * 10_000_000,
    ],
)
def test_bombs(bomb: bytes) -> None:
    begin = time.process_time()
    read_facts(bomb)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("octets", [b"", b"2[]", b"1", b"1[1]", b"1[[[", b"1{}", b"1null"])
def test_damaged_parts_are_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"part|Expecting|values|unpack"):
        parts_from_bytes(octets)
