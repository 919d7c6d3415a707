"""What the hooks of one version of all applications have said in a session, and have still to see.

It lies in ``Session.extra``, and ends with the session. ``Bookkeeping`` forgets what is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailframe.core.authentication import Authentication
from mailframe.core.session import Session
from mailframe.hooks.app import App
from mailframe.hooks.mail import Message
from mailframe.hooks.verdicts import Discard, Redirect
from mailframe.interfaces import IContent

_KEY = "mailframe.hooks"


@dataclass(slots=True)
class Wish:
    """What was said before the message was there, and is carried out when it is."""

    hook: str
    decision: Discard | Redirect
    recipient: str = ""
    """``Address.key`` of the one that it is about, as the peer named it; empty: all."""

    @property
    def reason(self) -> str:
        return self.decision.reason


@dataclass(slots=True)
class Layer:
    """What holds for as long as a session, a greeting, or a transaction."""

    silent: set[App] = field(default_factory=set)
    """Applications that have nothing more to say."""
    wishes: list[Wish] = field(default_factory=list)


@dataclass(slots=True)
class Judging:
    """What the hooks of one version of all applications know of a session."""

    session: Layer = field(default_factory=Layer)
    greeting: Layer = field(default_factory=Layer)
    transaction: Layer = field(default_factory=Layer)
    recipient: str = ""
    """``Address.key`` of the one that was asked about last."""
    silent_about: set[App] = field(default_factory=set)
    """Applications that have nothing more to say about it."""
    content: IContent | None = None
    raw: bytes = b""
    reserved: int = 0
    message: Message | None = None
    made_of: tuple[Authentication, bytes] | None = None

    def is_silent(self, app: App) -> bool:
        layers = (self.session, self.greeting, self.transaction)
        return any(app in layer.silent for layer in layers)

    def is_silent_about(self, app: App, recipient: str) -> bool:
        if self.recipient != recipient:
            self.recipient, self.silent_about = recipient, set()
        return app in self.silent_about

    @property
    def wishes(self) -> list[Wish]:
        return self.session.wishes + self.greeting.wishes + self.transaction.wishes


def judging(session: Session) -> Judging:
    found = session.extra.get(_KEY)
    if not isinstance(found, Judging):
        found = session.extra[_KEY] = Judging()
    return found
