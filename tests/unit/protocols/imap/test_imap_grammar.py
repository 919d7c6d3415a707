"""The scanner: every terminal, and what it refuses."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from mailframe.protocols.imap.events import Status
from mailframe.protocols.imap.grammar import BadCommand, Refusal, Scanner

GOOD: list[tuple[str, bytes, Any]] = [
    ("atom", b"a[1$b+c", "a[1$b+c"),
    ("word", b"Body.Peek[", "BODY.PEEK"),
    ("astring", b"a]b", "a]b"),
    ("astring", b'"a b"', "a b"),
    ("astring", b"{3}\r\na\r\n", "a\r\n"),
    ("astring", b"NIL", "NIL"),
    ("string", b'""', ""),
    ("string", rb'"\"\\"', '"\\'),
    ("string", b"{2+}\r\n\xc3\xa9", "é"),
    ("nstring", b"nil", None),
    ("nstring", b'"NIL"', "NIL"),
    ("literal8", b"~{3}\r\na\0b", b"a\0b"),
    ("literal", b"{0}\r\n", b""),
    ("number", b"0", 0),
    ("number", b"4294967295", 2**32 - 1),
    ("nz_number", b"7", 7),
    ("number64", b"9223372036854775807", 2**63 - 1),
    ("date", b"1-Feb-1994", datetime.date(1994, 2, 1)),
    ("date", b'"29-fEB-2024"', datetime.date(2024, 2, 29)),
    ("flag", b"\\SEEN", "\\Seen"),
    ("flag", b"$Forwarded", "$Forwarded"),
    ("flag_list", b"()", frozenset()),
    ("flag_list", b"( )", frozenset()),
    ("flag_list", b"( a   b )", frozenset({"a", "b"})),
    ("flag_list", b"(\\seen Foo FOO \\Seen)", frozenset({"\\Seen", "Foo"})),
    ("mailbox", b"iNbOx", "INBOX"),
    ("mailbox", b"inbox/x", "inbox/x"),
    ("mailbox", b"Entw&APw-rfe", "Entwürfe"),
    ("mailbox", b'"R&-D"', "R&D"),
    ("mailbox", b"{4}\r\na\\b%", "a\\b%"),
    ("list_pattern", b"a%b*]", "a%b*]"),
    ("list_pattern", b"&'x", "&'x"),
    ("list_pattern", b"inbox", "INBOX"),
    ("ranges", b"5,3:1,4", ((1, 5),)),
]

BAD: list[tuple[str, bytes]] = [
    ("atom", b""),
    ("atom", b"(a"),
    ("atom", b"\xe9"),
    ("atom", b"\0"),
    ("word", b'"a"'),
    ("astring", b" a"),
    ("string", b"NIL"),
    ("string", b'"a'),
    ("string", b'"a\r\n"'),
    ("string", b'"a\0"'),
    ("string", rb'"\a"'),
    ("string", b'"\xc3\xa9"'),
    ("string", b"{2}\r\n\xff\xfe"),
    ("string", b"{3}\r\nab"),
    ("string", b"{3}ab\r\n"),
    ("string", b"{}\r\n"),
    ("string", b"{-1}\r\n"),
    ("string", b"{99999999999999999999999}\r\n"),
    ("literal", b"{3}\r\na\0b"),
    ("literal", b"~{3}\r\nabc"),
    ("literal8", b"{3}\r\nabc"),
    ("nstring", b"NILS"),
    ("number", b"-1"),
    ("number", b"4294967296"),
    ("number", b"9" * 5000),
    ("number64", b"9223372036854775808"),
    ("nz_number", b"0"),
    ("date", b"30-Feb-2024"),
    ("date", b"1-Foo-2024"),
    ("date", b"1-Jan-0000"),
    ("date", b'"1-Jan-2000'),
    ("date_time", b"17-Jul-1996 02:44:25 -0700"),
    ("date_time", b'"17-Jul-1996 25:44:25 -0700"'),
    ("date_time", b'"17-Jul-1996 02:44:25 -9900"'),
    ("flag", b"\\Recent"),
    ("flag", b"\\*"),
    ("flag", b"\\Foo"),
    ("flag", b"a" * 256),
    ("flag_list", b"(a\tb)"),
    ("flag_list", b"(a b"),
    ("flag_list", b"(" + b"a " * 300 + b"a)"),
    ("mailbox", b"Entw&APw"),
    ("mailbox", b"a&b"),
    ("mailbox", b"&AAA-"),
    ("mailbox", b"a&AA0ACg-b"),
    ("mailbox", b"&2AA-"),
    ("mailbox", b"{2}\r\n\xc3\xa9"),
    ("mailbox", b"{3}\r\na\nb"),
    ("message_set", b"0"),
    ("message_set", b"1,"),
    ("message_set", b":1"),
    ("message_set", b"1:2:3"),
    ("message_set", b"4294967296"),
    ("message_set", b"**"),
    ("ranges", b"1:*"),
    ("ranges", b"$"),
]


def read(scanner: Scanner, method: str) -> Any:
    table: dict[str, Callable[[], Any]] = {
        name: getattr(scanner, name) for name in {name for name, *_ in (*GOOD, *BAD)}
    }
    return table[method]()


@pytest.mark.parametrize(("method", "octets", "value"), GOOD)
def test_reads(method: str, octets: bytes, value: object) -> None:
    scanner = Scanner(octets)
    assert read(scanner, method) == value
    if method != "word":
        scanner.end()


@pytest.mark.parametrize(("method", "octets"), BAD)
def test_refuses(method: str, octets: bytes) -> None:
    with pytest.raises(BadCommand) as caught:
        read(Scanner(octets), method)
    assert caught.value.text.isascii()
    assert caught.value.text.isprintable()


def test_date_and_time() -> None:
    moment = Scanner(b'" 7-Jul-1996 02:44:60 -0730"').date_time()
    assert moment.utcoffset() == -datetime.timedelta(hours=7, minutes=30)
    assert (moment.day, moment.second) == (7, 59)


def test_utf8_mode() -> None:
    assert Scanner(b'"\xc3\xa9"', utf8=True).string() == "é"
    assert Scanner(b'"\xc3\xa9&AOk-"', utf8=True).mailbox() == "é&AOk-"
    with pytest.raises(BadCommand):
        Scanner(b'"\xff"', utf8=True).string()


def test_a_name_that_cannot_be_is_no_and_not_bad() -> None:
    with pytest.raises(Refusal) as caught:
        Scanner(b"a&b").mailbox()
    assert (caught.value.status, caught.value.code) == (Status.NO, "CANNOT")
    assert BadCommand.status is Status.BAD


def test_lists() -> None:
    scanner = Scanner(b"(a b)()(a b c)")
    assert scanner.listed(scanner.atom) == ["a", "b"]
    assert scanner.listed(scanner.atom, empty=True) == []
    with pytest.raises(BadCommand) as caught:
        scanner.listed(scanner.atom, limit=2)
    assert caught.value.code == "LIMIT"
    empty = Scanner(b"()")
    with pytest.raises(BadCommand):
        empty.listed(empty.atom)


def test_says_where_it_stopped() -> None:
    scanner = Scanner(b"abc)")
    scanner.atom()
    with pytest.raises(BadCommand, match="octet 4"):
        scanner.sp()
    assert (scanner.at, scanner.peek(), scanner.rest()) == (3, b")", b")")
    assert scanner.at_end()
