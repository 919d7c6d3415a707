"""The leaves of a message, and what stands in them."""

from __future__ import annotations

import pytest

from mailframe.core.facts import Fact, Part
from mailframe.message.body_parts import content, leaves, part_header, text
from mailframe.message.facts import read_facts

NESTED = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\nfirst\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\nits text\r\n"
    b"--x\r\nContent-Type: image/png; name=a.png\r\n\r\nlast\r\n--x--\r\n"
)


def root(data: bytes) -> Part:
    parts = read_facts(data, Fact.PARTS).parts
    assert parts is not None
    return parts


def bodies(data: bytes, *, attached: bool) -> list[bytes]:
    return [content(data, leaf) for leaf in leaves(root(data), attached=attached)]


def test_leaves_of_attached_messages_are_left_out_or_come_behind_them() -> None:
    within = b"Subject: within\r\n\r\nits text"
    assert bodies(NESTED, attached=False) == [b"first", within, b"last"]
    assert bodies(NESTED, attached=True) == [b"first", within, b"its text", b"last"]


def test_no_tree_has_no_leaves() -> None:
    assert list(leaves(None)) == []


@pytest.mark.parametrize(
    ("fields", "disposition", "name", "content_id"),
    [
        (b"", "", "", ""),
        (b"Content-Disposition: Attachment; filename=a.txt\r\n", "attachment", "a.txt", ""),
        (b"Content-Type: image/png; name=b.png\r\n", "", "b.png", ""),
        (b"Content-Disposition: inline\r\nContent-ID: <a@b>\r\n", "inline", "", "a@b"),
        (b"Content-Disposition: x; filename*=utf-8''%CE%B1\r\n", "x", "α", ""),
        (b"Content-Disposition: x; filename*0*=utf-8''%CE;\r\n filename*1*=%B1\r\n", "x", "α", ""),
        (b'Content-Type: a/b; name="=?utf-8?q?=CE=B1?="\r\n', "", "α", ""),
        (b"Content-ID: <not closed\r\n", "", "", ""),
    ],
)
def test_what_a_part_says_of_itself(
    fields: bytes, disposition: str, name: str, content_id: str
) -> None:
    data = fields + b"\r\nbody"
    found = part_header(data, root(data))
    assert (found.disposition, found.name, found.content_id) == (disposition, name, content_id)


def test_only_the_beginning_where_asked() -> None:
    data = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "αβγ".encode()
    assert text(data, root(data), 4) == "αβ"
    assert text(data, root(data)) == "αβγ"


def test_an_encoding_that_nobody_knows_is_shown_as_it_came() -> None:
    data = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a"
    assert content(data, root(data)) == b"begin 644 a"
