"""Literals: who waits for whom, what is thrown away, what is never held."""

from __future__ import annotations

import time

import pytest

from mailframe.protocols.imap import commands as cmd
from mailframe.protocols.imap.input import CommandInput, Line, Literal, SpoiltLine
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.lines import Fault
from tests.dialogs.imap_engine_talk import EngineTalk

SMALL = EngineLimits(line=100, command=300, discarded=1000, line_before_login=80)


def lines(data: bytes, limit: int = 1000) -> list[Line | SpoiltLine]:
    source = CommandInput()
    source.feed(data)
    found = []
    while (line := source.next_line(limit)) is not None:
        found.append(line)
    return found


@pytest.mark.parametrize(
    ("end", "literal"),
    [
        (b"{5}", Literal(5, True, False)),
        (b"{5+}", Literal(5, False, False)),
        (b"~{0005}", Literal(5, True, True)),
        (b"(~{0+}", Literal(0, False, True)),
        (b"{18446744073709551615+}", Literal(2**64 - 1, False, False)),
        (b"{}", None),
        (b"{-5}", None),
        (b"{5-}", None),
        (b"{5++}", None),
        (b"{5} ", None),
        (b"5}", None),
        (b"{123456789012345678901}", None),
    ],
)
def test_announcements(end: bytes, literal: Literal | None) -> None:
    (line,) = lines(b"a NOOP " + end + b"\r\n")
    assert isinstance(line, Line)
    assert line.literal == literal
    assert line.octets == b"a NOOP " + end
    assert (line.text + end).startswith(line.octets[: len(line.text)])
    assert len(line.text) < len(line.octets) if literal else line.text == line.octets


def test_a_spoilt_line_is_thrown_away_with_its_literals() -> None:
    long = b"a " + b"x" * 2000 + b" {7+}\r\nb NOOP\r middle {3+}\r\n\r\nx end\r\nc NOOP\r\n"
    spoilt, next_line = lines(long, 100)
    assert isinstance(spoilt, SpoiltLine)
    assert spoilt.fault is Fault.TOO_LONG
    assert next_line == Line(b"c NOOP", None)


def test_time_is_linear_whatever_the_pieces() -> None:
    source = CommandInput()
    began = time.process_time()
    for _ in range(300_000):
        source.feed(b"x")
        assert source.next_line(1_000_000) is None
    source.feed(b"\r\n")
    assert source.next_line(1_000_000) is not None
    # Looking at all of it each time would take minutes.
    assert time.process_time() - began < 5


def test_nothing_of_an_unwanted_line_is_kept() -> None:
    source = CommandInput()
    source.feed(b"x" * 5000)
    assert isinstance(source.next_line(1000), SpoiltLine)
    for _ in range(100):
        source.feed(b"y" * 5000)
        assert source.next_line(1000) is None
        assert len(source) < 100
    source.feed(b" {4+}\r\n1234")
    source.feed(b"567\r\nz NOOP\r\n")
    assert source.next_line(1000) == Line(b"z NOOP", None)


def test_many_small_commands_in_one_piece() -> None:
    count = 100_000
    began = time.process_time()
    assert len(lines(b"a NOOP\r\n" * count)) == count
    assert time.process_time() - began < 5


# Through the engine


def test_a_literal_waits_for_its_go_ahead() -> None:
    talk = EngineTalk().log_in()
    assert talk.ask("a CREATE {3}") == ["+ OK"]
    assert talk.ask("foo") == ["a OK Done"]
    assert talk.commands == [cmd.Create("foo")]


def test_a_literal_may_hold_what_looks_like_commands() -> None:
    talk = EngineTalk().log_in()
    talk.send(b"a SEARCH SUBJECT {10+}\r\nb LOGOUT\r\n\r\n")
    talk.send(b"c CREATE {16+}\r\nx\r\nd CREATE bar\r\n\r\n")
    assert not talk.closed
    assert not any(isinstance(command, cmd.Create) for command in talk.commands)


def test_what_is_wrong_never_gets_a_go_ahead() -> None:
    talk = EngineTalk().log_in()
    answers = talk.ask("a FOO {5}", "b CHECK {5}", "c NOOP")
    assert [line.split()[:2] for line in answers] == [["a", "BAD"], ["b", "BAD"], ["c", "OK"]]


def test_what_comes_unasked_for_a_wrong_command_is_thrown_away() -> None:
    talk = EngineTalk().log_in()
    talk.send(b"a FOO {10+}\r\nb LOGOUT\r\n more {3+}\r\nabc {4}\r\nc NOOP\r\n")
    assert [line.split()[0] for line in talk.ask()] == ["a", "c"]
    talk.send(b"no tag+ {10+}\r\nb LOGOUT\r\n\r\nd NOOP\r\n")
    assert [line.split()[0] for line in talk.ask()] == ["no", "d"]


def test_a_literal_that_is_too_long() -> None:
    talk = EngineTalk(limits=SMALL).log_in()
    assert talk.ask("a CREATE {301}") == ["a BAD [TOOBIG] The literal is too long"]
    talk.send(b"b CREATE {400+}\r\n" + b"c LOGOUT\r\n" * 40 + b"\r\nd NOOP\r\n")
    assert talk.ask() == ["b BAD [TOOBIG] The literal is too long", "d OK Done"]
    assert not talk.closed


def test_a_literal_that_is_absurd_ends_it() -> None:
    talk = EngineTalk().log_in()
    answers = talk.ask("a CREATE {4294967295+}")
    assert answers[0].startswith("a BAD [TOOBIG]")
    assert answers[1].startswith("* BYE ")
    assert talk.closed
    talk = EngineTalk().log_in()
    assert talk.ask("a CREATE {4294967295}", "b NOOP")[1] == "b OK Done"


def test_before_a_login_literals_are_small() -> None:
    talk = EngineTalk()
    assert talk.ask("a LOGIN {1025}")[-1].startswith("a BAD [TOOBIG]")
    assert talk.ask("b LOGIN {1024}") == ["+ OK"]


def test_a_command_of_many_literals_is_bounded() -> None:
    talk = EngineTalk(limits=SMALL).log_in()
    talk.send(b"a LIST (" + b"{50+}\r\n" + b"x" * 50)
    for _ in range(10):
        talk.send(b" {50+}\r\n" + b"x" * 50)
    talk.send(b"\r\nb NOOP\r\n")
    assert [line.split()[:2] for line in talk.ask()] == [["a", "BAD"], ["b", "OK"]]
    assert talk.most_held < 100


def test_a_line_that_is_too_long_is_told_by_its_tag() -> None:
    talk = EngineTalk(limits=SMALL).log_in()
    talk.send(b"a UID FETCH " + b"1," * 100)
    assert talk.ask() == ["a BAD Line too long"]
    talk.send(b"1 FLAGS\r\nb NOOP\r\n")
    assert talk.ask() == ["b OK Done"]


def test_nul_in_a_literal() -> None:
    talk = EngineTalk().log_in()
    talk.send(b"a CREATE {3+}\r\na\0b {3+}\r\nx\r\n\r\nb NOOP\r\n")
    assert talk.ask() == ["a BAD NUL is allowed in a literal8 only", "b OK Done"]


def test_literal_minus() -> None:
    talk = EngineTalk(limits=EngineLimits(literal_minus=True)).log_in()
    talk.send(b"a CREATE {4097+}\r\n" + b"x" * 4097 + b"\r\nb CREATE {4096+}\r\n")
    talk.send(b"x" * 4096 + b"\r\n")
    assert [line.split()[:2] for line in talk.ask()] == [["a", "BAD"], ["b", "OK"]]
