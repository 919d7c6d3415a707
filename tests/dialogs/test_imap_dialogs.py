"""Every IMAP transcript against the engine, whole and octet by octet."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.protocols.imap.settings import EngineLimits
from tests.dialogs.imap_engine_talk import EngineTalk
from tests.dialogs.transcript import parse, play

TRANSCRIPTS = sorted((Path(__file__).parent / "imap").glob("*.txt"))


@pytest.mark.parametrize("piece", [0, 1], ids=["whole", "octets"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_against_the_engine(path: Path, piece: int) -> None:
    transcript = parse(path.read_text())
    talk = EngineTalk(
        allow_plaintext="secure_only" not in transcript.scene,
        tls_available="secure_only" in transcript.scene,
        limits=EngineLimits(errors=int(transcript.scene.get("errors", 10))),
        append_limit=1000,
    )

    def send(data: bytes) -> None:
        for start in range(0, len(data), piece or len(data)):
            talk.send(data[start : start + (piece or len(data))])

    def read() -> bytes:
        talk.send(b"")
        said, talk.said = talk.said, b""
        return said

    play(transcript, send, read, path)
    assert talk.closed == ("closed" in transcript.outcome), path
    for outcome in transcript.outcome:
        if outcome.startswith("messages "):
            assert len(talk.messages) == int(outcome.split()[1]), path


def test_a_wrong_transcript_fails() -> None:
    talk = EngineTalk()
    talk.send(b"")
    with pytest.raises(AssertionError, match="IMAP server ready"):
        play(parse("S: * BYE\n"), talk.send, lambda: talk.said, Path("wrong"))
