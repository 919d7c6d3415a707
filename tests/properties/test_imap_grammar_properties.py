"""IMAP's grammar, whatever the octets: nothing but BadCommand, and what is written reads back."""

from __future__ import annotations

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from mailframe.core.folders import INBOX, Annotation
from mailframe.protocols.imap import responses, sets
from mailframe.protocols.imap.commands import StatusItem
from mailframe.protocols.imap.grammar import BadCommand, Scanner
from mailframe.protocols.imap.parse import PARSERS, parse_command

WORDS = [
    *b"( ) [ ] < > { } ~ * % $ , : . & NIL ALL NOT OR UID FLAGS RETURN PARTIAL IN USE".split(),
    *b"BODY[ BODY.PEEK[ HEADER.FIELDS SUBJECT CHARSET UTF-8 MODSEQ SELECTED SET STATUS".split(),
    b'"', b"\\", b"NONE",
    b" ", b"\r\n", b"\0", b"\xff", b"\xc3\xa9", b"{3}\r\nabc", b"~{1}\r\n\0", b'"a b"', b"1:*,4",
    b"1-Jan-2000", b"(QRESYNC (1 2 3))", b"&AOk-", b"/shared/x", b"4294967296",
]  # fmt: skip
VERBS = st.sampled_from([verb.encode() for verb in PARSERS])
SOUP = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=15)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=30)


@given(st.binary(max_size=60), st.booleans())
def test_any_octets(octets: bytes, utf8: bool) -> None:
    with contextlib.suppress(BadCommand):
        parse_command(octets, utf8=utf8)


@given(VERBS, SOUP, st.sampled_from([b" ", b""]), st.booleans())
def test_any_words(verb: bytes, words: list[bytes], between: bytes, utf8: bool) -> None:
    fault = ""
    try:
        found, command = parse_command(verb + b" " + between.join(words), utf8=utf8)
        assert found.encode() == verb
        hash(command)
    except BadCommand as error:
        fault = error.text + error.code
    assert fault.isascii()
    assert fault.isprintable()


@given(st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 30)))
def test_sets(uids: set[int]) -> None:
    ascending = sorted(uids)
    octets = sets.format_uids(ascending)
    ranges = sets.fixed_ranges(sets.parse(octets)) if octets else ()
    assert ranges == sets.ranges_of(ascending)
    assert sets.picked(ascending, ranges or ()) == ascending
    assert sets.count(ranges or ()) == len(ascending)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=8))
def test_sets_are_what_they_say(pairs: list[tuple[int, int]]) -> None:
    octets = b",".join(b"%d:%d" % pair for pair in pairs)
    meant = {n for pair in pairs for n in range(min(pair), max(pair) + 1)}
    ranges = sets.fixed_ranges(sets.parse(octets))
    assert ranges == sets.ranges_of(sorted(meant))
    assert sets.resolved(sets.parse(octets + b",*"), 41) == sets.ranges_of(sorted(meant | {41}))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.booleans())
@example('"\\', False)
@example("NIL", True)
def test_strings(text: str, utf8: bool) -> None:
    for render in (responses.quoted_or_literal, responses.astring):
        scanner = Scanner(render(text, utf8), utf8=utf8)
        assert scanner.astring() == text
        scanner.end()
    scanner = Scanner(responses.nstring(text, utf8), utf8=utf8)
    assert scanner.nstring() == text


@given(NAMES, st.booleans())
@example("&", False)
@example("Entwürfe/R&D", False)
def test_mailbox_names(name: str, utf8: bool) -> None:
    scanner = Scanner(responses.mailbox_name(name, utf8), utf8=utf8)
    assert scanner.mailbox() == (INBOX if name.upper() == INBOX else name)
    scanner.end()


@given(st.frozensets(st.text(max_size=6) | st.sampled_from(["\\Seen", "\\Draft", "a b", "x\r\n"])))
def test_flags_hold_nothing_else(flags: frozenset[str]) -> None:
    scanner = Scanner(responses.flags_list(flags))
    assert scanner.flag_list() <= flags
    scanner.end()


@given(st.text(), st.text(), st.binary(), st.booleans())
def test_nobody_says_more_than_one_line(name: str, text: str, octets: bytes, utf8: bool) -> None:
    lines = [
        responses.ok(text, text),
        responses.list_line(name, [text], utf8=utf8, child_info=[text], old_name=text),
        responses.acl(name, [(text, "lr")], utf8),
        responses.metadata(name, [Annotation("/shared/x", octets)], utf8),
        responses.identity([(text, name)]),
        responses.status_line(name, {StatusItem.MAILBOXID: "x"}, utf8),
    ]
    for line in lines:
        assert line.endswith(b"\r\n")
        assert b"\r" not in without_literals(line[:-2])
        assert b"\n" not in without_literals(line[:-2])


def without_literals(line: bytes) -> bytes:
    """Reads on as a client would: a line that ends in ``{n}`` goes on after n octets."""
    kept = b""
    while True:
        head, crlf, rest = line.partition(b"}\r\n")
        _, brace, digits = head.rpartition(b"{")
        if not crlf or not brace or not digits.isdigit():
            return kept + line
        kept += head
        line = rest[int(digits) :]
