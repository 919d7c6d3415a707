"""Commands meant to hurt: long, deep, cut off. All of it in linear time."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import pytest

from mailframe.core.search import Or
from mailframe.protocols.imap import commands as c
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.parse import parse_command
from tests.fuzz.targets import SUITES

MANY = 300_000

HOSTILE = [
    b"SEARCH " + b"(" * MANY,
    b"SEARCH " + b"(" * MANY + b"ALL" + b")" * MANY,
    b"SEARCH " + b"NOT " * MANY + b"ALL",
    b"SEARCH " + b"OR " * MANY + b"ALL",
    b"SEARCH " + b"OR ALL " * MANY + b"ALL",
    b"SEARCH " + b"OR NOT " * MANY + b"ALL",
    b"SEARCH " + b"ALL " * MANY + b"ALL",
    b"SEARCH (" + b"ALL " * MANY + b"ALL)",
    b"SEARCH " + b"(ALL " * MANY,
    b'SEARCH TEXT "' + b'\\"' * MANY,
    b'SEARCH TEXT "' + b"a" * MANY,
    b"SEARCH TEXT {%d}\r\n" % MANY,
    b"SEARCH LARGER " + b"9" * MANY,
    b"FETCH " + b"9" * MANY + b" FLAGS",
    b"FETCH " + b"1:" * MANY + b"1 FLAGS",
    b"FETCH " + b"1," * MANY + b" FLAGS",
    b"FETCH 1 (" + b"FLAGS " * MANY + b"FLAGS)",
    b"FETCH 1 (" * MANY,
    b"FETCH 1 BODY[" + b"1." * MANY + b"1]",
    b"FETCH 1 BODY[HEADER.FIELDS (" + b"a " * MANY + b"a)]",
    b"STORE 1 FLAGS " + b"a " * MANY + b"a",
    b'SELECT "' + b"&" * MANY + b'"',
    b'SELECT "' + b"&AAAA" * MANY + b'"',
    b'LIST "" "' + b"&A" * MANY,
    b'LIST "" (' + b"a " * MANY + b"a)",
    b"LIST " + b"(" * MANY,
    b"STATUS a (" + b"SIZE " * MANY + b"SIZE)",
    b"ID (" + b'"a" "b" ' * MANY + b")",
    b"ENABLE" + b" a" * MANY,
    b"SETMETADATA a (/shared" + b"/a" * MANY + b" NIL)",
    b"SELECT a (QRESYNC (1 1 " + b"1," * MANY + b"))",
    b"NOTIFY SET " + b"(personal NONE) " * MANY,
    b"NOTIFY SET (personal (" + b"Foo " * MANY + b"Foo))",
    b"CANCELUPDATE" + b" a" * MANY,
    b"A" * MANY,
    b"\0" * MANY,
    b" " * MANY,
    b"SEARCH" + b" " * MANY,
    b"SEARCH (" + b" " * MANY + b"ALL" + b" " * MANY + b"ALL",
    b"FETCH 1 (PREVIEW" + b" " * MANY + b"PREVIEW" + b" " * MANY + b"(",
]


@pytest.mark.parametrize("octets", HOSTILE, ids=lambda octets: repr(octets[:30]))
def test_refused_at_once(octets: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadCommand):
        parse_command(octets)
    # A quadratic parser would take minutes; a slow machine takes a tenth of this.
    assert time.process_time() - began < 2


def test_a_hundred_thousand_elements() -> None:
    octets = b",".join(b"%d:%d" % (3 * n + 1, 3 * n + 2) for n in range(100_000))
    began = time.process_time()
    _, fetch = parse_command(b"UID FETCH " + octets + b" FLAGS")
    _, search = parse_command(b"SEARCH UID " + octets)
    assert time.process_time() - began < 2
    assert isinstance(fetch, c.Fetch)
    assert len(fetch.messages.ranges) == 100_000
    assert isinstance(search, c.Search)


def test_as_many_alternatives_as_a_client_likes() -> None:
    _, command = parse_command(b"SEARCH " + b"OR SEEN " * 10_000 + b"SEEN")
    assert isinstance(command, c.Search)
    depth, key = 0, command.criterion
    while isinstance(key, Or):
        depth, key = depth + 1, key.left
    assert depth == 14


@pytest.mark.parametrize("wrap", [b"(%b)", b"NOT %b", b"OR ALL (%b)"])
def test_depth(wrap: bytes) -> None:
    def nested(depth: int) -> bytes:
        octets = b"ALL"
        for _ in range(depth):
            octets = wrap % octets
        return b"SEARCH " + octets

    parse_command(nested(25))
    with pytest.raises(BadCommand) as caught:
        parse_command(nested(51))
    assert caught.value.code == "LIMIT"


@pytest.mark.parametrize("key", [b"(SEEN DRAFT)", b"NOT SEEN", b"OR SEEN DRAFT"])
def test_side_by_side_is_not_deep(key: bytes) -> None:
    parse_command(b"SEARCH " + b" ".join([key] * 200))


def test_match_data_is_no_bomb() -> None:
    _, command = parse_command(b"SELECT a (QRESYNC (1 1 (1:4294967295 1:4294967295)))")
    assert isinstance(command, c.Select)
    assert command.known is not None
    assert len(command.known.matches) == 10_000


@pytest.mark.skipif(not (SUITES / "04-imap").is_dir(), reason="the public suites are not here")
def test_what_others_fuzz_with() -> None:
    words = [
        word.encode("utf-8", "surrogateescape")
        for path in sorted((SUITES / "04-imap/imap-codec/imap-codec/fuzz").glob("*.dict"))
        for word in _dictionary(path)
    ]
    assert len(words) > 400
    for word in words:
        for octets in (word, b"SEARCH " + word, b"SEARCH TEXT " + word, b'LIST "" ' + word):
            for utf8 in (False, True):
                with contextlib.suppress(BadCommand):
                    parse_command(octets, utf8=utf8)


def _dictionary(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return [word for line in text.splitlines() for word in re.findall(r'^[^#]*?"(.*)"', line)]
