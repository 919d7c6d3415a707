"""Fixtures of the interop bench: real servers on loopback, ended with the test or module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers.dns import Dns
from tests.interop.peers.imap import fill, logged_in
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, workdir


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """Ends what a test started, last first."""
    with contextlib.ExitStack() as ends:
        yield ends


@pytest.fixture
def directory() -> Iterator[Path]:
    with workdir("test") as path:
        yield path


@pytest.fixture
def mailframe(directory: Path) -> Iterator[Mailframe]:
    """Configured with users ann and bob at mf.test, not started."""
    server = Mailframe(directory, loopback_address())
    server.configure()
    server.add_users("ann@mf.test", "bob@mf.test")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Mailframe]:
    """One server for a module's tests, with ann and bob at mf.test."""
    with workdir("module") as path:
        server = Mailframe(path, loopback_address())
        server.configure()
        server.add_users("ann@mf.test", "bob@mf.test")
        server.start()
        yield server
        server.stop()
        assert server.tracebacks == []


@pytest.fixture
def dns() -> Iterator[Dns]:
    """Not started."""
    with workdir("dns") as path:
        server = Dns(path, loopback_address())
        yield server
        server.stop()


@pytest.fixture
def box(running: Mailframe, request: pytest.FixtureRequest) -> str:
    """An IMAP folder of ann's, of the test's own, with ten messages."""
    name = str(request.node.name).replace("[", "-").replace("]", "")
    with logged_in(running) as client:
        assert client.create(name)[0] == "OK"
        fill(client, name, range(1, 11))
    return name
