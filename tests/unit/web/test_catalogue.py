"""Copies of one message are one message, and what is listed is what is there."""

from __future__ import annotations

import pytest

from mailframe.core.events import MessagesRemoved
from mailframe.web.catalogue import STALE
from tests.unit.web.browser import ANN, EVE, NOW, Browser

SIMPLE = b"Subject: Hello\r\n\r\nHi\r\n"


@pytest.fixture
def browser() -> Browser:
    return Browser()


def ids(browser: Browser) -> list[str]:
    return [each["ID"] for each in browser.list()]


def test_the_id_is_the_one_that_the_sender_was_told(browser: Browser) -> None:
    id = browser.send(SIMPLE, ANN, EVE)
    assert ids(browser) == [id]


def test_what_did_not_come_by_smtp_has_an_id_that_stays(browser: Browser) -> None:
    browser.put(SIMPLE, "1")
    browser.put(SIMPLE, "2", when=NOW + 1)
    known = ids(browser)
    assert len(set(known)) == 2
    again = Browser()
    again.boxes[ANN].mail = browser.boxes[ANN].mail
    assert ids(again) == known


def test_a_message_that_only_says_so_is_another_one(browser: Browser) -> None:
    id = browser.send(SIMPLE)
    (copy,) = (data for data, _ in browser.boxes[ANN].mail.values())
    browser.put(copy, "forged", ANN)
    browser.put(copy + b"more", "longer", EVE)
    browser.clock.advance(STALE)
    assert len(ids(browser)) == 3
    assert len(set(ids(browser))) == 3
    assert browser.get(f"/api/v1/message/{id}/raw").body in (copy, copy + b"more")
    browser.ask("DELETE", "/api/v1/messages")
    assert ids(browser) == []


def test_an_id_of_another_time_makes_no_message_older(browser: Browser) -> None:
    browser.put(b"Received: by x with SMTP id 000000000000; y\r\n\r\n", "old")
    browser.put(b"Received: by x with SMTP id IIIIIIIIIIII; y\r\n\r\n", "none", EVE)
    assert [each["Created"] for each in browser.list()] == ["2027-01-15T08:00:00.000Z"] * 2


def test_other_programs_are_noticed_after_a_while(browser: Browser) -> None:
    browser.send(SIMPLE)
    assert len(ids(browser)) == 1
    browser.put(SIMPLE, "by hand", EVE)
    browser.clock.advance(STALE)
    assert len(ids(browser)) == 2
    browser.boxes[EVE].mail.clear()
    browser.clock.advance(STALE)
    assert len(ids(browser)) == 1
    browser.clock.rightNow -= 3600
    browser.put(SIMPLE, "after the clock was set back", EVE)
    assert len(ids(browser)) == 2


def test_only_what_changed_is_listed_again(browser: Browser) -> None:
    browser.send(SIMPLE, EVE)
    ids(browser)
    listed = browser.boxes[EVE].listed
    browser.send(SIMPLE, ANN)
    assert len(ids(browser)) == 2
    assert browser.boxes[EVE].listed == listed


def test_what_others_remove_is_gone_at_once(browser: Browser) -> None:
    id = browser.send(SIMPLE, ANN, EVE)
    ids(browser)
    browser.boxes[ANN].mail.clear()
    browser.events.publish(MessagesRemoved(ANN, "", (f"{id}.{ANN}",)))
    assert browser.get(f"/api/v1/message/{id}").json["Bcc"] == [{"Name": "", "Address": EVE}]
    browser.boxes.pop(EVE)
    assert ids(browser) == []
    assert browser.get(f"/api/v1/message/{id}").code == 404


def test_a_summary_is_made_once(browser: Browser) -> None:
    browser.send(SIMPLE)
    ids(browser)
    opened = len(browser.boxes[ANN].opened)
    for _ in range(3):
        ids(browser)
        browser.get("/api/v1/search?query=hello")
    assert len(browser.boxes[ANN].opened) == opened


def test_a_mailbox_that_vanishes_hides_no_other(browser: Browser) -> None:
    browser.send(SIMPLE, ANN)
    browser.send(SIMPLE, EVE)

    async def broken() -> tuple[object, ...]:
        raise OSError("no such directory")

    browser.boxes[EVE].messages = broken  # type: ignore[method-assign, assignment]
    assert len(ids(browser)) == 1


def test_what_cannot_be_removed_keeps_nothing_else(browser: Browser) -> None:
    browser.send(SIMPLE, ANN)
    browser.send(SIMPLE, EVE)

    async def broken(uids: object) -> frozenset[str]:
        raise OSError("a disk")

    browser.boxes[ANN].remove = broken  # type: ignore[method-assign, assignment]
    answer = browser.ask("DELETE", "/api/v1/messages")
    assert answer.code == 500
    assert answer.text.startswith("1 could not be removed")
    assert [each["Bcc"][0]["Address"] for each in browser.list()] == [ANN]


def test_order_is_that_of_acceptance_within_a_second(browser: Browser) -> None:
    sent = [browser.send(SIMPLE, (ANN, EVE)[number % 2]) for number in range(6)]
    assert ids(browser) == sent[::-1]
