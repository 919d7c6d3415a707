"""Dot-stuffing is the same for every split of the message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailframe.protocols.dots import DotStuffer

LINES = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"a", b".\r\n"]), max_size=30)


def stuffed(chunks: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([*map(stuffer.feed, chunks), stuffer.finish()])


@given(LINES)
def test_any_split_yields_the_same(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    octets = [whole[i : i + 1] for i in range(len(whole))]
    assert stuffed(pieces) == stuffed([whole]) == stuffed(octets)


@given(LINES)
def test_the_end_comes_once_and_unstuffing_restores(pieces: list[bytes]) -> None:
    message = b"".join(pieces)
    wire = b"\r\n" + stuffed([message])
    assert wire.find(b"\r\n.\r\n") == len(wire) - 5
    restored = wire[2:-3].replace(b"\r\n.", b"\r\n").removeprefix(b".")
    assert restored.removesuffix(b"\r\n") == message.removesuffix(b"\r\n")


def test_an_empty_message() -> None:
    assert stuffed([]) == b".\r\n"
