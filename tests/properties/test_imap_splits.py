"""IMAP whatever the split of the octets, whatever the octets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailframe.protocols.imap import events as ev
from mailframe.protocols.imap.settings import EngineLimits
from tests.dialogs.imap_engine_talk import EngineTalk, without_chunks

LIMITS = EngineLimits(
    line_before_login=120,
    line=120,
    literal_before_login=20,
    command=200,
    discarded=500,
    appended=3,
    parts=3,
    errors=8,
)

PIECES = st.sampled_from(
    [
        b"a LOGIN ann secret\r\n", b"a LOGIN {3}\r\nann {6+}\r\nsecret\r\n", b"b LOGIN x wrong\r\n",
        b"c AUTHENTICATE PLAIN\r\n", b"AGFubgBzZWNyZXQ=\r\n", b"*\r\n", b"=\r\n",
        b"c AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n",
        b"c AUTHENTICATE SCRAM-SHA-256 biwsbj11LHI9Yw==\r\n", b"Yz1iaXdzLHI9Y24scD1BQT09\r\n",
        b"d NOOP\r\n", b"d CAPABILITY\r\n", b"d LOGOUT\r\n", b"d UNAUTHENTICATE\r\n",
        b"e SELECT INBOX\r\n", b"e SELECT {5+}\r\nINBOX\r\n", b"e CLOSE\r\n", b"f IDLE\r\n",
        b"DONE\r\n", b"done\r\n", b"g ENABLE UIDONLY UTF8=ACCEPT\r\n", b"g FETCH 1:* FLAGS\r\n",
        b"g UID FETCH 1:* (FLAGS BODY[HEADER.FIELDS ({4+}\r\nFrom)])\r\n",
        b"h APPEND INBOX {5+}\r\nhello\r\n", b"h APPEND INBOX {5}\r\nhello\r\n",
        b"h APPEND {5+}\r\nINBOX (\\Seen) ~{3+}\r\na\0b {2+}\r\nhi\r\n",
        b"h APPEND missing {8+}\r\na NOOP\r\n {3+}\r\nabc\r\n",
        b"h APPEND INBOX {7+}\r\nfull\r\nx\r\n", b"h APPEND INBOX {3+}\r\na\0b {2}\r\n",
        b'h APPEND INBOX CATENATE (URL "u" TEXT {3+}\r\nabc URL {1+}\r\nv)\r\n',
        b"h APPEND INBOX CATENATE (URL bad TEXT {3+}\r\nabc)\r\n",
        b"h APPEND INBOX UTF8 (~{3+}\r\nabc)\r\n", b"h APPEND INBOX {600+}\r\n",
        b"i UID REPLACE 3 INBOX {3+}\r\nabc\r\n", b"i REPLACE * INBOX {3+}\r\nabc {3+}\r\nabc\r\n",
        b"j FOO {9+}\r\nb LOGOUT\r\n rest\r\n", b"j CREATE {300+}\r\n", b"j CREATE {9999+}\r\n",
        b"j CREATE {300}\r\n", b"x" * 130, b"\r\n", b"\r", b"\n", b"\0", b" {4+}\r\n", b"{4}\r\n",
    ]
)  # fmt: skip
TRAFFIC = st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=8)), max_size=30)
STARTS = st.sampled_from(
    [b"", b"", b"a LOGIN ann secret\r\n", b"a LOGIN ann secret\r\nb SELECT x\r\n"]
)
DIALOGUES = st.builds(lambda start, pieces: start + b"".join(pieces), STARTS, TRAFFIC)
CUTS = st.lists(st.integers(0, 10**6), max_size=12)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def outcome(pieces: list[bytes]) -> tuple[list[ev.Event], bytes, list[bytes]]:
    talk = EngineTalk(limits=LIMITS, append_limit=500)
    for piece in pieces:
        talk.send(piece)
    return without_chunks(talk.events), talk.said, talk.messages


@given(DIALOGUES, CUTS)
@settings(max_examples=300, deadline=None)
@example(b"a LOGIN ann secret\r\nh APPEND INBOX {3+}\r\na\0b {2}\r\nd NOOP\r\n", [45])
def test_any_split_is_the_same(data: bytes, cuts: list[int]) -> None:
    assert outcome(split(data, cuts)) == outcome([data])


@given(DIALOGUES)
@settings(max_examples=150, deadline=None)
def test_octet_by_octet_is_the_same(data: bytes) -> None:
    octets = [data[at : at + 1] for at in range(len(data))]
    assert outcome(octets or [b""]) == outcome([data])


@given(DIALOGUES, CUTS)
@settings(max_examples=150, deadline=None)
def test_every_command_has_one_answer(data: bytes, cuts: list[int]) -> None:
    talk = EngineTalk(limits=LIMITS, append_limit=500, tls_available=True)
    for piece in split(data + b"\r\nlast NOOP\r\n", cuts):
        talk.send(piece)
    asked = [
        event.tag for event in talk.events if isinstance(event, ev.CommandGiven | ev.AppendBegins)
    ]
    answered = [line.split(b" ")[0].decode() for line in talk.said.split(b"\r\n")[:-1]]
    unanswered = 1 if talk.engine.idling else 0
    for tag in set(asked):
        assert answered.count(tag) >= asked.count(tag) - unanswered
    assert talk.most_held <= max(LIMITS.line, LIMITS.command) + 20


@given(st.integers(0, 40), st.binary(max_size=60), st.booleans(), CUTS)
@settings(deadline=None)
def test_a_refused_literal_is_never_a_command(
    before: int, octets: bytes, unasked: bool, cuts: list[int]
) -> None:
    hidden = b"x" * before + b"\r\nevil LOGOUT\r\n" + octets
    plus = b"+" if unasked else b""
    data = b"a FOO {%d%b}\r\n" % (len(hidden), plus)
    if unasked:
        data += hidden + b"\r\n"
    talk = EngineTalk(limits=LIMITS)
    for piece in split(data + b"z NOOP\r\n", cuts):
        talk.send(piece)
    assert not talk.closed
    assert talk.said.endswith(b"\r\na BAD Unknown command\r\nz OK Done\r\n")
