"""Whatever one peer does, the reactor turns: the worst offenders of ``python -m tests.stall``.

Three hundred idle connections and thirty busy ones stand by. What is bounded is the reactor
thread's own CPU time in one turn, which neighbours on the machine hardly change; the aim is 100
ms, and what is measured on a quiet machine is a quarter of the bounds or less. The full form, with
two thousand idle, two hundred busy and a hundred scenes, is the command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.interop.peers.process import workdir
from tests.stall.play import Stage
from tests.stall.scenes import SCENES
from tests.stall.scenes.scene import patience

pytestmark = pytest.mark.slow

IDLE, BUSY = 300, 30
SECONDS = 1.5
TURN = 100.0  # milliseconds, of everybody together
PIECE = 60.0  # of one connection
OFFENDERS = (
    "smtp: 10^6 NOOP in one write",
    "smtp: 10^6 RCPT in one write",
    "smtp: VRFY and HELP without end",
    "pop3: 10^6 NOOP in one write",
    "imap: 10^6 CAPABILITY before the login",
    "all doors: 1,000 connections a second",
    "mail: 10^5 MIME parts",
    "tls: 200 handshakes at once",
    "login: SCRAM by submission, begun and aborted",
    "remote: handshakes with 10,000 bits",
    "remote: 100 refusals of 60 KB",
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    kept = patience["most"]
    patience["most"] = SECONDS
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(workdir("stall"))
        yield Stage(directory, stack, idle=IDLE, busy=BUSY, users=3, many=0)
    patience["most"] = kept


@pytest.mark.parametrize("name", OFFENDERS)
def test_the_reactor_turns(stage: Stage, name: str) -> None:
    done = stage.play(SCENES[name])
    print(done)
    assert done.turn < TURN, done
    assert done.piece < PIECE, done
    assert done.lost == 0, done
    assert stage.target.mailframe.tracebacks == []
