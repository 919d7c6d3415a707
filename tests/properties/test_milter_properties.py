"""The milter engine on any bytes, in any pieces."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.reply import Reply
from mailframe.errors import RemoteProtocolError
from mailframe.message.trace import field_line
from mailframe.protocols.milter import Command, MilterEngine
from mailframe.protocols.milter import events as ev
from mailframe.protocols.milter.wire import ALL_ACTIONS

letters = st.sampled_from([bytes([octet]) for octet in b"+2-4abcdefhimpqrsty?O"])
data = st.one_of(
    st.binary(max_size=60),
    st.lists(st.binary(max_size=12), max_size=4).map(lambda words: b"\0".join(words) + b"\0"),
    st.builds(
        lambda number, name, value: struct.pack("!I", number) + name + b"\0" + value + b"\0",
        st.integers(0, 3),
        st.sampled_from([b"X-A", b"Subject", b"bad name"]),
        st.binary(max_size=30),
    ),
)
packets = st.lists(st.tuples(letters, data), max_size=8)


def engine_at_end() -> MilterEngine:
    engine = MilterEngine()
    engine.negotiate()
    engine.receive(struct.pack("!I", 13) + b"O" + struct.pack("!III", 6, ALL_ACTIONS, 0))
    engine.send(Command.END_OF_BODY)
    return engine


def heard(engine: MilterEngine, pieces: list[bytes]) -> tuple[list[ev.Event], bool]:
    """What came before the first error, by pieces; and whether there was one."""
    events: list[ev.Event] = []
    try:
        for piece in pieces:
            events += engine.receive(piece)
    except RemoteProtocolError:
        return events, True
    return events, False


def rendered(sequence: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(struct.pack("!I", len(rest) + 1) + letter + rest for letter, rest in sequence)


@given(packets, st.lists(st.integers(0, 200), max_size=6))
def test_the_same_events_for_any_split(
    sequence: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    octets = rendered(sequence)
    at = sorted({cut for cut in cuts if cut < len(octets)} | {0})
    pieces = [octets[a:b] for a, b in zip(at, [*at[1:], len(octets)], strict=True)]
    whole, broke = heard(engine_at_end(), [bytes([octet]) for octet in octets])
    split, broke_too = heard(engine_at_end(), pieces)
    assert broke == broke_too
    # an error takes with it what came in the same piece
    assert split == whole[: len(split)]
    assert broke or split == whole


@given(st.binary(max_size=300))
def test_garbage_is_the_peers_fault_or_nothing(octets: bytes) -> None:
    heard(engine_at_end(), [octets])


@given(packets)
def test_what_comes_out_is_fit_for_use(sequence: list[tuple[bytes, bytes]]) -> None:
    events, _ = heard(engine_at_end(), [bytes([octet]) for octet in rendered(sequence)])
    for event in events:
        if isinstance(event, ev.Refuse):
            assert isinstance(event.reply, Reply)
            assert not event.reply.is_positive
        if isinstance(event, (ev.AddHeader, ev.InsertHeader, ev.ChangeHeader)) and event.value:
            line = field_line(event.name, event.value)
            assert line.count(b"\r\n") == line.count(b"\n") == line.count(b"\r")
            assert all(each[:1] in b" \t" for each in line.split(b"\r\n")[1:-1])
