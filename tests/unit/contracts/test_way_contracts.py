"""Our couriers, spool and mail store keep the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.envelope import Envelope
from mailframe.delivery import LocalCourier, PipeCourier
from mailframe.queue import admin as queue_admin
from mailframe.runtime.workers import InlineWorkers
from mailframe.testing.contracts import CourierContract, MailStoreContract, SpoolContract
from tests.unit.delivery.delivery_world import World as Network
from tests.unit.delivery.test_pipe_courier import Process, Reactor
from tests.unit.mailbox.house import House, done, fetch
from tests.unit.queue.world import World, read_all


class TestMaildirStore(MailStoreContract):
    account = "ann@example.org"
    folder = "Junk"

    @pytest.fixture(autouse=True)
    def _house(self, tmp_path: Path) -> None:
        self.house = House(tmp_path, exists=lambda account: account == self.account)

    def make(self) -> Any:
        return self.house.store

    def kept(self, store: Any, folder: str = "") -> list[bytes]:
        return self.house.contents(folder)


class TestLocalCourier(CourierContract):
    mailboxes = True
    next_hop = "ann@example.org"
    recipients = ("ann@example.org", "ann+x@example.org", "ann+y@example.org")

    @pytest.fixture(autouse=True)
    def _house(self, tmp_path: Path) -> None:
        self.number = 0
        self.tmp_path = tmp_path

    def make(self) -> Any:
        self.number += 1
        self.house = House(self.tmp_path / str(self.number))
        return LocalCourier(self.house.store, workers=InlineWorkers())

    def delivered(self, courier: Any) -> list[bytes]:
        mailbox = self.house.inbox()
        return [fetch(mailbox, info.uid) for info in done(mailbox.messages())]


class TestMxCourier(CourierContract):
    next_hop = "dest.example"
    recipients = ("a@dest.example", "b@dest.example", "c@dest.example")

    def make(self) -> Any:
        self.network = Network()
        self.made = self.network.serve(keywords=("PIPELINING", "SIZE", "8BITMIME"))
        return self.network.mx

    def turn(self) -> bool:
        self.network.net.advance(0.01)
        return True

    def give_up_on(self, value: Any) -> object:
        """This network's connections cannot be given up before they are there."""
        for _ in range(5):
            self.turn()
        return super().give_up_on(value)

    def delivered(self, courier: Any) -> list[bytes]:
        return [message for server in self.made for message in server.messages]


class TestPipeCourier(CourierContract):
    next_hop = "pipe:/usr/bin/filter"

    def make(self) -> Any:
        self.reactor = Programs()
        return PipeCourier(self.reactor, timeout=60, max_output=100, can_run=lambda path: True)

    def turn(self) -> bool:
        self.reactor.advance(0.01)
        return self.reactor.end_those_that_are_done()

    def delivered(self, courier: Any) -> list[bytes]:
        # with the line ends of Unix
        return [process.stdin.replace(b"\n", b"\r\n") for process in self.reactor.processes]


class Programs(Reactor):
    """That end well once they have read everything, or were killed."""

    processes: list[Process]

    def end_those_that_are_done(self) -> bool:
        for process in self.processes:
            if not process.dead and process.producer is not None:
                process.producer.resumeProducing()
            if not process.dead and process.signals:
                process.end(signal=15)
            elif not process.dead and process.closed:
                process.end()
        return True


class TestSpool(SpoolContract):
    @pytest.fixture(autouse=True)
    def _base(self, tmp_path: Path) -> None:
        self.base = tmp_path

    def make(self) -> Any:
        self.world = World(self.base).start()
        self.at_end(self.world.database.close)
        return self.world.spool

    def kept(self, spool: Any) -> dict[str, tuple[bytes, Envelope]]:
        found = {}
        for (queue_id,) in self._rows():
            message = queue_admin.stored_message(self.world.database, queue_id)
            details = queue_admin.details(self.world.database, queue_id)
            assert message is not None
            assert details is not None
            recipients = tuple(row.recipient for row in details.rows)
            stored = spool.stored(message, recipients)
            found[queue_id] = self.wait(read_all(stored)), stored.envelope
        return found

    def _rows(self) -> Sequence[tuple[str]]:
        return done(
            self.world.database.read(
                lambda connection: connection.execute("SELECT queue_id FROM message").fetchall()
            )
        )
