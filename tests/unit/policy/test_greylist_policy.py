from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Symbol, Tag
from mailframe.errors import TransientFailure
from mailframe.interfaces import IMessagePolicy, IRecipientPolicy
from mailframe.policy.greylist import GreylistPolicy, Times, _key
from mailframe.policy.greylist_store import GreylistStore, Triplet
from mailframe.policy.relay import RelayPermission
from mailframe.policy.schema import MIGRATIONS
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database

DAY = 86_400.0


class Place:
    def __init__(self, directory: Path, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1e9)
        self.database = Database(str(directory / "policy.db"), MIGRATIONS, None, durable=False)
        self.options = options
        self.restart()

    def restart(self, **store: Any) -> None:
        self.database.close()
        self.database.open()
        options = {"times": Times()} | self.options
        self.store = GreylistStore(self.database, self.clock, **store)
        self.policy = GreylistPolicy(
            self.store,
            strangers=Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/24"]),
            clock=self.clock,
            **options,
        )

    def rcpt(
        self,
        sender: str | None = "x@sender.example",
        to: str = "ann@example.org",
        ip: str = "192.0.2.1",
        **facts: Any,
    ) -> str:
        """``yes``, or the refusal."""
        session = Session("S1", Role.MX, "mx", ip, **facts)
        envelope = Envelope(Address.parse(sender) if sender else None)
        recipient = Recipient(Address.parse(to))
        asked = self.policy.recipient(session, envelope, recipient, Local(to))
        return self.outcome(as_deferred(asked))

    def data(self, sender: str | None, *to: str) -> str:
        session = Session("S1", Role.MX, "mx", "192.0.2.1")
        recipients = tuple(Recipient(Address.parse(each)) for each in to)
        envelope = Envelope(Address.parse(sender) if sender else None, recipients)
        asked = self.policy.message(session, envelope, None)  # type: ignore[arg-type]
        return self.outcome(as_deferred(asked))

    @staticmethod
    def outcome(asked: Deferred[Any]) -> str:
        try:
            verdict = fired(asked)
        except TransientFailure as failure:
            return str(failure.reply)
        assert verdict is None or isinstance(verdict, Tag)
        return "yes"

    def rows(self, table: str = "greylist") -> int:
        query = f"SELECT count(*) FROM {table}"
        number: int = fired(self.database.read(lambda c: c.execute(query).fetchone()))[0]
        return number


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.database.close()


def refused(seconds: int) -> str:
    return f"450 4.7.1 Greylisted, please come again in {seconds} seconds"


def test_it_provides_its_interfaces(place: Place) -> None:
    verifyObject(IRecipientPolicy, place.policy)
    verifyObject(IMessagePolicy, place.policy)


def test_who_comes_back_in_time_gets_in_and_stays_known(place: Place) -> None:
    assert place.rcpt() == refused(300)
    place.clock.advance(100.5)
    assert place.rcpt() == refused(200)
    place.clock.advance(199)
    assert place.rcpt() == "450 4.7.1 Greylisted, please come again in 1 second"
    place.clock.advance(0.5)
    assert place.rcpt() == "yes"
    for _ in range(40):
        place.clock.advance(30 * DAY)
        assert place.rcpt() == "yes"
    place.clock.advance(37 * DAY)
    assert place.rcpt() == refused(300)


def test_who_comes_back_too_late_begins_again(place: Place) -> None:
    assert place.rcpt() == refused(300)
    place.clock.advance(2 * DAY + 1)
    assert place.rcpt() == refused(300)
    place.clock.advance(300)
    assert place.rcpt() == "yes"


def test_a_triplet_is_network_sender_and_recipient(place: Place) -> None:
    place.rcpt()
    place.clock.advance(300)
    assert place.rcpt("other@sender.example") == refused(300)
    assert place.rcpt(to="bob@example.org") == refused(300)
    assert place.rcpt(ip="192.0.3.1") == refused(300)
    assert place.rcpt("X@Sender.Example", "Ann@EXAMPLE.org", "192.0.2.77") == "yes"
    assert place.rcpt(ip="::ffff:192.0.2.78") == "yes"
    assert place.rcpt(ip="2001:db8::1") == refused(300)
    place.clock.advance(300)
    assert place.rcpt(ip="2001:db8::2") == "yes"
    assert place.rcpt(ip="2001:db8:0:1::2") == refused(300)


def test_it_survives_a_restart(place: Place) -> None:
    place.rcpt()
    place.clock.advance(200)
    place.restart()
    assert place.rcpt() == refused(100)
    place.clock.advance(100)
    assert place.rcpt() == "yes"
    place.restart()
    assert place.rcpt() == "yes"


def test_a_network_that_came_back_often_is_let_through(place: Place) -> None:
    for number in range(5):
        place.rcpt(f"x{number}@sender.example")
    place.clock.advance(300)
    assert place.rcpt("new@sender.example") == refused(300)
    for number in range(5):
        assert place.rcpt(f"x{number}@sender.example") == "yes"
        assert place.rcpt(f"x{number}@sender.example") == "yes", "counts once"
    assert place.rcpt("newer@sender.example") == "yes"
    assert place.rcpt("newer@sender.example", ip="192.0.3.1") == refused(300)
    place.restart()
    assert place.rcpt("newest@sender.example") == "yes"
    place.clock.advance(37 * DAY)
    assert place.rcpt("late@sender.example") == refused(300)


def test_auto_allow_can_be_off(tmp_path: Path) -> None:
    place = Place(tmp_path, auto_allow=0)
    for number in range(9):
        place.rcpt(f"x{number}@sender.example")
    place.clock.advance(300)
    for number in range(9):
        assert place.rcpt(f"x{number}@sender.example") == "yes"
    assert place.rcpt() == refused(300)
    place.database.close()


@pytest.mark.parametrize(
    "facts",
    [
        {"to": "postmaster@example.org"},
        {"ip": "198.51.100.1"},
        {"ip": "203.0.113.1"},
        {"ip": ""},
        {"account": "ann@example.org"},
        {"found": Findings(symbols=(Symbol("DNSWL:good.example", -2.0),))},
    ],
)
def test_exempted(place: Place, facts: dict[str, Any]) -> None:
    assert place.rcpt(**facts) == "yes"
    assert place.rows() == 0


def test_a_block_list_is_no_exemption(place: Place) -> None:
    found = Findings(symbols=(Symbol("DNSBL:bad.example", 2.0),))
    assert place.rcpt(found=found) == refused(300)


def test_the_null_sender_is_judged_at_the_end_of_the_data(place: Place) -> None:
    assert place.rcpt(None) == "yes", "somebody may ask whether the address exists"
    assert place.data(None, "ann@example.org", "bob@example.org") == refused(300)
    assert place.data("x@sender.example", "ann@example.org") == "yes"
    place.clock.advance(300)
    assert place.data(None, "ann@example.org", "new@example.org") == refused(300)
    assert place.data(None, "ann@example.org", "bob@example.org") == "yes"


def test_memory_is_bounded_and_what_left_it_is_read_again(place: Place) -> None:
    place.restart(in_memory=10)
    for number in range(200):
        place.rcpt(f"x{number}@sender.example")
    assert len(place.store._triplets) == 10
    place.clock.advance(300)
    assert place.rcpt("x0@sender.example") == "yes"


def test_two_sessions_at_once_make_one_triplet(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rcpt()
    place.clock.advance(250)
    place.restart()
    reads: list[Deferred[Any]] = []
    real = place.database.read

    def slow(job: Any) -> Deferred[Any]:
        reads.append(Deferred().addCallback(lambda _, row: row, fired(real(job))))
        return reads[-1]

    monkeypatch.setattr(place.database, "read", slow)
    store, key = place.store, _key("192.0.2.0/24", "x@sender.example", "ann@example.org")
    found = [as_deferred(store.find(key, place.clock.seconds())) for _ in range(2)]
    reads[0].callback(None)
    first = fired(found[0])
    assert first is not None
    store.keep(key, Triplet(first.network, first.first, place.clock.seconds(), first.last))
    reads[1].callback(None)
    second = fired(found[1])
    assert second is not None
    assert second.passed is not None, "what the first session wrote is newer than the row"


def test_the_table_is_bounded(place: Place) -> None:
    place.restart(most=50)
    for number in range(100):
        place.rcpt(f"x{number}@sender.example")
        place.clock.advance(1)
    place.clock.advance(300)
    assert place.rcpt("x0@sender.example") == "yes"
    assert fired(place.store.purge()) == 50
    assert place.rows() == 50
    place.restart()
    # proved ones stay, of the others the latest
    assert place.rcpt("x0@sender.example") == "yes"
    assert place.rcpt("x99@sender.example") == "yes"
    assert place.rcpt("x1@sender.example") == refused(300)


def test_what_is_too_old_is_purged(place: Place) -> None:
    place.rcpt("a@sender.example")
    place.rcpt("b@sender.example")
    place.clock.advance(300)
    place.rcpt("a@sender.example")
    place.clock.advance(2 * DAY)
    fired(place.store.purge())
    assert (place.rows(), place.rows("greylist_clients")) == (1, 1)
    place.clock.advance(36 * DAY)
    fired(place.store.purge())
    assert (place.rows(), place.rows("greylist_clients")) == (0, 0)


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_database_that_fails_lets_mail_through(
    place: Place, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    broken = lambda job: fail(sqlite3.OperationalError("disk I/O error"))
    with monkeypatch.context() as patched:
        patched.setattr(place.database, side, broken)
        place.rcpt()  # a write that fails is known only afterwards
        assert place.rcpt("y@sender.example") == "yes"
        assert place.rcpt("z@sender.example") == "yes"
        place.clock.advance(59)
        assert place.rcpt("z@sender.example") == "yes"
        place.clock.advance(2)
        assert fired(place.store.purge()) == 0
    assert place.rcpt("z@sender.example") == refused(300)


def test_a_prefix_that_is_none_is_an_error(place: Place) -> None:
    with pytest.raises(ValueError, match="no network has a prefix"):
        GreylistPolicy(
            place.store,
            strangers=Strangers(RelayPermission([])),
            clock=place.clock,
            ipv4_prefix=33,
        )
