"""Dovecot's imaptest scripts, played against the whole server, and against Dovecot itself.

The second run is there to keep the first honest: what Dovecot fails too is more likely wrong
in our reading of the scripts than in a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.imaptest import Player, load
from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address, workdir

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
DIRECTORY = SUITES / "04-imap" / "imaptest" / "src" / "tests"
SCRIPTS = sorted(path for path in DIRECTORY.glob("*") if path.suffix != ".mbox" and path.is_file())
if not SCRIPTS:
    pytest.skip("imaptest's scripts are not here (set MAILFRAME_SUITES)", allow_module_level=True)

WAIVED: dict[str, str] = {
    "append-binary": "as with Dovecot, below; what it means is in tests/unit/servers",
}
"""Scripts whose demand is not ours, and why."""

DOVECOT_FAILS: dict[str, str] = {
    "append-binary": "its two blocks differ in how the line end before the closing }}} counts",
}
"""What Dovecot 2.3 does otherwise than its own scripts say."""

Place = tuple[str, int, str, str]


@pytest.fixture(scope="module")
def ours() -> Iterator[Place]:
    with workdir("imaptest") as path:
        server = Mailframe(path, loopback_address())
        server.configure(auth={"allow_plaintext": True}, limits={"imap_connections_per_user": 0})
        server.add_users("ann@mf.test")
        server.start()
        yield server.address, server.ports["imap"], "ann@mf.test", PASSWORD
        server.stop()
        assert server.tracebacks == []


@pytest.fixture(scope="module")
def dovecots() -> Iterator[Place]:
    with workdir("imaptest-dovecot") as path:
        (path / "mail" / "new").mkdir(parents=True)
        (path / "mail" / "cur").mkdir()
        (path / "mail" / "tmp").mkdir()
        server = Dovecot(path, loopback_address())
        server.start(path / "mail")
        yield server.address, server.imap_port, "user@mf.test", DOVECOT_PASSWORD
        server.stop()


def play(path: Path, place: Place) -> None:
    script = load(path)
    player = Player(script, *place, box="imaptest")
    try:
        if missing := script.capabilities - player.capabilities():
            pytest.skip(f"does not offer {' '.join(sorted(missing))}")
        player.prepare()
        player.play()
    finally:
        player.close()


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script(path: Path, ours: Place) -> None:
    if path.name in WAIVED:
        pytest.skip(WAIVED[path.name])
    play(path, ours)


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_at_dovecot(path: Path, dovecots: Place) -> None:
    if path.name in DOVECOT_FAILS:
        pytest.skip(DOVECOT_FAILS[path.name])
    play(path, dovecots)
