"""The record: what everybody in the world was told, for the oracle to judge afterwards.

``note`` also writes the story: who, when, what, about which letter. Its digest is part of the
event hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from mailframe.simulation.letters import Letter


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 250 after the content, as its client heard it."""

    letter: Letter
    station: str
    queue_id: str
    recipients: tuple[str, ...]
    reply: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A 5yz, as its client heard it."""

    letter: Letter
    recipient: str
    reply: str
    station: str
    what: str


@dataclass(slots=True)
class Handed:
    """A message that a stranger's server has taken."""

    host: str
    at: float
    number: int
    ids: tuple[str, ...]
    recipients: tuple[str, ...]
    content: bytes
    reverse_path: str
    confirmed: bool = False
    """Its 250 arrived: the client went on."""
    incarnation: tuple[str, int] = ("", 0)
    """Of the client: the station, and how often it had been started."""


@dataclass(slots=True)
class Asked:
    """A RCPT that a stranger's server has put off."""

    host: str
    at: float
    letter: int
    recipient: str
    client: tuple[str, int]
    is_confirmed: bool = False
    """The client went on, so it has heard of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story."""

    at: float
    who: str
    text: str
    letter: int = 0


@dataclass(slots=True)
class Record:
    """``now`` gives seconds since the beginning."""

    now: Callable[[], float]
    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    """Queue id and address of recipients that an operator has removed."""
    wrong: list[str] = field(default_factory=list)
    """What an actor saw that may never be, in words: it stands in the verdict as it is."""
    steps: list[Step] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    listeners: list[Callable[[Accepted], None]] = field(default_factory=list)
    """Told of each acknowledgement, when its client hears it."""

    def note(self, who: str, text: str, letter: int = 0) -> None:
        self.steps.append(Step(self.now(), who, text, letter))

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def acknowledge(self, accepted: Accepted) -> None:
        self.accepted.append(accepted)
        whom = ", ".join(accepted.recipients)
        self.note(
            accepted.letter.desk,
            f"250 from {accepted.station}: {accepted.queue_id} for {whom}",
            accepted.letter.number,
        )
        for listener in self.listeners:
            listener(accepted)

    def violation(self, who: str, text: str, letter: int = 0) -> None:
        """Something that may never be."""
        self.note(who, f"WRONG: {text}", letter)
        self.wrong.append(text)

    def digest(self) -> str:
        whole = sha256()
        for step in self.steps:
            whole.update(f"{step.at!r} {step.who} {step.text} {step.letter}\n".encode())
        return whole.hexdigest()
