"""The same for trial and unittest: ``class OrdersTest(MailframeTestCase)``."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailframe.testing.letters import Received
from mailframe.testing.memory_server import MemoryServer
from mailframe.testing.surroundings import Surroundings


class MailframeTestCase(SynchronousTestCase):
    """``self.mailframe_app(...)`` starts the server; ``self.outbox``, ``self.fake_dns``,
    ``self.clock`` and ``self.remote_mx`` are what the fixtures of those names are."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Surroundings()
        self.addCleanup(self.clock.close)
        self.fake_dns = self.clock.dns
        self.remote_mx = self.clock.remote_mx

    @property
    def outbox(self) -> list[Received]:
        """What hosts elsewhere took, in their order."""
        return self.clock.outbox

    def mailframe_app(self, app: Any = None, **arguments: Any) -> MemoryServer:
        """Start a server, with the arguments of ``MemoryServer``; it is closed when the test is
        over, and fails it where it logged an error."""
        server = MemoryServer(app, world=self.clock, **arguments)
        self.addCleanup(server.close)
        return server
