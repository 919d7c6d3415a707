"""The journal: every message's story, step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from zope.interface import Attribute, Interface

STEPS = (
    "connect",
    "tls",
    "login",
    "fetch",
    "check",
    "refuse",
    "accept",
    "alias",
    "attempt",
    "deliver",
    "defer",
    "fail",
    "dead",
    "bounce",
    "remove",
    "learn",
    "freeze",
    "release",
    "report",
    "admin",
    "disconnect",
)
"""What can happen, and what is told of it in ``detail``.

``connect``     a session began: peer, listener
``tls``         it is encrypted now: version, cipher
``login``       ok or failed: account, mechanism
``fetch``       a POP3 or IMAP session ended: how many messages were retrieved, removed
``check``       what a policy found out about a message: its name, and the finding
``refuse``      something was refused: stage, reply, the rule that decided
``accept``      250, after the commit: envelope, size, message_id, reply
``alias``       a recipient became others
``attempt``     an attempt ended: courier, next hop, remote, tls, reply of each recipient
``deliver``     a recipient is done: delivered, relayed
``defer``       not yet: reply, next try
``fail``        never: reply
``dead``        no more by itself, but kept for the administrator: reply, courier
``bounce``      a report to the sender was made: its id, of what kind
``remove``      the message left the queue
``learn``       the filter was taught: ham or spam, by whom
``freeze``      an account may not send: why
``release``     it may again
``report``      a report was received, or sent: of what kind, about whom
``admin``       somebody held, released, removed ... it
``disconnect``  a session ended: why
"""


class IJournal(Interface):
    """Takes the steps; ``mailframe trace`` tells them."""

    def record(
        id: str,
        step: str,
        result: str = "",
        *,
        session: str = "",
        **detail: str | int | float | bool | list[str] | None,
    ) -> None:
        """Note a step of the message or session called ``id``. ``step`` is one of STEPS.

        Never blocks, never raises; what cannot be written is counted and logged. ``session``
        ties a message to the session it came in by. Values are data, never secrets, never
        formatted sentences. Agreed keys: peer, listener, helo, reverse_path, forward_path,
        reply, remote, remote_ip, delay, size, message_id, account, mechanism, rule, reason.
        """


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a message or session, as ``IJournal.record`` was told it."""

    time: float
    """Seconds since the epoch."""
    id: str
    """Of the message or session."""
    step: str
    """One of STEPS."""
    result: str
    """In a word: ``ok``, ``failed`` ...; empty where the step says all."""
    session: str
    """That the message came in by; empty where it is not known."""
    detail: Mapping[str, str | int | float | bool | list[str] | None]
    """By the agreed keys of ``IJournal.record``."""


class IEventSink(Interface):
    """Hears of every step that the journal notes: for a log server, a chart, a web hook."""

    name: str = Attribute("For logs and metrics.")

    def hear(steps: tuple[Step, ...]) -> Awaitable[None] | None:
        """Some steps, oldest first. Called on the reactor's thread and must not block it; not
        called again before it is done. What comes meanwhile waits, and is dropped, counted and
        logged where that becomes too much. What it raises is logged, and these steps are not
        told again. Mail never waits for it.
        """
