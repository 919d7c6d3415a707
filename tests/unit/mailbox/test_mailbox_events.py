from __future__ import annotations

from twisted.logger import globalLogPublisher

from mailframe.core.events import MailboxEvent, MessagesRemoved
from mailframe.mailbox.events import MailboxEvents

EVENT = MessagesRemoved("ann@example.org", "", ("1",))


def test_everybody_hears_until_they_unsubscribe() -> None:
    events, heard = MailboxEvents(), list[MailboxEvent]()
    first = events.subscribe(heard.append)
    events.subscribe(heard.append)
    events.publish(EVENT)
    assert heard == [EVENT, EVENT]
    first()
    first()
    events.publish(EVENT)
    assert len(heard) == 3


def test_a_listener_that_raises_is_logged_and_the_others_hear() -> None:
    events, heard, logged = MailboxEvents(), list[MailboxEvent](), []

    def broken(event: MailboxEvent) -> None:
        raise RuntimeError("planned")

    events.subscribe(broken)
    events.subscribe(heard.append)
    globalLogPublisher.addObserver(logged.append)
    try:
        events.publish(EVENT)
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert heard == [EVENT]
    assert "planned" in str(logged[0]["log_failure"])


def test_a_listener_may_unsubscribe_another_while_it_is_told() -> None:
    events, heard = MailboxEvents(), list[MailboxEvent]()
    events.subscribe(lambda event: second())
    second = events.subscribe(heard.append)
    events.publish(EVENT)
    assert heard == []
