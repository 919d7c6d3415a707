"""The offset scanner and the stream walker see the same parts; sections and sizes agree."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.facts import Fact, Part
from mailframe.message.facts import read_facts
from mailframe.message.parts import parts_from_bytes, parts_to_bytes
from mailframe.message.sections import decoded, find, section, slice_of
from mailframe.message.structure import Kind, Region, RegionEnd, RegionStart, Walker
from tests.conformance.imap_talk import Tokens, tokens

LINES = st.sampled_from(
    [
        b"",
        b"",
        b"text",
        b"--",
        b"--a",
        b"--a",
        b"--a  ",
        b"--a--",
        b"--ab",
        b"--ab",
        b"--ab--",
        b"--c--",
        b"--b c",
        b"Content-Type: multipart/mixed; boundary=a",
        b"Content-Type: multipart/mixed; boundary=ab",
        b'Content-Type: multipart/digest; boundary="b c"',
        b"Content-Type: multipart/alternative;\r\n boundary=a",
        b"Content-Type: message/rfc822",
        b"Content-Type: text/html; charset=x",
        b"Content-Type: image/png",
        b"Subject: s",
        b"From: a@b, (",
        b" folded",
    ]
)
# Beginnings of multiparts and messages, whole: lines alone seldom make one.
BEGINNINGS = [
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
    b"X: y\r\nContent-Type: multipart/signed;\r\n boundary=ab\r\n\r\n--ab\r\n",
    b'Content-Type: multipart/digest; boundary="b c"\r\n\r\n--b c\r\n',
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: text/html\r\n\r\ntext",
    b"Subject: s\r\n\r\n",
    b"--a\r\n",
    b"--ab\r\n",
]
BLOCKS = st.sampled_from(BEGINNINGS) | LINES.map(lambda line: line + b"\r\n")
MESSAGES = (
    st.lists(LINES, max_size=40).map(b"\r\n".join)
    | st.tuples(st.sampled_from(BEGINNINGS), st.lists(BLOCKS, max_size=20).map(b"".join)).map(
        b"".join
    )
    | st.binary(max_size=200)
)


def walked(data: bytes) -> list[tuple[int, int]]:
    """The leaves that the walker finds and that are not empty."""
    walker = Walker()
    found, at, begin = [], 0, -1
    for event in [*walker.feed(data), *walker.finish()]:
        if isinstance(event, RegionStart):
            begin = at if event.kind is Kind.LEAF else -1
        elif isinstance(event, RegionEnd) and begin >= 0 and at > begin:
            found.append((begin, at))
        elif not isinstance(event, Region):
            begin = -1
        at += len(event.data)
    return found


def leaves(part: Part) -> list[Part]:
    if part.message is not None:
        return leaves(part.message)
    return [leaf for child in part.parts for leaf in leaves(child)] if part.parts else [part]


@given(MESSAGES)
def test_the_same_leaves_as_the_walker(data: bytes) -> None:
    parts = read_facts(data).parts
    assert parts is not None
    found = [(leaf.body, leaf.end) for leaf in leaves(parts) if leaf.end > leaf.body]
    assert found == walked(data)


@given(MESSAGES)
def test_parts_lie_in_each_other_in_order(data: bytes) -> None:
    def check(part: Part, begin: int, end: int) -> None:
        assert begin <= part.header <= part.body <= part.end <= end
        inner = [*part.parts, *([part.message] if part.message else [])]
        for child in inner:
            check(child, part.body, part.end)
        for one, other in itertools.pairwise(inner):
            assert one.end <= other.header

    parts = read_facts(data).parts
    assert parts is not None
    check(parts, 0, len(data))
    assert parts_from_bytes(parts_to_bytes(parts)) == parts


@given(MESSAGES)
def test_structure_agrees_with_sections(data: bytes) -> None:
    facts = read_facts(data)
    assert facts.parts is not None
    check_sizes(data, facts.parts, facts.body, facts.structure)


@given(MESSAGES)
def test_what_is_wanted_changes_nothing_else(data: bytes) -> None:
    whole = read_facts(data)
    assert read_facts(data, Fact.PARTS).parts == whole.parts
    assert read_facts(data, Fact.ENVELOPE).envelope == whole.envelope
    assert read_facts(data, Fact.IDS).thread_id == whole.thread_id
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", whole.email_id)
    assert len(whole.preview) <= 200


def check_sizes(data: bytes, parts: Part, body: bytes, structure: bytes) -> None:
    """Octets and lines of BODY and BODYSTRUCTURE are those of BODY[n]."""
    plain, extended = tokens(body), tokens(structure)
    assert len(plain) == len(extended) == 1
    for tree in (plain[0], extended[0]):
        assert isinstance(tree, list)
        _check(data, parts, (), tree)


def _check(data: bytes, parts: Part, path: tuple[int, ...], tree: Tokens) -> None:
    part = find(parts, path)
    assert part is not None
    if isinstance(tree[0], list):
        children = [child for child in tree if isinstance(child, list) and _is_body(child)]
        number = 0
        while number < len(tree) and isinstance(tree[number], list):
            child = tree[number]
            assert isinstance(child, list)
            _check(data, parts, (*path, number + 1), child)
            number += 1
        assert number
        assert children
        assert find(parts, (*path, number + 1)) is None
        return
    numbers = path or (1,)
    octets = section(data, parts, numbers)
    assert octets is not None
    assert tree[6] == str(len(octets)).encode()
    where = slice_of(parts, numbers, "")
    assert where is not None
    assert octets == data[slice(*where)]
    here = find(parts, numbers)
    assert here is not None
    if here.message is not None:
        assert tree[9] == str(octets.count(b"\n")).encode()
        inner = tree[8]
        assert isinstance(inner, list)
        # a message that is no multipart is part 1 of it
        within = numbers if here.message.parts else (*numbers, 1)
        _check(data, parts, within, inner)
    elif here.media.startswith("text/"):
        assert tree[7] == str(octets.count(b"\n")).encode()
    if here.encoding in ("7bit", "8bit", "binary"):
        assert decoded(data, here) == octets


def _is_body(tree: Tokens) -> bool:
    return len(tree) > 1
