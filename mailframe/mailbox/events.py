"""Who listens to mailboxes: a list of callables, told one after the other.

In-process only and without memory: who subscribes late has missed what was before, and a
delivery by another program is heard of by looking at the Maildir.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.events import MailboxEvent
from mailframe.interfaces import IMailboxEvents

Listener = Callable[[MailboxEvent], None]


@implementer(IMailboxEvents)
class MailboxEvents:
    """One per server; everything in it happens on the reactor thread."""

    log = Logger()

    def __init__(self) -> None:
        # By account, "" for all: an event must not cost a call for everybody who is there.
        self._listeners: dict[str, dict[object, Listener]] = {}

    def subscribe(self, listener: Listener, account: str = "") -> Callable[[], None]:
        # Keyed by the subscription, so that a listener that subscribed twice hears twice
        # and each unsubscribe takes back its own.
        subscription = object()
        self._listeners.setdefault(account, {})[subscription] = listener

        def unsubscribe() -> None:
            listeners = self._listeners.get(account, {})
            listeners.pop(subscription, None)
            if not listeners:
                self._listeners.pop(account, None)

        return unsubscribe

    def publish(self, event: MailboxEvent) -> None:
        for account in dict.fromkeys(("", event.account)):
            for subscription, listener in list(self._listeners.get(account, {}).items()):
                if subscription not in self._listeners.get(account, {}):
                    continue  # an earlier listener took this one away
                try:
                    listener(event)
                except Exception:  # noqa: BLE001 - one listener's bug is not the others'
                    self.log.failure("a mailbox listener failed on {event}", event=event)
