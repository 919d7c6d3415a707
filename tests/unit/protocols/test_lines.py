"""Line splitting and DATA framing, whole and in pieces."""

from __future__ import annotations

import pytest

from mailframe.protocols.lines import (
    BadLine,
    DataDecoder,
    Fault,
    LineEndings,
    LineSplitter,
    has_bare_endings,
)


def lines_of(data: bytes, pieces: int, limit: int = 20) -> list[bytes | BadLine]:
    splitter, found = LineSplitter(), []
    for start in range(0, len(data), pieces):
        splitter.feed(data[start : start + pieces])
        while (line := splitter.next_line(limit)) is not None:
            found.append(line)
    return found


SPLITS = (1, 2, 3, 1000)


@pytest.mark.parametrize("pieces", SPLITS)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"NOOP\r\nQUIT\r\n", [b"NOOP", b"QUIT"]),
        (b"\r\n\r\n", [b"", b""]),
        (b"A\nB\r\nC\r\n", [BadLine(Fault.BARE_LF), b"C"]),
        (b"A\rB\r\nC\r\n", [BadLine(Fault.BARE_CR), b"C"]),
        (b"A\r\rB\r\nC\r\n", [BadLine(Fault.BARE_CR), b"C"]),
        (b"A\r\r\nC\r\n", [BadLine(Fault.BARE_CR), b"C"]),
        (b"A\0B\r\nC\r\n", [BadLine(Fault.NUL), b"C"]),
        (b"A\n\0\r\r\nC\r\n", [BadLine(Fault.BARE_LF), b"C"]),
        (b"x" * 18 + b"\r\nC\r\n", [b"x" * 18, b"C"]),
        (b"x" * 19 + b"\r\nC\r\n", [BadLine(Fault.TOO_LONG), b"C"]),
        (b"x" * 18 + b"\rx\r\nC\r\n", [BadLine(Fault.BARE_CR), b"C"]),
        (b"x" * 900 + b"\nQUIT\r\nC\r\n", [BadLine(Fault.TOO_LONG), b"C"]),
        (b"x" * 25 + b"\r" + b"y" * 25 + b"\r\nC\r\n", [BadLine(Fault.TOO_LONG), b"C"]),
    ],
)
def test_lines(data: bytes, expected: list[bytes | BadLine], pieces: int) -> None:
    assert lines_of(data, pieces) == expected


def test_a_bare_lf_is_told_before_the_line_ends() -> None:
    splitter = LineSplitter()
    splitter.feed(b"EHLO me\n")
    assert splitter.next_line(100) == BadLine(Fault.BARE_LF)
    assert splitter.next_line(100) is None


def test_an_endless_line_is_not_kept() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        splitter.feed(b"x" * 1000)
        splitter.next_line(20)
        assert splitter.held == 0


def decode(data: bytes, pieces: int) -> tuple[bytes, bool, bytes | None]:
    decoder, content, rest = DataDecoder(), b"", None
    for start in range(0, len(data), pieces):
        more, rest = decoder.feed(data[start : start + pieces])
        content += more
        if rest is not None:
            rest += data[start + pieces :]
            break
    return content, decoder.spoilt, rest


@pytest.mark.parametrize("pieces", SPLITS)
@pytest.mark.parametrize(
    ("data", "content", "spoilt", "rest"),
    [
        (b".\r\nQUIT\r\n", b"", False, b"QUIT\r\n"),
        (b"\r\n.\r\n", b"\r\n", False, b""),
        (b"a\r\n.\r\nX", b"a\r\n", False, b"X"),
        (b"..\r\n.\r\n", b".\r\n", False, b""),
        (b".a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n", False, b""),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", False, b".\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", True, b""),
        (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", True, b""),
        (b"a\r\n.\n\r\n.\r\n", b"a\r\n\n\r\n", True, b""),
        (b"a\r\n.\r.\r\n.\r\n", b"a\r\n\r.\r\n", True, b""),
        (b"a\n.\r\n\r\n.\r\n", b"a\n.\r\n\r\n", True, b""),
        (b"a\0\r\n.\r\n", b"a\0\r\n", True, b""),
        (b"\rx\n\r\n.\r\n", b"\rx\n\r\n", True, b""),
        (b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\r\n", False, b""),
    ],
)
def test_data(data: bytes, content: bytes, spoilt: bool, rest: bytes, pieces: int) -> None:
    assert decode(data, pieces) == (content, spoilt, rest)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (b"", False),
        (b"a\r\nb\r\n", False),
        (b"\rx\n", True),
        (b"\n\r", True),
        (b"\r\n\r", True),
        (b"\0", True),
    ],
)
def test_bare_endings(text: bytes, bare: bool) -> None:
    assert has_bare_endings(text) is bare


@pytest.mark.parametrize("text", [b"a\r\nb\r\n", b"\r\n\r\n", b"a", b""])
def test_counted_text_in_pieces_is_sound(text: bytes) -> None:
    for pieces in (1, 2, 3):
        endings = LineEndings()
        for start in range(0, len(text), pieces):
            endings.feed(text[start : start + pieces])
        endings.finish()
        assert not endings.spoilt


@pytest.mark.parametrize("text", [b"a\r", b"a\rb", b"a\n", b"\r\r\n", b"\r\n\n", b"\rx\n"])
def test_counted_text_in_pieces_is_spoilt(text: bytes) -> None:
    for pieces in (1, 2, 3):
        endings = LineEndings()
        for start in range(0, len(text), pieces):
            endings.feed(text[start : start + pieces])
        endings.finish()
        assert endings.spoilt
