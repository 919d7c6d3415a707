"""A large message streams through the server: memory does not grow with it."""

from __future__ import annotations

import tracemalloc

import pytest

from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import World

READ = 65_536  # what Twisted reads at once
MESSAGE = 50_000_000
LINE = b"x" * 76 + b"\r\n"


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
def test_fifty_megabytes(by: str) -> None:
    world = World(limits=SmtpLimits(tarpit=0, message_size=2 * MESSAGE))
    world.spool.keeps_content = False
    lines = MESSAGE // len(LINE)
    piece = LINE * (READ // len(LINE))
    with world.greeted() as peer:
        peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\n")
        command = b"DATA\r\n" if by == "DATA" else b"BDAT %d LAST\r\n" % (lines * len(LINE) + 2)
        peer.ask(command + b"\r\n")
        tracemalloc.start()
        try:
            for _ in range(lines // (READ // len(LINE))):
                peer.send(piece)
            peer.send(LINE * (lines % (READ // len(LINE))))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        said = peer.ask(b".\r\n" if by == "DATA" else b"")
    assert said.startswith(b"250 2.0.0 Ok: ")
    assert world.journal.steps("accept")[0]["size"] > MESSAGE
    assert peak < 1_000_000
