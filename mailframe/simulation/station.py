"""A station: one mailframe server in the world, started again whenever it dies.

The real wiring (``MailServer``) on a simulated machine. Its base begins as a copy of a
template: databases migrated, domain, users and aliases there.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.python.failure import Failure

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.schema import MIGRATIONS as DIRECTORY_SCHEMA
from mailframe.app.config import Config, config_of
from mailframe.app.server import MailServer
from mailframe.queue import admin
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.queue.schema import Lease
from mailframe.runtime.database import Database
from mailframe.simulation.people import ALIASES, accounts
from mailframe.simulation.plan import StationPlan
from mailframe.simulation.record import Record
from mailframe.testing.disk import SimDisk
from mailframe.testing.machine import SimMachine
from mailframe.testing.network import SimNetwork

BASE = "/srv/mail"
SPOOL = f"{BASE}/queue/spool.db"
NAME_SERVER = "10.9.0.53"
_AGAIN = 5.0  # seconds until a supervisor starts a server anew that could not start


@dataclass(frozen=True, slots=True)
class Doubt:
    """A recipient whose attempt was under way when its server died."""

    queue_id: str
    address: str


class Station:
    def __init__(
        self, plan: StationPlan, network: SimNetwork, record: Record, others: dict[str, str]
    ) -> None:
        """``others``: the addresses of the stations by name."""
        self.plan = plan
        self.doubts: set[Doubt] = set()
        self.starts = 0
        self.is_wanted = True
        self.is_serving = False
        self._network = network
        self._record = record
        self.config = configuration(plan, others)
        self.machine = SimMachine(network, plan.name, plan.ip, template(plan.domain).snapshot())
        self.server: MailServer | None = None
        self._is_waiting = False

    def start(self) -> None:
        self.starts += 1
        self.is_serving = False
        self.machine.start(self._start).addErrback(self._cannot_start)

    async def _start(self) -> None:
        self.server = MailServer(self.config, self.machine)
        await self.server.bind()
        await self.server.start()
        self.is_serving = True
        self._record.note(self.plan.name, f"serves, start {self.starts}")

    def _cannot_start(self, failure: Failure) -> None:
        self._record.note(
            self.plan.name, f"cannot start: {type(failure.value).__name__}: {failure.value}"
        )
        self._record.count("failed starts")
        self.machine.kill()
        self.come_back(_AGAIN)

    def look(self) -> None:
        """Whether the power went between two operations of the disk."""
        if not self.machine.is_running and not self._is_waiting:
            self._record.note(self.plan.name, "has no power")
            self.come_back(_AGAIN)

    def die(self, how: str, seconds: float) -> None:
        """``kill`` or ``power``; it is started again after so long."""
        if not self.machine.is_running:
            return
        self._record.note(self.plan.name, f"dies: {how}")
        self._record.count("crashes")
        if how == "kill":
            self.machine.kill()
        else:
            self.machine.cut_power()
        self.come_back(seconds)

    def come_back(self, seconds: float) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self.is_serving = False
            self._network.schedule(seconds, None, "", self._come_back)

    def _come_back(self) -> None:
        self._is_waiting = False
        self._note_doubts()
        offset = self.machine.host.reactor.offset
        self.machine = self.machine.restart()
        self.machine.set_clock(offset)
        self.start()

    def _note_doubts(self) -> None:
        query = "SELECT queue_id, address FROM recipient WHERE lease != ?"
        for queue_id, address in self.rows(query, (Lease.FREE,)):
            self.doubts.add(Doubt(queue_id, address))

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """What the queue's tables say now, asked of a copy."""
        disk = self.machine.disk.snapshot()
        disk.faults.clear()
        if not disk.exists(SPOOL):
            return []
        connection = disk.connect(SPOOL, timeout=1.0)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def withdraw(self, queue_ids: Sequence[str]) -> None:
        """As ``mailframe queue rm`` does it, beside the running server."""
        self.machine.after(0.0, self._withdraw, tuple(queue_ids))

    def _withdraw(self, queue_ids: tuple[str, ...]) -> None:
        database = Database(SPOOL, QUEUE_SCHEMA, None, disk=self.machine.disk)
        try:
            database.open()
            selection = admin.Selection(ids=queue_ids)
            found = {
                (message.queue_id, recipient.address)
                for message in admin.messages(database, selection)
                for recipient in message.recipients
            }
            admin.remove(database, selection)
        except (OSError, sqlite3.Error) as error:
            self._record.note(self.plan.name, f"nothing was removed: {error}")
            return
        finally:
            database.close()
        self._record.withdrawn |= found
        for queue_id, address in sorted(found):
            self._record.note(self.plan.name, f"{queue_id} for {address} is removed")

    def queued(self) -> int:
        return int(self.rows("SELECT COUNT(*) FROM recipient")[0][0])


def configuration(plan: StationPlan, others: dict[str, str]) -> Config:
    """As a file with these settings would give it."""
    logins = ":".join(f"{account}:secret" for account in accounts(plan.domain))
    roles = {"mx": 25, "submission": 587, "pop3": 110, "imap": 143, "lmtp": 24}
    routes = {}
    if plan.lmtp_to:
        domain = {"mx-a": "a.test", "mx-b": "b.test", "mx-c": "c.test"}[plan.lmtp_to]
        routes[domain] = f"lmtp://{others[plan.lmtp_to]}:24?tls=off"
    data: dict[str, Any] = {
        "hostname": f"{plan.name}.{plan.domain}",
        "base": BASE,
        "listen": {
            role: {"endpoint": f"tcp:{port}:interface={plan.ip}", "role": role}
            for role, port in roles.items()
        },
        "auth": {"allow_plaintext": True, "checkers": [f"memory:{logins}"]},
        "directory": {"quota": plan.quota, "quota_messages": plan.quota_messages},
        "dns": {"servers": [f"{NAME_SERVER}:53"], "timeouts": ["2s", "4s"]},
        "relay": {
            "smarthost": f"smtp://{others[plan.hub]}:25?tls=off" if plan.hub else "",
            "networks": [f"{ip}/32" for ip in others.values()],
        },
        "routes": routes,
        "queue": {
            "retry": [f"{seconds}s" for seconds in plan.retry],
            "expire": f"{plan.expire}s",
            "warn_after": f"{plan.warn_after}s",
        },
        "limits": {"connections_per_ip": 200, "errors_per_session": 50},
        "policy": _policy(plan),
    }
    _merge(data, plan.settings or {})
    return config_of(data, "/")


def _merge(into: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _policy(plan: StationPlan) -> dict[str, Any]:
    if not plan.policies:
        return {"order": ["relay"]}
    greylist = {"enabled": bool(plan.greylist), "delay": f"{max(1, plan.greylist)}s"}
    return {"greylist": greylist, "rate": {"limits": ["500 messages per address in 1h"]}}


@functools.cache
def template(domain: str) -> SimDisk:
    """A disk on which a server of that domain has been started and stopped once. Everything in
    it is durable."""
    network = SimNetwork(f"template {domain}")
    machine = SimMachine(network, "template", "10.0.0.9", SimDisk())
    tokens = itertools.count(1)
    database = Database(f"{BASE}/directory.db", DIRECTORY_SCHEMA, None, disk=machine.disk)
    machine.disk.make_directories(BASE)
    database.open()
    admin = DirectoryAdmin(
        database, machine.reactor.seconds, lambda n: next(tokens).to_bytes(n, "big")
    )
    admin.add_domain(domain)
    for account in accounts(domain):
        admin.add_user(account, None)
    for alias, targets in ALIASES.items():
        if alias.endswith(f"@{domain}"):
            admin.add_alias(alias, targets)
    database.close()
    plan = StationPlan("template", domain, "10.0.0.9")
    server = MailServer(configuration(plan, {}), machine)

    async def start() -> None:
        await server.bind()
        await server.start()

    machine.start(start)
    network.run(5.0)
    machine.start(server.stop)
    network.run(60.0)
    disk = machine.disk.snapshot()
    network.close()
    return disk
