"""Bodies that other servers test with pass unchanged, in any way that they can come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailframe.protocols.dots import DotStuffer
from tests.dialogs.smtp_world import World

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
BODIES = sorted(
    [
        *(SUITES / "03-smtp" / "chasquid-mail").glob("*/content"),
        *(SUITES / "03-smtp" / "haraka-mail" / "mail_specimen").glob("*.txt"),
    ]
)
if not BODIES:
    pytest.skip("the message bodies are not here (set MAILFRAME_SUITES)", allow_module_level=True)

ENVELOPE = b"MAIL FROM:<a@far.test> BODY=8BITMIME\r\nRCPT TO:<ann@local.test>\r\n"


def wire(path: Path) -> bytes:
    return b"".join(line + b"\r\n" for line in path.read_bytes().splitlines())


@pytest.mark.parametrize("piece", [0, 1, 7])
@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_by_data(path: Path, piece: int) -> None:
    world, body = World(), wire(path)
    stuffer = DotStuffer()
    with world.greeted() as peer:
        peer.send(ENVELOPE + b"DATA\r\n" + stuffer.feed(body) + stuffer.finish(), piece)
        assert b"\r\n250 2.0.0 Ok: " in peer.read()
    assert [message.content for message in world.spool.stored] == [body]


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_by_bdat_in_chunks_of_any_size(path: Path) -> None:
    body = wire(path)
    for size in (1, 10, len(body)):
        world = World()
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        commands = b"".join(b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in chunks)
        with world.greeted() as peer:
            peer.send(ENVELOPE + commands + b"BDAT 0 LAST\r\n")
        assert [message.content for message in world.spool.stored] == [body]


def seeds() -> list[Path]:
    return sorted((SUITES / "11-fuzz" / "profuzzbench-exim" / "in-smtp").glob("*.raw"))


@pytest.mark.parametrize("path", seeds(), ids=lambda path: path.name)
def test_fuzz_seeds_as_they_are(path: Path) -> None:
    """Each ends in an orderly way: with its QUIT heard, or as the octets of a chunk."""
    world = World()
    peer = world.connect()
    said = peer.ask(path.read_bytes())
    assert said.startswith(b"220 ")
    assert not world.spool.stored
    assert peer.closed == said.endswith(b"221 2.0.0 Bye\r\n")
