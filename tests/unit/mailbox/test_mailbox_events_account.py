"""Who listens to one account hears of no other."""

from __future__ import annotations

from mailframe.core.events import MailboxEvent, MessagesRemoved
from mailframe.mailbox.events import MailboxEvents


def test_of_one_account() -> None:
    events = MailboxEvents()
    everybody: list[MailboxEvent] = []
    ann: list[MailboxEvent] = []
    events.subscribe(everybody.append)
    unsubscribe = events.subscribe(ann.append, "ann@example.org")
    for account in ("ann@example.org", "bob@example.org"):
        events.publish(MessagesRemoved(account, "", ("1",)))
    unsubscribe()
    unsubscribe()
    events.publish(MessagesRemoved("ann@example.org", "", ("2",)))
    assert [event.account for event in ann] == ["ann@example.org"]
    assert len(everybody) == 3
