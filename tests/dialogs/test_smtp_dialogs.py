"""Every transcript against the engine and against the server, whole and octet by octet."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.core.session import Role
from mailframe.protocols.smtp.settings import ServerSettings
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_engine_talk import EngineTalk
from tests.dialogs.smtp_world import World
from tests.dialogs.transcript import Transcript, parse, play

TRANSCRIPTS = sorted((Path(__file__).parent / "smtp").glob("*.txt"))
BY_NAME = pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
IN_PIECES = pytest.mark.parametrize("piece", [0, 1], ids=["whole", "octets"])


def number(transcript: Transcript, key: str, default: int) -> int:
    return int(transcript.scene.get(key, default))


@BY_NAME
@IN_PIECES
def test_against_the_engine(path: Path, piece: int) -> None:
    transcript = parse(path.read_text())
    role = transcript.scene.get("role", "mx")
    talk = EngineTalk(
        ServerSettings(
            "mx.local.test",
            lmtp=role == "lmtp",
            login_required=role == "submission",
            allow_plaintext="allow_plaintext" in transcript.scene,
            message_size=number(transcript, "message_size", 100_000),
            recipients=number(transcript, "recipients", 100),
            errors=number(transcript, "errors", 10),
        )
    )

    def send(data: bytes) -> None:
        for start in range(0, len(data), piece or len(data)):
            talk.send(data[start : start + (piece or len(data))])

    play(transcript, send, talk.read, path)
    check(transcript, len(talk.messages), talk.closed, path)


@BY_NAME
@IN_PIECES
def test_against_the_server(path: Path, piece: int) -> None:
    transcript = parse(path.read_text())
    world = World(
        role=Role(transcript.scene.get("role", "mx")),
        limits=SmtpLimits(
            tarpit=0,
            allow_plaintext="allow_plaintext" in transcript.scene,
            message_size=number(transcript, "message_size", 100_000),
            recipients=number(transcript, "recipients", 100),
            errors=number(transcript, "errors", 10),
        ),
    )
    peer = world.connect()
    play(transcript, lambda data: peer.send(data, piece), peer.read, path)
    check(transcript, len(world.spool.stored), peer.closed, path)
    peer.leave()


def check(transcript: Transcript, stored: int, closed: bool, path: Path) -> None:
    for outcome in transcript.outcome:
        if outcome.startswith("stored "):
            assert stored == int(outcome.split()[1]), f"{path}: {stored} messages"
    assert closed == ("closed" in transcript.outcome), f"{path}: closed is {closed}"


def test_a_wrong_transcript_fails() -> None:
    talk = EngineTalk(ServerSettings("mx.local.test"))
    with pytest.raises(AssertionError, match="220 mx"):
        play(parse("S: 221 *\n"), talk.send, talk.read, Path("wrong"))
