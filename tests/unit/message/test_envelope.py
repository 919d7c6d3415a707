"""ENVELOPE of good, old and broken headers."""

from __future__ import annotations

import time

import pytest

from mailframe.message.envelope import MAX_ADDRESSES, addresses, envelope

BOTH = b'(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")'


def plain(local: str, host: str, name: str = "") -> bytes:
    shown = f'"{name}"' if name else "NIL"
    return f'({shown} NIL "{local}" "{host}")'.encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@b", plain("a", "b")),
        (b" A  B <a@b>\r\n", plain("a", "b", "A B")),
        (b'"Q, R" <q@r>, x@y', plain("q", "r", "Q, R") + plain("x", "y")),
        (b"x@y (Their Name)", plain("x", "y", "Their Name")),
        (b"(c) x@y (d)", plain("x", "y", "d")),
        (b"<x@y> (no name)", plain("x", "y")),
        (b"A\r\n B <a@b>,\r\n\tc@d", plain("a", "b", "A B") + plain("c", "d")),
        (b"<@one,@two:a@b>", b'(NIL "@one,@two" "a" "b")'),
        (b"a . b @ c . d", plain("a.b", "c.d")),
        (b"Dr. A. B <a . b @ c>", plain("a.b", "c", "Dr. A. B")),
        (b'"a b"@c', plain("a b", "c")),
        (b"a@[192.0.2.1]", plain("a", "[192.0.2.1]")),
        (b'"a\\"b" <x@y>', b'("a\\"b" NIL "x" "y")'),
        (b"=?utf-8?q?x?= <a@b>", plain("a", "b", "=?utf-8?q?x?=")),
        (b"J\xc3\xb6 <j@x>", b'({3}\r\nJ\xc3\xb6 NIL "j" "x")'),
    ],
)
def test_addresses(value: bytes, expected: bytes) -> None:
    assert addresses(value) == b"(" + expected + b")"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"g: a@b, C <c@d>;, z@z", [plain("a", "b"), plain("c", "d", "C")]),
        (b"g: ;, z@z", []),
        (b"g:;z@z", []),
        (b"g: (nobody) ;, z@z", []),
    ],
)
def test_groups(value: bytes, expected: list[bytes]) -> None:
    group = [b'(NIL NIL "g" NIL)', *expected, b"(NIL NIL NIL NIL)", plain("z", "z")]
    assert addresses(value) == b"(" + b"".join(group) + b")"


def test_a_group_without_end_is_closed() -> None:
    assert addresses(b'"a b": a@b') == (
        b'((NIL NIL "a b" NIL)' + plain("a", "b") + b"(NIL NIL NIL NIL))"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"nobody", plain("nobody", "MISSING_DOMAIN")),
        (b"Name <nobody>", plain("nobody", "MISSING_DOMAIN", "Name")),
        (b"a b c", plain("MISSING_MAILBOX", "MISSING_DOMAIN", "a b c")),
        (b"<>", BOTH),
        (b"@b", plain("MISSING_MAILBOX", "b")),
        (b"a@", plain("a", "MISSING_DOMAIN")),
        (b"<a@b", plain("a", "b")),
        (b"a@b>, c@d", plain("a", "b") + plain("c", "d")),
        (b"a@b c@d, e@f", plain("a", "b") + plain("e", "f")),
        (b"a@b; c@d", plain("a", "b") + plain("c", "d")),
        (b"a@b@c", plain("a", "b")),
        (b"me@x.org <a@b>", plain("a", "b", "me@x.org")),
        (b'"open <a@b>', plain("a", "b", "open")),
        (b"(open a@b", plain("a", "b", "( open")),
    ],
)
def test_broken_addresses_are_told(value: bytes, expected: bytes) -> None:
    assert addresses(value) == b"(" + expected + b")"


@pytest.mark.parametrize("value", [None, b"", b" \r\n", b",", b" , ,\r\n", b"(c)"])
def test_no_address_is_nil(value: bytes | None) -> None:
    assert addresses(value) == b"NIL"


def test_sender_and_reply_to_default_to_from() -> None:
    from_ = b"(" + plain("a", "b") + b")"
    made = envelope({b"from": b"a@b", b"sender": b" ", b"subject": b"", b"date": b" x \r\n"})
    assert made == b'("x" "" %b %b %b NIL NIL NIL NIL NIL)' % (from_, from_, from_)


def test_strings_of_every_kind() -> None:
    made = envelope({b"subject": b"a\r\n  b\tc", b"message-id": b"\x01\0", b"in-reply-to": b'"\\'})
    assert made == (b'(NIL "a  b\tc" NIL NIL NIL NIL NIL NIL "\\"\\\\" {4}\r\n\x01\xef\xbf\xbd)')


@pytest.mark.parametrize(
    "piece", [b'"\\', b'"', b"(", b"()", b"[", b"<@a,", b"a:;", b"a b,", b"@", b"\\", b". "]
)
def test_hostile_lists_take_no_time(piece: bytes) -> None:
    begin = time.process_time()
    for head in (b"", b"<@a,", b"g:"):
        addresses(head + piece * 200_000)
    assert time.process_time() - begin < 10


def test_not_more_than_so_many() -> None:
    made = addresses(b"a@b," * (MAX_ADDRESSES + 10))
    # and two more, which may be the end of a group
    assert made.count(b'"a"') <= MAX_ADDRESSES + 2
