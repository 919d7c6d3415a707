"""Messages that were made to cost much, or to be read as what they are not."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.dns.cache import Cache, Outcome
from mailframe.dns.message import AAAA, CNAME, MAX_RECORDS, MX, PTR, TXT, A, as_text
from mailframe.dns.names import ascii_name, query_name
from mailframe.dns.wire import Meaning, Question
from mailframe.errors import NoSuchDomain
from mailframe.interfaces import MxHost

OWNER = b"\xc0\x0c"  # the question's name
QUICK = 0.05
"""Seconds of processor time; what is measured is a tenth of it."""


def record(rdtype: int, data: bytes, owner: bytes = OWNER, ttl: int = 300) -> bytes:
    return owner + struct.pack("!HHIH", rdtype, 1, ttl, len(data)) + data


def message(question: Question, records: Sequence[bytes], count: int | None = None) -> bytes:
    name = b"".join(bytes([len(x)]) + x for x in question.name.encode().split(b".")) + b"\0"
    number = len(records) if count is None else count
    head = struct.pack("!HHHHHH", question.id, 0x8180, 1, number, 0, 0)
    return head + name + struct.pack("!HH", question.rdtype, 1) + b"".join(records)


def read_quickly(question: Question, wire: bytes) -> Meaning | None:
    started = time.process_time()
    answer = question.read(wire)
    assert time.process_time() - started < QUICK
    return answer.meaning if answer is not None else None


DEEP = Question(".".join(["a"] * 126), MX, 7)


def test_thousands_of_records_are_refused_unread() -> None:
    question = Question("example.org", A, 7)
    records = [record(A, struct.pack("!I", number)) for number in range(4000)]
    wire = message(question, records)
    assert len(wire) > 64_000
    assert read_quickly(question, wire) is None


def test_as_many_as_we_read_are_read_quickly() -> None:
    many = MAX_RECORDS - 1
    deep = [record(MX, struct.pack("!H", number) + OWNER) for number in range(many)]
    assert read_quickly(DEEP, message(DEEP, deep)) is Meaning.RECORDS
    question = Question("example.org", TXT, 7)
    long = [record(TXT, b"\x7f" + b"x" * 127) for _ in range(many)]
    assert read_quickly(question, message(question, long)) is Meaning.RECORDS


def test_a_record_of_64_kilobytes() -> None:
    question = Question("example.org", TXT, 7)
    wire = message(question, [record(TXT, (b"\xff" + b"x" * 255) * 250)])
    answer = question.read(wire)
    assert answer is not None
    assert len(answer.records[0]) == 255 * 250


def test_names_made_of_names_are_bounded() -> None:
    """Each owner is one label and a pointer to the owner before, and none is worth a circle."""
    question = Question("example.org", A, 7)
    at, before, records = 12 + 13 + 4, 12, []
    for number in range(400):
        owner = b"\x01a" + struct.pack("!H", 0xC000 | before)
        records.append(record(A, struct.pack("!I", number), owner))
        before, at = at, at + len(records[-1])
    assert read_quickly(question, message(question, records)) is None  # beyond 255 octets
    fitting = message(question, records[:100])
    assert read_quickly(question, fitting) is Meaning.NO_DATA


@pytest.mark.parametrize(
    "owner",
    [
        struct.pack("!H", 0xC000 | 29),  # to itself
        struct.pack("!H", 0xC000 | 200),  # ahead
        b"\x01a" + struct.pack("!H", 0xC000 | 29),  # a label and itself
        b"\x40" + b"a" * 64 + b"\0",  # a label of no known kind
        b"\x3f" + b"a" * 10,  # cut off
        b"\xc0",
    ],
)
def test_names_that_are_none(owner: bytes) -> None:
    question = Question("example.org", A, 7)
    assert read_quickly(question, message(question, [record(A, b"\0" * 4, owner)])) is None


@pytest.mark.parametrize(
    ("rdtype", "data"),
    [
        (A, b"\0" * 16),
        (AAAA, b"\0" * 4),
        (A, b""),
        (TXT, b"\x05abc"),
        (MX, b"\0"),
        (MX, b"\0\0" + OWNER + b"x"),
        (PTR, b"\x01"),
    ],
)
def test_values_of_the_wrong_form(rdtype: int, data: bytes) -> None:
    question = Question("example.org", rdtype, 7)
    assert read_quickly(question, message(question, [record(rdtype, data)])) is None


def test_what_nobody_asked_for_is_not_read() -> None:
    question = Question("example.org", A, 7)
    rubbish = record(MX, b"\xff")
    answer = question.read(message(question, [rubbish, record(A, b"\xc0\0\x02\x01")]))
    assert answer is not None
    assert answer.records == ("192.0.2.1",)


def test_records_that_are_said_to_follow_and_do_not() -> None:
    question = Question("example.org", A, 7)
    assert read_quickly(question, message(question, [], count=3)) is None


def test_another_case_of_letters_is_the_same_name() -> None:
    question = Question("example.org", CNAME, 7)
    wire = message(Question("EXAMPLE.org", CNAME, 7), [record(CNAME, b"\x01B" + OWNER)])
    answer = question.read(wire)
    assert answer is not None
    assert answer.records == ((b"b", b"example", b"org"),)


def test_a_dot_inside_a_label_makes_no_other_name() -> None:
    assert as_text((b"www.example", b"org")) == "www\\046example.org"
    with pytest.raises(NoSuchDomain):
        ascii_name(as_text((b"www.example", b"org")))
    assert as_text(()) == ""


def test_the_same_as_the_codec_of_others() -> None:
    texts = {
        A: ("192.0.2.1", ("192.0.2.1",)),
        AAAA: ("2001:db8::1", ("2001:db8::1",)),
        MX: ("10 mx.example.org.", (MxHost(10, "mx.example.org"),)),
        TXT: ('"a b" "c"', (b"a bc",)),
        PTR: ("mx.example.org.", ("mx.example.org",)),
    }
    for rdtype, (text, expected) in texts.items():
        question = Question("a/b.example.org", rdtype, 9)
        query = dns.message.from_wire(question.encode())
        assert query.id == 9
        assert query.edns == 0
        assert query.payload == 1232
        reply = dns.message.make_response(query)
        owner = query.question[0].name
        reply.answer = [dns.rrset.from_text(owner, 60, "IN", query.question[0].rdtype, text)]
        answer = question.read(reply.to_wire())
        assert answer is not None
        assert (answer.records, answer.ttl) == (expected, 60)


@given(st.data())
@settings(max_examples=200)
def test_whatever_comes_is_an_answer_or_none(data: st.DataObject) -> None:
    question = Question("example.org", MX, 7)
    wire = bytearray(message(question, [record(MX, b"\0\x01\x02mx" + OWNER)] * 3))
    for _ in range(data.draw(st.integers(0, 5))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    question.read(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


# names


@pytest.mark.parametrize(
    "name",
    ["0/25.2.0.192.in-addr.arpa", "a b.example", "x+y=z!.example", "%.example", "_spf.example"],
)
def test_names_that_are_only_asked_about(name: str) -> None:
    assert query_name(name) == name
    assert Question(name, TXT, 1).encode()


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "x" * 64 + ".org", "a.invalid", "a\tb.org", "a\0"]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(NoSuchDomain):
        query_name(name)


# the cache


def test_the_cache_is_bounded_in_octets_too() -> None:
    cache = Cache(1_000, lambda: 0.0, octets=20_000)
    for number in range(100):
        cache.put((f"{number}", TXT), Outcome((b"x" * 5_000,), ttl=60))
    assert len(cache) == 3
    assert cache.get(("99", TXT)) is not None
    # more than all of it is not kept, and takes nothing else's place for ever
    cache.put(("large", TXT), Outcome((b"x" * 60_000,), ttl=60))
    assert len(cache) == 0
    cache.put(("small", TXT), Outcome((b"x",), ttl=60))
    cache.put(("small", TXT), Outcome((b"x",), ttl=60))
    assert len(cache) == 1
