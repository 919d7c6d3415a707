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
        self._listeners: dict[object, Listener] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        # Keyed by the subscription, so that a listener that subscribed twice hears twice
        # and each unsubscribe takes back its own.
        subscription = object()
        self._listeners[subscription] = listener

        def unsubscribe() -> None:
            self._listeners.pop(subscription, None)

        return unsubscribe

    def publish(self, event: MailboxEvent) -> None:
        for subscription, listener in list(self._listeners.items()):
            if subscription not in self._listeners:
                continue  # an earlier listener took this one away
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - one listener's bug is not the others'
                self.log.failure("a mailbox listener failed on {event}", event=event)
