"""Who listens to mailboxes: a list of callables, told one after the other.

Without memory: who subscribes late has missed what was before, and a delivery by another
program is heard of by looking at the Maildir. What happens in another worker of this server is
heard of like what happens here; workers tell each other for which accounts somebody listens, so
that an event that nobody waits for elsewhere costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.events import (
    MailboxEvent,
    MessageArrived,
    MessagesCopied,
    MessagesMoved,
    MessagesRemoved,
)
from mailframe.interfaces import IMailboxEvents, IPeers
from mailframe.runtime.peers import Alone

Listener = Callable[[MailboxEvent], None]
Subscriptions = dict[str, dict[object, Listener]]
"""By account, "" for all: an event must not cost a call for everybody who is there. Keyed by the
subscription, so that a listener that subscribed twice hears twice and each unsubscribe takes back
its own."""

_LISTENED_TO = "mailbox listeners"
_EVENT = "mailbox event"


@implementer(IMailboxEvents)
class MailboxEvents:
    """One per worker; everything in it happens on the reactor thread."""

    log = Logger()

    def __init__(self, peers: IPeers | None = None) -> None:
        self._listeners: Subscriptions = {}
        self._here: Subscriptions = {}
        """Of those who hear only what happens in this process."""
        self._elsewhere: dict[str, set[str]] = {}
        """Which accounts other workers listen to."""
        self._peers: IPeers = peers or Alone()
        self._peers.hear(_LISTENED_TO, self._others_listen)
        self._peers.welcome(_LISTENED_TO, self._listened_to)
        self._peers.hear(_EVENT, self._happened_elsewhere)
        self._peers.lost(self._one_less)

    def subscribe(
        self, listener: Listener, account: str = "", *, here: bool = False
    ) -> Callable[[], None]:
        all_listeners = self._here if here else self._listeners
        subscription = object()
        listeners = all_listeners.setdefault(account, {})
        listeners[subscription] = listener
        if len(listeners) == 1 and not here:
            self._peers.tell(_LISTENED_TO, [account, True])

        def unsubscribe() -> None:
            listeners = all_listeners.get(account, {})
            there = listeners.pop(subscription, None)
            if there is not None and not listeners:
                del all_listeners[account]
                if not here:
                    self._peers.tell(_LISTENED_TO, [account, False])

        return unsubscribe

    def publish(self, event: MailboxEvent) -> None:
        self._tell(self._here, event)
        self._tell(self._listeners, event)
        if self._elsewhere and (event.account in self._elsewhere or "" in self._elsewhere):
            self._peers.tell(_EVENT, note_of(event))

    def _tell(self, listeners: Subscriptions, event: MailboxEvent) -> None:
        for account in ("", event.account) if event.account else ("",):
            if account not in listeners:
                continue
            for subscription, listener in list(listeners[account].items()):
                if subscription not in listeners.get(account, {}):
                    continue  # an earlier listener took this one away
                try:
                    listener(event)
                except Exception:  # noqa: BLE001 - one listener's bug is not the others'
                    self.log.failure("a mailbox listener failed on {event}", event=event)

    # ---- other workers

    def _listened_to(self) -> Iterable[list[Any]]:
        return [[account, True] for account in self._listeners]

    def _others_listen(self, note: list[Any], worker: str) -> None:
        account, somebody = note
        workers = self._elsewhere.setdefault(account, set())
        if somebody:
            workers.add(worker)
        else:
            workers.discard(worker)
        if not workers:
            del self._elsewhere[account]

    def _one_less(self, worker: str) -> None:
        for account in list(self._elsewhere):
            self._others_listen([account, False], worker)

    def _happened_elsewhere(self, note: list[Any], worker: str) -> None:
        self._tell(self._listeners, event_of(note))


def note_of(event: MailboxEvent) -> list[Any]:
    """As JSON."""
    fields = asdict(event)
    for name in _SETS & fields.keys():
        fields[name] = sorted(fields[name])
    return [type(event).__name__, fields]


def event_of(note: list[Any]) -> MailboxEvent:
    """Raises KeyError and TypeError for what is none."""
    kind, fields = note
    fields = dict(fields)
    for name in _SETS & fields.keys():
        fields[name] = frozenset(fields[name])
    if "uids" in fields:
        fields["uids"] = tuple(fields["uids"])
    return _KINDS[kind](**fields)


_SETS = frozenset({"source_use", "target_use"})
_KINDS: Mapping[str, Callable[..., MailboxEvent]] = {
    kind.__name__: kind for kind in (MessageArrived, MessagesRemoved, MessagesMoved, MessagesCopied)
}
