"""The whole service on the real reactor: ready, reload, stop, and starts that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.logger import LogEvent, globalLogPublisher

from mailframe.app.config import load_config
from mailframe.app.config_schema import Config
from mailframe.app.service import MailService
from mailframe.errors import ConfigError
from mailframe.runtime.machine import Machine

CONFIG = """
hostname = "mail.example.test"
base = "state"
[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
[limits]
message_size = {size}
"""


class Site:
    """A configuration file, and services that read it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "mailframe.toml"
        self.write(CONFIG.format(size='"1M"'))
        self.addresses: dict[str, str] = {}

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def load(self) -> Config:
        return load_config(str(self.file), {})

    async def started(self) -> MailService:
        ready: Deferred[dict[str, str]] = Deferred()
        service = MailService(
            self.load, Machine(reactor), on_ready=lambda found: ready.callback(found)
        )
        service.privilegedStartService()
        service.startService()
        self.addresses = await ready
        return service


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Talk(Protocol):
    """Says EHLO and QUIT, and collects what it hears until the end."""

    def __init__(self, heard: Deferred[bytes]) -> None:
        self.heard = heard
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        if not self.data:
            self.transport.write(b"EHLO there\r\nQUIT\r\n")
        self.data += data

    def connectionLost(self, reason: object) -> None:
        self.heard.callback(self.data)


def talk(address: str) -> Deferred[bytes]:
    host, _, port = address.rpartition(":")
    heard: Deferred[bytes] = Deferred()
    factory = ClientFactory.forProtocol(lambda: Talk(heard))
    factory.noisy = False
    reactor.connectTCP(host, int(port), factory)
    return heard


@pytest_twisted.ensureDeferred
async def test_ready_reload_stop(site: Site) -> None:
    service = await site.started()
    assert b"SIZE 1048576\r\n" in await talk(site.addresses["mx"])
    site.write(CONFIG.format(size='"2M"'))
    await service.reload()
    assert b"SIZE 2097152\r\n" in await talk(site.addresses["mx"])
    site.write(CONFIG.format(size='"nonsense"'))
    with pytest.raises(ConfigError):
        await service.reload()
    assert b"SIZE 2097152\r\n" in await talk(site.addresses["mx"])
    await service.stopService()
    assert not (site.file.parent / "state" / "run" / "control.sock").exists()


@pytest_twisted.ensureDeferred
async def test_a_reload_names_what_it_does_not_apply(site: Site) -> None:
    service = await site.started()
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        site.write(f'{CONFIG.format(size=1)}[relay]\nport = 2626\n[journal]\nkeep = "1d"\n')
        await service.reload()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["keys"] for event in events if "keys" in event] == ["journal.keep, relay.port"]
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_a_reload_that_cannot_listen_leaves_the_rules_as_they_were(site: Site) -> None:
    service = await site.started()
    stores = service._server.house.stores
    before = stores._rules
    taken = site.addresses["mx"].rpartition(":")[2]
    more = f'[listen.b]\nendpoint="tcp:{taken}:interface=127.0.0.1"\nrole="mx"\n'
    site.write(CONFIG.format(size='"2M"') + more)
    with pytest.raises(CannotListenError):
        await service.reload()
    assert stores._rules is before
    assert b"SIZE 1048576\r\n" in await talk(site.addresses["mx"])
    site.write(CONFIG.format(size='"2M"'))
    await service.reload()
    assert stores._rules is not before
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_a_second_server_is_kept_off_the_same_files(
    site: Site, stopped_instead: Callable[[MailService], Deferred[None]]
) -> None:
    first = await site.started()
    second = MailService(site.load, Machine(reactor))
    stopping = stopped_instead(second)
    second.privilegedStartService()
    second.startService()
    await stopping
    assert second.exit_status == 75
    assert b"250 HELP" in await talk(site.addresses["mx"])
    await second.stopService()
    await first.stopService()


@pytest.fixture
def stopped_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[MailService], Deferred[None]]:
    """Fires when the service asks the reactor to stop, which is not done."""

    def watch(service: MailService) -> Deferred[None]:
        stopping: Deferred[None] = Deferred()
        monkeypatch.setattr(service, "_end", lambda: stopping.callback(None))
        return stopping

    return watch
