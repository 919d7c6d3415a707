from __future__ import annotations

import struct

import pytest

from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.milter import Action, Command, MilterEngine, Protocol
from mailframe.protocols.milter import events as ev
from mailframe.protocols.milter.wire import ALL_ACTIONS, OFFERED, string

CONTINUE = b"\0\0\0\1c"


def pack(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + letter + data


def offer(
    version: int = 6, actions: int = ALL_ACTIONS, protocol: int = 0, rest: bytes = b""
) -> bytes:
    return pack(b"O", struct.pack("!III", version, actions, protocol) + rest)


def agreed(**options: int) -> MilterEngine:
    engine = MilterEngine()
    engine.negotiate()
    assert engine.receive(offer(**options)) == [ev.Negotiated()]
    return engine


def at_end(**options: int) -> MilterEngine:
    engine = agreed(**options)
    engine.send(Command.END_OF_BODY)
    return engine


def test_the_offer() -> None:
    engine = MilterEngine()
    assert engine.negotiate() == pack(b"O", struct.pack("!III", 6, 0x1FF, 0x1FF7FF))
    assert engine.is_waiting
    assert Protocol.REJECTED_RECIPIENTS not in OFFERED


def test_a_session_on_the_wire() -> None:
    engine = agreed()
    data = string("host.example") + b"4\x12\x67" + string("192.0.2.1")
    octets = engine.send(Command.CONNECT, data, {"j": "mail.example.org", "_": ""})
    assert octets == pack(b"D", b"Cj\0mail.example.org\0") + pack(b"C", data)
    assert engine.receive(CONTINUE) == [ev.Decision.CONTINUE]
    assert not engine.is_waiting
    assert engine.send(Command.ABORT) == pack(b"A")
    assert not engine.is_waiting
    assert engine.send(Command.QUIT) == pack(b"Q")


def test_what_a_filter_does_not_want_is_not_sent() -> None:
    engine = agreed(protocol=Protocol.NO_HELO | Protocol.NO_BODY)
    assert engine.send(Command.HELO, b"x\0", {"j": "m"}) == b""
    assert not engine.is_waiting
    assert not engine.wants(Command.BODY)
    assert engine.wants(Command.HEADER)


def test_what_a_filter_does_not_answer_is_not_waited_for() -> None:
    engine = agreed(protocol=Protocol.SILENT_HEADER)
    assert engine.send(Command.HEADER, b"a\0b\0")
    assert not engine.is_waiting
    with pytest.raises(RemoteProtocolError, match="without a question"):
        engine.receive(CONTINUE)


def test_old_filters_do_not_know_data() -> None:
    assert agreed(version=3).send(Command.DATA) == b""
    assert agreed(version=4).send(Command.DATA) != b""


def test_macros_are_those_asked_for() -> None:
    rest = struct.pack("!I", 2) + b"i, {auth_authen}\0" + struct.pack("!I", 3) + b"\0"
    engine = MilterEngine()
    engine.negotiate()
    engine.receive(offer(rest=rest))
    macros = {"{auth_authen}": "ann", "{mail_addr}": "a@b"}
    octets = engine.send(Command.MAIL, b"<>\0", macros)
    assert octets == pack(b"D", b"M{auth_authen}\0ann\0") + pack(b"M", b"<>\0")
    engine.receive(CONTINUE)
    assert engine.send(Command.RECIPIENT, b"<a@b>\0", macros) == pack(b"R", b"<a@b>\0")


@pytest.mark.parametrize(
    "answer",
    [
        offer(version=1),
        offer(version=7),
        offer(actions=0x200),
        offer(protocol=Protocol.REJECTED_RECIPIENTS),
        offer(protocol=0x10000000),
        pack(b"O", b"\0\0\0\6"),
        CONTINUE,
        pack(b"?"),
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n",
        offer() + CONTINUE,
        offer(rest=b"\0\0"),
    ],
)
def test_a_negotiation_that_fails(answer: bytes) -> None:
    engine = MilterEngine()
    engine.negotiate()
    with pytest.raises(RemoteProtocolError):
        engine.receive(answer)


def test_misuse_is_ours() -> None:
    engine = MilterEngine()
    with pytest.raises(LocalProtocolError):
        engine.send(Command.HELO, b"x\0")
    engine.negotiate()
    with pytest.raises(LocalProtocolError):
        engine.negotiate()
    engine.receive(offer())
    engine.send(Command.HELO, b"x\0")
    with pytest.raises(LocalProtocolError, match="MAIL while HELO is not answered"):
        engine.send(Command.MAIL, b"<>\0")


DECISIONS = [
    (b"a", ev.Decision.ACCEPT),
    (b"c", ev.Decision.CONTINUE),
    (b"d", ev.Decision.DISCARD),
    (b"r", ev.Decision.REJECT),
    (b"t", ev.Decision.TEMPFAIL),
    (b"f", ev.Decision.TEMPFAIL),
    (b"4", ev.Decision.SHUTDOWN),
]


@pytest.mark.parametrize(("letter", "decision"), DECISIONS)
def test_decisions(letter: bytes, decision: ev.Decision) -> None:
    engine = agreed()
    engine.send(Command.MAIL, b"<>\0")
    assert engine.receive(pack(b"p") + pack(letter)) == [ev.Progress(), decision]
    assert not engine.is_waiting


def test_skip_only_of_a_body_and_where_agreed() -> None:
    engine = agreed(protocol=Protocol.SKIP)
    engine.send(Command.BODY, b"x")
    assert engine.receive(pack(b"s")) == [ev.Decision.SKIP]
    engine.send(Command.MAIL, b"<>\0")
    with pytest.raises(RemoteProtocolError):
        engine.receive(pack(b"s"))
    engine = agreed()
    engine.send(Command.BODY, b"x")
    with pytest.raises(RemoteProtocolError):
        engine.receive(pack(b"s"))


REPLIES = [
    (b"550 5.7.1 Not you\0", "550 5.7.1 Not you"),
    (b"451 later", "451 4.7.1 later"),
    (b"550 4.7.9 class of the code\0", "550 5.7.9 class of the code"),
    (b"550-5.7.1 one\r\n550 5.7.1 two\0", "550 5.7.1 one two"),
    (b"554\0", "554 5.7.1 Refused"),
    (b"550 5.1.1 100%% sure\0", "550 5.1.1 100% sure"),
    (b"450 4.2.1 a\x07b\x1b\0", "450 4.2.1 a b"),
    (b"550 5.7.1 \xce\xb1\xff\0", "550 5.7.1 α\N{REPLACEMENT CHARACTER}"),
]


@pytest.mark.parametrize(("data", "text"), REPLIES)
def test_replies(data: bytes, text: str) -> None:
    engine = agreed()
    engine.send(Command.MAIL, b"<>\0")
    (event,) = engine.receive(pack(b"y", data))
    assert isinstance(event, ev.Refuse)
    assert str(event.reply) == text


@pytest.mark.parametrize(
    "data", [b"250 ok\0", b"", b"hello\0", b"5500 x\0", b"550x\0", b"354 go\0"]
)
def test_a_reply_that_does_not_refuse_is_none(data: bytes) -> None:
    engine = agreed()
    engine.send(Command.MAIL, b"<>\0")
    with pytest.raises(RemoteProtocolError):
        engine.receive(pack(b"y", data))


def index(number: int) -> bytes:
    return struct.pack("!I", number)


CHANGES = [
    (b"h", b"X-A\0value\0", ev.AddHeader("X-A", "value")),
    (b"h", b"X-A\0value", ev.AddHeader("X-A", "value")),
    (b"h", b"X-A\0one\n\ttwo\nthree\0", ev.AddHeader("X-A", "one\r\n\ttwo\r\n\tthree")),
    (b"h", b"X-A\0one\r\nX-Evil: yes\0", ev.AddHeader("X-A", "one\r\n\tX-Evil: yes")),
    (b"h", b"X-A\0one\n\nbody\0", ev.AddHeader("X-A", "one\r\n\tbody")),
    (b"i", index(0) + b"X-A\0 v\0", ev.InsertHeader(0, "X-A", " v")),
    (b"m", index(2) + b"X-A\0v\0", ev.ChangeHeader(2, "X-A", "v")),
    (b"m", index(0) + b"X-A\0\0", ev.ChangeHeader(1, "X-A", None)),
    (b"+", b"<a@b>\0", ev.AddRecipient("<a@b>")),
    (b"2", b"<a@b>\0NOTIFY=NEVER\0", ev.AddRecipient("<a@b>", "NOTIFY=NEVER")),
    (b"-", b"<a@b>\0", ev.DeleteRecipient("<a@b>")),
    (b"e", b"<>\0", ev.ChangeSender("<>")),
    (b"b", b"new\0body", ev.ReplaceBody(b"new\0body")),
    (b"q", b"odd\nlook\0", ev.Quarantine("odd\nlook")),
]


@pytest.mark.parametrize(("letter", "data", "event"), CHANGES)
def test_changes(letter: bytes, data: bytes, event: ev.Event) -> None:
    assert at_end().receive(pack(letter, data)) == [event]


@pytest.mark.parametrize(("letter", "data"), [(letter, data) for letter, data, _ in CHANGES])
def test_changes_only_at_the_end_and_only_as_agreed(letter: bytes, data: bytes) -> None:
    engine = agreed()
    engine.send(Command.BODY, b"x")
    with pytest.raises(RemoteProtocolError, match="in answer to BODY"):
        engine.receive(pack(letter, data))
    with pytest.raises(RemoteProtocolError, match="was not agreed on"):
        at_end(actions=0).receive(pack(letter, data))


@pytest.mark.parametrize(
    ("letter", "data"),
    [
        (b"h", b""),
        (b"h", b"\0v\0"),
        (b"h", b"X A\0v\0"),
        (b"h", b"X:\0v\0"),
        (b"h", b"X\nY\0v\0"),
        (b"h", b"a\0b\0c\0"),
        (b"i", b"\0\0"),
        (b"m", b"\0\0\0\1"),
        (b"+", b""),
        (b"e", b"\0"),
    ],
)
def test_changes_that_are_none(letter: bytes, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        at_end().receive(pack(letter, data))


def test_actions_are_checked_one_by_one() -> None:
    engine = at_end(actions=Action.ADD_HEADERS)
    assert engine.receive(pack(b"h", b"A\0b\0"))
    with pytest.raises(RemoteProtocolError):
        engine.receive(pack(b"m", index(1) + b"A\0b\0"))
