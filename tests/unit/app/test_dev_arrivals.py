"""Whoever asks after the 250 sees the message."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.app.dev_arrivals import PATIENCE, Arrivals
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.events import MessageArrived
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.mailbox.events import MailboxEvents
from mailframe.runtime.aio import as_deferred


class House:
    def __init__(self) -> None:
        self.clock = Clock()
        self.events = MailboxEvents()
        self.arrivals = Arrivals(self.events, self.clock)

    def message(self, queue_id: str, *accounts: str, login: str | None = None) -> Session:
        """It is received, and not committed yet."""
        session = Session("S", Role.MX, "smtp", "127.0.0.1", account=login)
        content: Any = type("Content", (), {"queue_id": queue_id})
        self.arrivals.message(session, Envelope(None), content)
        self.envelope = Envelope(
            None,
            tuple(Recipient(Address.parse(each), mailbox=Local(each)) for each in accounts),
        )
        return session

    def accept(self, queue_id: str, *accounts: str, login: str | None = None) -> None:
        session = self.message(queue_id, *accounts, login=login)
        self.arrivals.accepted(session, self.envelope)

    def arrive(self, queue_id: str, account: str) -> None:
        self.events.publish(MessageArrived(account, "", "uid", queue_id, 1))

    def settled(self) -> list[None]:
        done: list[None] = []
        waiting: Deferred[None] = as_deferred(self.arrivals.settled())
        waiting.addCallback(done.append)
        return done


@pytest.fixture
def house() -> House:
    return House()


def test_nothing_to_wait_for(house: House) -> None:
    assert house.settled() == [None]


def test_until_all_recipients_have_it(house: House) -> None:
    house.accept("Q1", "ann@x.test", "bob@x.test")
    done = house.settled()
    house.arrive("Q1", "ann@x.test")
    house.arrive("Q2", "bob@x.test")
    assert done == []
    house.arrive("Q1", "bob@x.test")
    assert done == [None]
    assert house.settled() == [None]
    assert house.clock.getDelayedCalls() == []


def test_only_for_what_was_accepted_before(house: House) -> None:
    house.accept("Q1", "ann@x.test")
    done = house.settled()
    house.accept("Q2", "ann@x.test")
    house.arrive("Q1", "ann@x.test")
    assert done == [None]
    assert house.settled() == []


def test_a_delivery_quicker_than_the_answer(house: House) -> None:
    session = house.message("Q1", "ann@x.test")
    house.arrive("Q1", "ann@x.test")
    house.arrivals.accepted(session, house.envelope)
    assert house.settled() == [None]


def test_what_is_refused_is_not_expected(house: House) -> None:
    house.message("Q1", "ann@x.test")
    assert house.settled() == [None]


def test_what_a_program_takes_lies_in_no_mailbox(house: House) -> None:
    session = house.message("Q1")
    mailbox = Local("ann@x.test", courier="app")
    recipient = Recipient(Address.parse("ann@x.test"), mailbox=mailbox)
    house.arrivals.accepted(session, Envelope(None, (recipient,)))
    assert house.settled() == [None]


def test_patience_ends_once(house: House) -> None:
    house.accept("Q1", "ann@x.test")
    done = house.settled()
    house.clock.advance(PATIENCE)
    assert done == [None]
    assert house.settled() == [None]
    house.arrive("Q1", "ann@x.test")
    assert house.settled() == [None]


def test_one_that_waits_may_leave(house: House) -> None:
    house.accept("Q1", "ann@x.test")
    waiting: Deferred[None] = as_deferred(house.arrivals.settled())
    waiting.cancel()
    waiting.addErrback(lambda failure: None)
    assert house.clock.getDelayedCalls() == []
    house.arrive("Q1", "ann@x.test")


def test_who_had_logged_in(house: House) -> None:
    house.accept("Q1", "ann@x.test", login="bob@x.test")
    house.accept("Q2", "ann@x.test")
    assert house.arrivals.username("Q1") == "bob@x.test"
    assert house.arrivals.username("Q2") == ""
