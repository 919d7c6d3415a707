"""APPEND and REPLACE: the stream of events, who gets a go-ahead, and what is thrown away."""

from __future__ import annotations

import datetime

import pytest

from mailframe.protocols.imap import commands as cmd
from mailframe.protocols.imap import events as ev
from mailframe.protocols.imap.engine import ImapEngine
from mailframe.protocols.imap.settings import EngineLimits
from tests.dialogs.imap_engine_talk import MECHANISMS, EngineTalk

PLAIN = cmd.AppendOptions()


@pytest.fixture
def talk() -> EngineTalk:
    talk = EngineTalk(append_limit=1000).select()
    talk.events.clear()
    return talk


def test_a_message_with_everything(talk: EngineTalk) -> None:
    date = '"17-Jul-1996 02:44:25 -0700"'
    assert talk.ask(f"a APPEND Sent (\\Seen $Done) {date} {{5}}") == ["+ OK"]
    assert talk.ask("hello") == ["a OK Done"]
    zone = datetime.timezone(-datetime.timedelta(hours=7))
    received = datetime.datetime(1996, 7, 17, 2, 44, 25, tzinfo=zone)
    options = cmd.AppendOptions(frozenset({"\\Seen", "$Done"}), received)
    assert talk.events == [
        ev.AppendBegins("a", "Sent"),
        ev.MessageBegins(options, 5),
        ev.TextBegins(5),
        ev.TextChunk(b"hello"),
        ev.TextEnds(),
        ev.MessageEnds(),
        ev.AppendEnds(),
    ]


def test_several_messages(talk: EngineTalk) -> None:
    assert talk.ask("a APPEND {5+}", "INBOX {2+}", "hi (\\Seen) ~{3}") == ["+ OK"]
    talk.send(b"a\0b\r\n")
    assert talk.messages == [b"hi", b"a\0b"]
    begun = [event for event in talk.events if isinstance(event, ev.MessageBegins)]
    assert [event.binary for event in begun] == [False, True]


def test_catenate(talk: EngineTalk) -> None:
    lines = (
        'a APPEND INBOX (\\Seen) CATENATE (URL "/INBOX;UID=1/;SECTION=HEADER" TEXT {3+}',
        "abc URL {3+}",
        "uvw TEXT ~{1}",
    )
    assert talk.ask(*lines) == ["+ OK"]
    assert talk.ask("x)") == ["a OK Done"]
    assert talk.events == [
        ev.AppendBegins("a", "INBOX"),
        ev.MessageBegins(cmd.AppendOptions(frozenset({"\\Seen"})), None),
        ev.UrlGiven("/INBOX;UID=1/;SECTION=HEADER"),
        ev.TextBegins(3),
        ev.TextChunk(b"abc"),
        ev.TextEnds(),
        ev.UrlGiven("uvw"),
        ev.TextBegins(1),
        ev.TextChunk(b"x"),
        ev.TextEnds(),
        ev.MessageEnds(),
        ev.AppendEnds(),
    ]


def test_utf8(talk: EngineTalk) -> None:
    assert talk.ask("a APPEND INBOX UTF8 (~{3+}", "abc) UTF8 (~{1+}", "x)") == ["a OK Done"]
    assert talk.events[1] == ev.MessageBegins(PLAIN, 3, binary=True, utf8=True)
    assert talk.messages == [b"abc", b"x"]


@pytest.mark.parametrize(
    ("command", "replaces"),
    [
        ("REPLACE 3", cmd.Replaces(3, False)),
        ("UID REPLACE 77", cmd.Replaces(77, True)),
        ("uid replace *", cmd.Replaces(None, True)),
    ],
)
def test_replace(talk: EngineTalk, command: str, replaces: cmd.Replaces) -> None:
    assert talk.ask(f"a {command} Drafts (\\Draft) {{2+}}", "hi") == ["a OK Done"]
    assert talk.events[0] == ev.AppendBegins("a", "Drafts", replaces)


def test_replace_takes_one_message(talk: EngineTalk) -> None:
    answers = talk.ask("a REPLACE 3 Drafts {2+}", "hi {2+}", "ho", "b NOOP")
    assert [line.split()[:2] for line in answers] == [["a", "BAD"], ["b", "OK"]]
    assert talk.messages == []


def test_the_go_ahead_waits_for_the_shell() -> None:
    engine = ImapEngine("h", MECHANISMS, lambda: "n", allow_plaintext=True)
    engine.receive(b"a LOGIN ann secret\r\n")
    engine.next_event()
    engine.logged_in(frozenset())
    engine.take_output()
    engine.receive(b"b APPEND INBOX {5}\r\n")
    for kind in (ev.AppendBegins, ev.MessageBegins, ev.TextBegins):
        assert isinstance(engine.next_event(), kind)
        assert engine.next_event() is ev.Pause.DECISION
        assert engine.take_output() == b""
        engine.proceed()
    assert engine.next_event() is ev.Pause.NEED_DATA
    assert engine.take_output() == b"+ OK\r\n"


def test_large_messages_are_never_held() -> None:
    talk = EngineTalk(limits=EngineLimits(chunk=1000)).log_in()
    talk.send(b"a APPEND INBOX {1000000}\r\n")
    for _ in range(200):
        talk.send(b"x" * 5000)
        assert len(talk.engine._input) == 0
    talk.send(b"\r\n")
    chunks = [event.data for event in talk.events if isinstance(event, ev.TextChunk)]
    assert max(map(len, chunks)) == 1000
    assert talk.messages == [b"x" * 1_000_000]


def test_a_folder_that_is_not_there(talk: EngineTalk) -> None:
    # The client waits: instead of the go-ahead it hears no.
    assert talk.ask("a APPEND missing {5}", "b NOOP") == [
        "a NO [TRYCREATE] No such folder",
        "b OK Done",
    ]
    # It does not wait: everything goes, to the true end of the command.
    talk.send(b"c APPEND missing {11+}\r\nx LOGOUT\r\n (\\Seen) {3+}\r\nabc\r\nd NOOP\r\n")
    assert talk.ask() == ["c NO [TRYCREATE] No such folder", "d OK Done"]
    assert not talk.closed


@pytest.mark.parametrize("size", [0, 3, 7])
def test_no_in_the_middle_of_a_message(talk: EngineTalk, size: int) -> None:
    text = b"full" + b"\r\ny LOGOUT\r\n"[:size] + b"\r\nz LOGOUT\r\n"
    talk.send(b"a APPEND INBOX {%d+}\r\n%b {4+}\r\nmore\r\nb NOOP\r\n" % (len(text), text))
    assert talk.ask() == ["a NO [OVERQUOTA] Full", "b OK Done"]
    assert not talk.closed
    assert talk.messages == []


def test_a_url_that_is_bad(talk: EngineTalk) -> None:
    talk.send(b"a APPEND INBOX CATENATE (URL bad TEXT {5+}\r\nhello URL x)\r\nb NOOP\r\n")
    assert talk.ask() == ["a NO [BADURL] No such URL", "b OK Done"]


@pytest.mark.parametrize(
    "line",
    [
        "APPEND",
        "APPEND INBOX",
        "APPEND INBOX ",
        "APPEND INBOX {5",
        "APPEND INBOX (\\Seen {5}",
        "APPEND INBOX (\\Nonsense) {5}",
        "APPEND INBOX (\\Recent) {5}",
        'APPEND INBOX "yesterday" {5}',
        "APPEND INBOX (\\Seen){5}",
        "APPEND INBOX hello",
        "APPEND INBOX FOO {5}",
        "APPEND INBOX CATENATE ()",
        "APPEND INBOX CATENATE (TEXT",
        "APPEND INBOX CATENATE (URL x",
        "APPEND INBOX CATENATE (FOO {5}",
        "APPEND INBOX UTF8 ({5}",
        "APPEND INBOX UTF8 ~{5}",
        "APPEND ~{5}",
        "APPEND {5000}",
        "APPEND a\tb {5}",
        "REPLACE INBOX {5}",
        "REPLACE 0 INBOX {5}",
        "REPLACE 1:2 INBOX {5}",
    ],
)
def test_what_is_wrong(talk: EngineTalk, line: str) -> None:
    answers = talk.ask(f"a {line}", "b NOOP")
    assert [answer.split()[:2] for answer in answers] == [["a", "BAD"], ["b", "OK"]]
    broken = [event for event in talk.events if isinstance(event, ev.AppendBroken)]
    begun = [event for event in talk.events if isinstance(event, ev.AppendBegins)]
    assert len(broken) == len(begun)
    assert not any(isinstance(event, ev.AppendEnds) for event in talk.events)


def test_wrong_after_a_message_has_come(talk: EngineTalk) -> None:
    talk.send(b"a APPEND INBOX {2+}\r\nhi nonsense {4+}\r\nb NO\r\nc NOOP\r\n")
    assert [line.split()[:2] for line in talk.ask()] == [["a", "BAD"], ["c", "OK"]]
    assert talk.events[-2] == ev.AppendBroken()
    assert talk.messages == []


def test_nul_spoils_a_message(talk: EngineTalk) -> None:
    talk.send(b"a APPEND INBOX {9+}\r\nab\0\r\nb NO\r\nc NOOP\r\n")
    assert talk.ask() == ["a BAD NUL is allowed in a literal8 only", "c OK Done"]


def test_an_empty_message_takes_it_all_back(talk: EngineTalk) -> None:
    talk.send(b"a APPEND INBOX {2+}\r\nhi {0+}\r\n\r\nb NOOP\r\n")
    assert [line.split()[:2] for line in talk.ask()] == [["a", "NO"], ["b", "OK"]]
    assert talk.events[-2] == ev.AppendBroken()


def test_a_message_that_is_too_large(talk: EngineTalk) -> None:
    assert talk.ask("a APPEND INBOX {1001}", "b NOOP")[0].startswith("a NO [TOOBIG]")
    talk.send(b"c APPEND INBOX {1001+}\r\n" + b"x" * 1001 + b"\r\nd NOOP\r\n")
    assert [line.split()[:2] for line in talk.ask()] == [["c", "NO"], ["d", "OK"]]
    talk.send(b"e APPEND INBOX CATENATE (TEXT {600+}\r\n" + b"x" * 600 + b" TEXT {600}\r\n")
    assert talk.ask()[0].startswith("e NO [TOOBIG]")


def test_a_message_that_is_absurd_ends_it(talk: EngineTalk) -> None:
    answers = talk.ask("a APPEND INBOX {4294967295+}")
    assert answers[0].startswith("a NO [TOOBIG]")
    assert answers[1].startswith("* BYE ")
    assert [type(event) for event in talk.events[-2:]] == [ev.AppendBroken, ev.Closing]


def test_too_many_messages_and_parts() -> None:
    talk = EngineTalk(limits=EngineLimits(appended=2, parts=2)).log_in()
    answers = talk.ask("a APPEND INBOX {1+}", "x {1+}", "y {1+}", "z", "b NOOP")
    assert [line.split()[:3] for line in answers] == [["a", "BAD", "[LIMIT]"], ["b", "OK", "Done"]]
    answers = talk.ask("c APPEND INBOX CATENATE (URL a URL b URL c)")
    assert answers[0].startswith("c BAD [LIMIT]")
    talk = EngineTalk(limits=EngineLimits(messages=2)).log_in()
    answers = talk.ask("a APPEND INBOX {1+}", "x {1+}", "y {1+}", "z", "b NOOP")
    assert [line.split()[:4] for line in answers] == [
        ["a", "NO", "[MESSAGELIMIT", "2]"],
        ["b", "OK", "Done"],
    ]
    assert isinstance(talk.events[-2], ev.AppendBroken)
