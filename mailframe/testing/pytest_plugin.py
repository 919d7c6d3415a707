"""Fixtures for pytest, there wherever mailframe is installed.

``mailframe_app``   a server in memory: no sockets, milliseconds a test
``outbox``          what it sent to hosts elsewhere
``fake_dns``        what it is told when it asks the DNS
``clock``           its time: ``clock.advance(3600)``
``remote_mx``       a host elsewhere that answers as the test says
``mailframe_inbox`` a real server in a process of its own, for programs that send mail

They cost nothing before a test uses one: until then nothing of mailframe or Twisted is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mailframe.testing.inbox import MailframeInbox
    from mailframe.testing.letters import Received
    from mailframe.testing.memory_server import MemoryServer
    from mailframe.testing.remote import RemoteHost
    from mailframe.testing.surroundings import Surroundings
    from mailframe.testing.zones import FakeDns


@pytest.fixture
def mailframe_world() -> Iterator[Surroundings]:
    """The surroundings that the other fixtures of a test share; seldom asked for itself."""
    from mailframe.testing.surroundings import Surroundings

    world = Surroundings()
    yield world
    world.close()


@pytest.fixture
def mailframe_app(mailframe_world: Surroundings) -> Iterator[Callable[..., MemoryServer]]:
    """``mailframe_app("module:app", dns={...}, users={...}, config={...})`` starts a server in
    memory (``mailframe.testing.memory_server``). One whose code raised fails the test."""
    from mailframe.testing.memory_server import MemoryServer

    servers: list[MemoryServer] = []

    def start(app: Any = None, **arguments: Any) -> MemoryServer:
        if servers:
            raise RuntimeError("there is one server a test: its host has one address")
        server = MemoryServer(app, world=mailframe_world, **arguments)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def outbox(mailframe_world: Surroundings) -> list[Received]:
    """What hosts elsewhere took from the server, in their order: the same list at all times."""
    return mailframe_world.outbox


@pytest.fixture
def fake_dns(mailframe_world: Surroundings) -> FakeDns:
    """What the server is told when it asks the DNS: ``fake_dns["example.com"] = "MX 10
    mx.example.com"``."""
    return mailframe_world.dns


@pytest.fixture
def clock(mailframe_world: Surroundings) -> Surroundings:
    """The time of the server: ``clock.advance(3600)`` lets so many seconds pass, and what is due
    meanwhile happen; ``clock.seconds()`` is what it is, since the epoch."""
    return mailframe_world


@pytest.fixture
def remote_mx(mailframe_world: Surroundings) -> Callable[..., RemoteHost]:
    """``remote_mx("slow.test", ["421 busy", 250])``, see ``mailframe.testing.remote``."""
    return mailframe_world.remote_mx


@pytest.fixture
def mailframe_inbox() -> Iterator[MailframeInbox]:
    """``.url`` for the program that is tested, ``.wait(to=..., timeout=...)`` for what it sent."""
    from mailframe.testing.inbox import MailframeInbox

    with MailframeInbox() as inbox:
        yield inbox
