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


def test_who_sends_much_is_read_by_fewer_calls() -> None:
    """The more one read brings, the less a message costs; small ones are left alone."""
    world = World(limits=SmtpLimits(tarpit=0, message_size=MESSAGE))
    with world.greeted() as peer:
        for piece, much in ((LINE, False), (LINE * (READ // len(LINE)), True)):
            peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
            peer.send(b"\r\n" + piece)
            assert hasattr(peer.transport, "bufferSize") is much
            assert peer.ask(b".\r\n").startswith(b"250 ")
