"""POP3 whatever the split of the bytes, whatever the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from mailframe.core.scram import ScramVerifier
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.pop3 import (
    Closing,
    MessageWanted,
    Pause,
    Pop3Engine,
    ResponseCode,
    StartTls,
    UpdateWanted,
    VerifierWanted,
)
from mailframe.protocols.pop3.events import PasswordOffered
from mailframe.protocols.pop3.top import TopCutter
from mailframe.protocols.sasl import SERVER_MECHANISMS, Challenge, NeedVerifier, server_mechanism

MESSAGE = b"Subject: x\r\n\r\n.one\r\n..\r\ntwo\r\n"
VERIFIER = ScramVerifier.derive(b"secret", b"salt", 1)


@dataclass(frozen=True)
class Entry:
    uid: str
    size: int


ENTRIES = tuple(Entry(f"uid{n}", len(MESSAGE)) for n in range(3))

COMMANDS = st.sampled_from(
    [
        b"CAPA\r\n", b"USER ann\r\n", b"PASS secret\r\n", b"PASS wrong\r\n", b"STAT\r\n",
        b"LIST\r\n", b"LIST 1\r\n", b"UIDL\r\n", b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 1 1\r\n",
        b"TOP 3 99\r\n", b"DELE 1\r\n", b"DELE 3\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n",
        b"UTF8\r\n", b"LANG\r\n", b"AUTH\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"=\r\n", b"\r\n",
        b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", b"AUTH LOGIN\r\n", b"YW5u\r\n", b"STLS\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj11LHI9Yw==\r\n", b"Yz1iaXdzLHI9Y24scD1BQT09\r\n",
        b"NOOP\n", b"\n", b"\r", b"\0", b" ", b"RETR 0\r\n", b"RETR -1\r\n", b"x" * 300,
        b"APOP ann 00000000000000000000000000000000\r\n", b"RETR 99999999999999999999\r\n",
    ]
)  # fmt: skip
TRAFFIC = st.lists(st.one_of(COMMANDS, COMMANDS, st.binary(max_size=8)), max_size=40).map(b"".join)


def decide(engine: Pop3Engine, event: object) -> None:
    """What a server would: ``secret`` is right, message 2 has vanished."""
    if isinstance(event, StartTls):
        engine.tls_started({"tls-exporter": b"x"})
    elif isinstance(event, PasswordOffered) and event.password == b"secret":
        engine.logged_in(ENTRIES)
    elif isinstance(event, VerifierWanted):
        engine.verifier(VERIFIER)
    elif isinstance(event, MessageWanted) and event.number == 2:
        engine.message_unavailable("gone")
    elif isinstance(event, MessageWanted):
        engine.begin_message(len(MESSAGE))
        for octet in MESSAGE:
            engine.message_chunk(bytes([octet]))
        engine.end_message()
    elif isinstance(event, UpdateWanted):
        engine.updated(len(event.uids) % 2)
    elif not isinstance(event, Closing):
        engine.login_failed("no", ResponseCode.AUTH)


def run(pieces: list[bytes], tls: bool) -> tuple[list[object], bytes]:
    engine = Pop3Engine(
        "h",
        SERVER_MECHANISMS | {"APOP"},
        lambda: "n",
        allow_plaintext=True,
        tls_available=tls,
        timestamp="<1.2@h>",
    )
    events: list[object] = []
    output = b""
    for piece in pieces:
        engine.receive(piece)
        while (event := engine.next_event()) not in (Pause.NEED_DATA, Pause.CLOSED):
            if event is not Pause.OUTPUT:
                events.append(event)
                decide(engine, event)
            output += engine.take_output()
        output += engine.take_output()
    return events, output


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


# Without STLS: what was pipelined past it depends on the split by design.
@given(TRAFFIC.filter(lambda data: b"STLS" not in data.upper()), st.lists(st.integers(0, 10**6)))
def test_any_split_of_the_bytes_is_the_same_session(data: bytes, cuts: list[int]) -> None:
    assert run(split(data, cuts), tls=False) == run([data], tls=False)


@given(TRAFFIC, st.lists(st.integers(0, 10**6)))
@example(b"AUTH SCRAM-SHA-256 biwsbj11LHI9Yw==\r\n*\r\nUSER ann\r\nPASS secret\r\nQUIT\r\n", [])
def test_nothing_that_is_sent_breaks_the_engine(data: bytes, cuts: list[int]) -> None:
    events, output = run(split(data, cuts), tls=True)
    assert output.startswith(b"+OK")
    assert sum(isinstance(event, (UpdateWanted, Closing)) for event in events) <= 2


@given(
    st.lists(
        st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b".", b"\0"]), max_size=40
    ).map(b"".join),
    st.integers(0, 6),
    st.lists(st.integers(0, 10**6)),
)
@example(b"\r\nbody\r\n", 0, [])
@example(b"a\r\n\r\nb\r\nc\r\n", 1, [1, 2, 3, 4, 5, 6, 7, 8])
def test_top_is_the_header_and_so_many_lines(data: bytes, count: int, cuts: list[int]) -> None:
    cutter = TopCutter(count)
    shown = b"".join(cutter.feed(piece) for piece in split(data, cuts))
    head, blank, body = (b"\r\n" + data).partition(b"\r\n\r\n")
    lines = body.split(b"\r\n")
    wanted = body if len(lines) <= count else b"".join(f + b"\r\n" for f in lines[:count])
    assert shown == (head + blank + wanted)[2:]
    assert cutter.done == (bool(blank) and len(lines) > count)


@given(
    st.sampled_from(sorted(SERVER_MECHANISMS)),
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b"n,,n=u,r=c", b"c=biws,r=cn,p=AA=="]))
    ),
)
def test_nothing_that_is_sent_breaks_a_mechanism(name: str, responses: list[bytes]) -> None:
    mechanism = server_mechanism(name, {"tls-exporter": b"x"}, "n")
    try:
        step = mechanism.step(None)
        for response in responses:
            while isinstance(step, NeedVerifier):
                step = mechanism.verifier(VERIFIER)
            if not isinstance(step, Challenge):
                break
            step = mechanism.step(response)
    except RemoteProtocolError:
        pass
