"""What a filter said, as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailframe.core.reply import Reply


class Decision(enum.Enum):
    """The end of an answer: what is to become of the client, recipient or message."""

    CONTINUE = "continue"
    ACCEPT = "accept"
    """Nothing more to ask: of the connection, before MAIL; of the message, from then on."""
    REJECT = "reject"
    TEMPFAIL = "tempfail"
    DISCARD = "discard"
    """Say yes and lose it."""
    SKIP = "skip"
    """No more of the body."""
    SHUTDOWN = "shutdown"
    """421, and hang up."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A decision with the filter's own reply, 4yz or 5yz."""

    reply: Reply


Verdict = Decision | Refuse


@dataclass(frozen=True, slots=True)
class AddHeader:
    """Below the others."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """Before the field number ``index``; 0 is the top."""

    index: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """The field of that name, the ``index``-th from the top counted from 1."""

    index: int
    name: str
    value: str | None
    """None: remove it."""


@dataclass(frozen=True, slots=True)
class AddRecipient:
    address: str
    """As written, with or without angle brackets."""
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class DeleteRecipient:
    address: str


@dataclass(frozen=True, slots=True)
class ChangeSender:
    address: str
    """``<>`` for the null reverse-path."""
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceBody:
    """Another piece of the new body."""

    chunk: bytes


@dataclass(frozen=True, slots=True)
class Quarantine:
    reason: str


Modification = (
    AddHeader
    | InsertHeader
    | ChangeHeader
    | AddRecipient
    | DeleteRecipient
    | ChangeSender
    | ReplaceBody
    | Quarantine
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Still at it: give it more time."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The filter agreed to talk."""


Event = Verdict | Modification | Progress | Negotiated
