"""What was accepted, and whether it has arrived: so that a test can look at once.

Between the 250 of SMTP and the mailbox lies the queue, some milliseconds. Whoever asks the API
after the 250 is to see the message, as with servers that have no queue: ``settled`` waits until
everything that was accepted before lies in its mailboxes. It waits ``PATIENCE`` seconds at most;
what has not arrived by then (a full disk) is waited for no more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core.envelope import Envelope
from mailframe.core.events import MailboxEvent, MessageArrived
from mailframe.core.session import Session
from mailframe.interfaces import IAcceptedPolicy, IContent, IMailboxEvents, IMessagePolicy

PATIENCE = 5.0
_REMEMBERED = 10_000
_KEY = "mailframe.dev"

T = TypeVar("T")


@implementer(IMessagePolicy, IAcceptedPolicy)
class Arrivals:
    """A policy that only listens. ``stop`` ends its subscription."""

    name = "dev-arrivals"

    def __init__(self, events: IMailboxEvents, clock: IReactorTime) -> None:
        self._clock = clock
        self.stop = events.subscribe(self._heard)
        self._expected: dict[str, set[str]] = {}
        """Accounts that are still to get it, by queue id."""
        self._early: OrderedDict[str, set[str]] = OrderedDict()
        """Accounts that have it already: deliveries may be quicker than ``accepted``."""
        self._usernames: OrderedDict[str, str] = OrderedDict()
        self._waiting: list[tuple[set[str], Deferred[None]]] = []

    # -- the policy

    def message(self, session: Session, envelope: Envelope, content: IContent) -> None:
        session.extra[_KEY] = content.queue_id

    def accepted(self, session: Session, envelope: Envelope) -> None:
        queue_id = session.extra.pop(_KEY, None)
        if not isinstance(queue_id, str):
            return
        if session.account:
            _remember(self._usernames, queue_id, session.account)
        mailboxes = [each.mailbox for each in envelope.recipients]
        # What a program takes (``Local.courier``) lies in no mailbox.
        self.expect(queue_id, {each.account for each in mailboxes if each and not each.courier})

    def expect(self, queue_id: str, accounts: set[str]) -> None:
        """The message was accepted for these."""
        left = accounts - self._early.pop(queue_id, set())
        if left:
            self._expected[queue_id] = left

    # -- asking

    def username(self, queue_id: str) -> str:
        return self._usernames.get(queue_id, "")

    async def settled(self) -> None:
        if not self._expected:
            return
        wanted = set(self._expected)
        waiting: Deferred[None] = Deferred()
        entry = (wanted, waiting)
        self._waiting.append(entry)
        timer = self._clock.callLater(PATIENCE, self._give_up, entry)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()
            if entry in self._waiting:
                self._waiting.remove(entry)

    def _give_up(self, entry: tuple[set[str], Deferred[None]]) -> None:
        for queue_id in list(entry[0]):
            self._expected.pop(queue_id, None)
            self._has_arrived(queue_id)

    # -- hearing

    def _heard(self, event: MailboxEvent) -> None:
        if not isinstance(event, MessageArrived) or not event.message_id:
            return
        left = self._expected.get(event.message_id)
        if left is None:
            early = self._early.get(event.message_id, set())
            _remember(self._early, event.message_id, early | {event.account})
            return
        left.discard(event.account)
        if not left:
            del self._expected[event.message_id]
            self._has_arrived(event.message_id)

    def _has_arrived(self, queue_id: str) -> None:
        for entry in list(self._waiting):
            entry[0].discard(queue_id)
            if not entry[0] and not entry[1].called:
                self._waiting.remove(entry)
                entry[1].callback(None)


def _remember(memory: OrderedDict[str, T], key: str, value: T) -> None:
    memory[key] = value
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
