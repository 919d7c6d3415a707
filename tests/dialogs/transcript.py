"""Transcripts of dialogues as tests.

``C:`` is a line of the client, CRLF added; ``C|`` the same without CRLF. Both know the
escapes ``\\r \\n \\0 \\t \\\\`` and ``{x*1000}`` for a repeated character. ``S:`` is a line of
the server, where ``*`` stands for anything. Lines of the client that follow one another are
sent at once. ``key: value`` before the first of them sets the scene, ``=`` lines at the end
say how it came out: ``= stored 2``, ``= closed``. ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_ESCAPES = {"r": "\r", "n": "\n", "0": "\0", "t": "\t", "\\": "\\"}


@dataclass
class Turn:
    line: int
    sent: bytes = b""
    expected: list[str] = field(default_factory=list)


@dataclass
class Transcript:
    scene: dict[str, str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)


def parse(text: str) -> Transcript:
    transcript = Transcript(turns=[Turn(0)])
    for number, line in enumerate(text.splitlines(), 1):
        tag, rest = line[:2], line[3:]
        if tag in ("C:", "C|"):
            turn = transcript.turns[-1]
            if turn.expected:
                turn = Turn(number)
                transcript.turns.append(turn)
            turn.sent += unescape(rest) + (b"\r\n" if tag == "C:" else b"")
        elif tag == "S:":
            transcript.turns[-1].expected.append(rest)
        elif tag == "= ":
            transcript.outcome.append(line[2:])
        elif line and not line.startswith("#"):
            key, _, value = line.partition(": ")
            transcript.scene[key] = value
    return transcript


def unescape(text: str) -> bytes:
    text = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    text = re.sub(r"\\([rn0t\\])", lambda match: _ESCAPES[match[1]], text)
    return text.encode()


def play(
    transcript: Transcript, send: Callable[[bytes], None], read: Callable[[], bytes], where: Path
) -> None:
    """Say the client's lines and compare what the server says."""
    for turn in transcript.turns:
        if turn.sent:
            send(turn.sent)
        said = read().decode().split("\r\n")[:-1]
        place = f"{where}:{turn.line}, after sending {turn.sent!r}"
        assert len(said) == len(turn.expected), f"{place}: {said} instead of {turn.expected}"
        for got, wanted in zip(said, turn.expected, strict=True):
            pattern = ".*".join(map(re.escape, wanted.split("*")))
            assert re.fullmatch(pattern, got), f"{place}: {got!r} instead of {wanted!r}"
