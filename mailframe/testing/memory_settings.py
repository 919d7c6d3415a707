"""The configuration of a server in memory, and its disk as it is before the first message."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.schema import MIGRATIONS
from mailframe.app.config import Config, config_of
from mailframe.app.server import MailServer
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database
from mailframe.testing.disk import SimDisk
from mailframe.testing.machine import SimMachine
from mailframe.testing.network import EPOCH
from mailframe.testing.surroundings import Surroundings

BASE = "/srv/mail"
HOSTNAME = "mail.test"
IP = "10.0.0.1"
PORTS = {"mx": 25, "submission": 587, "lmtp": 24, "pop3": 110, "imap": 143}
_LONG = 60.0  # seconds, for a server that starts and stops


def settings() -> dict[str, Any]:
    """What a server in memory has where a test says nothing else: all listeners on plain text,
    the policies of a fresh configuration, and no limit that a test would meet by chance."""
    return {
        "hostname": HOSTNAME,
        "base": BASE,
        "listen": {
            role: {"endpoint": f"tcp:{port}:interface={IP}", "role": role}
            for role, port in PORTS.items()
        },
        "auth": {"allow_plaintext": True},
        "dns": {"servers": ["203.0.113.53:53"]},
        "limits": {
            "connections_per_ip": 0,
            "messages_per_hour_per_user": 0,
            "tarpit": "0s",
        },
    }


def merged(over: Mapping[str, Any], under: dict[str, Any]) -> dict[str, Any]:
    """``over``'s settings win; sections are taken apart."""
    found = dict(under)
    for key, value in over.items():
        inner = found.get(key)
        if isinstance(value, Mapping) and isinstance(inner, dict):
            found[key] = merged(value, inner)
        else:
            found[key] = value
    return found


def configuration(over: Mapping[str, Any], apps: Iterable[str] = ()) -> Config:
    """``over``: settings as in the file, instead of those of ``settings()``. Raises ConfigError."""
    data = merged(over, settings())
    if names := list(apps):
        data["apps"] = [*data.get("apps", ()), *names]
    return config_of(data, "/", code="plugins" in data)


def fresh_disk(users: Mapping[str, str]) -> SimDisk:
    """On which a server has run once; ``users``: address -> password, in its directory."""
    return _template(tuple(users.items())).snapshot()


@functools.cache
def _template(users: tuple[tuple[str, str], ...]) -> SimDisk:
    if users:
        disk = _template(()).snapshot()
        _add_users(disk, users)
        return disk
    around = Surroundings()
    machine = SimMachine(around.network, HOSTNAME, IP, SimDisk())
    machine.resolver = around.dns
    server = MailServer(configuration({}), machine)

    async def start_and_stop() -> None:
        await server.bind()
        await server.start()
        await server.stop()

    ended = machine.start(start_and_stop)
    around.network.run(_LONG)
    fired(ended)
    disk = machine.disk.snapshot()
    around.close()
    return disk


def _add_users(disk: SimDisk, users: Iterable[tuple[str, str]]) -> None:
    database = Database(f"{BASE}/directory.db", MIGRATIONS, None, disk=disk)
    database.open()
    tokens = itertools.count(1)
    admin = DirectoryAdmin(database, lambda: EPOCH, lambda size: next(tokens).to_bytes(size, "big"))
    for domain in dict.fromkeys(address.rpartition("@")[2] for address, _ in users):
        admin.add_domain(domain)
    for address, password in users:
        admin.add_user(address, password)
    database.close()
