"""The plan of a world: everything that is drawn from the seed, as data, before anything runs.

A plan is played by ``world`` and can be made smaller: each of its ``pieces`` may be left out
without changing what the others are (only their timing on the shared network). What a failing
seed shows is a plan with nothing left to leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailframe.simulation.actors.stranger import Habit
from mailframe.simulation.letters import Letter


@dataclass(frozen=True, slots=True)
class StationPlan:
    """One mailframe server. ``hub``: the station that its mail for elsewhere leaves by."""

    name: str
    domain: str
    ip: str
    hub: str = ""
    lmtp_to: str = ""
    """A station that mail for its domain is handed to by LMTP."""
    policies: bool = False
    greylist: int = 0
    quota: int = 0
    quota_messages: int = 0
    retry: tuple[int, ...] = (20, 40, 80)
    expire: int = 900
    warn_after: int = 0
    settings: Mapping[str, Any] | None = None
    """More of the configuration, merged into it; for what an extension brings."""


@dataclass(frozen=True, slots=True)
class StrangerPlan:
    """A foreign mail server; the first of a domain has the best preference."""

    name: str
    domain: str
    ip: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody reads ``account`` on ``station``; ``think`` is the mean pause, in seconds."""

    protocol: str
    station: str
    account: str
    think: float
    keeps: float = 0.5

    def __str__(self) -> str:
        return f"{self.account} reads by {self.protocol}, every {self.think:.0f} s or so"


@dataclass(frozen=True, slots=True)
class Intrusion:
    station: str
    at: float
    port: int

    def __str__(self) -> str:
        return f"{self.at:.1f}: an intruder tries {self.station} port {self.port}"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The operator of the station that took it removes a letter from the queue."""

    at: float
    letter: int

    def __str__(self) -> str:
        return f"{self.at:.1f}: the operator removes letter {self.letter} from the queue"


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` is one of ``faults.KINDS``; the rest is as that kind understands it."""

    at: float
    kind: str
    where: str
    other: str = ""
    seconds: float = 0.0
    number: int = 0

    def __str__(self) -> str:
        words = [f"{self.at:.3f}: {self.kind} {self.where}"]
        if self.other:
            words.append(f"and {self.other}")
        if self.seconds:
            words.append(f"for {self.seconds:.1f} s")
        if self.number:
            words.append(f"({self.number})")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds`` is how long things go wrong; then comes the calm."""

    scenario: str
    seed: int
    seconds: float
    stations: tuple[StationPlan, ...]
    strangers: tuple[StrangerPlan, ...] = ()
    letters: tuple[Letter, ...] = ()
    habits: tuple[Habit, ...] = ()
    readings: tuple[Reading, ...] = ()
    intrusions: tuple[Intrusion, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    faults: tuple[Fault, ...] = ()

    def pieces(self) -> tuple[object, ...]:
        """What may be left out, the likeliest to be irrelevant first."""
        return (
            *self.intrusions,
            *self.readings,
            *self.withdrawals,
            *self.habits,
            *self.faults,
            *self.letters,
        )

    def only(self, pieces: Iterable[object]) -> Plan:
        """The plan with nothing but these pieces."""
        kept = list(pieces)
        return replace(
            self,
            letters=tuple(each for each in self.letters if each in kept),
            habits=tuple(each for each in self.habits if each in kept),
            readings=tuple(each for each in self.readings if each in kept),
            intrusions=tuple(each for each in self.intrusions if each in kept),
            withdrawals=tuple(each for each in self.withdrawals if each in kept),
            faults=tuple(each for each in self.faults if each in kept),
        )

    def lines(self) -> list[str]:
        """For people to read."""
        stations = [
            f"station {each.name} ({each.domain})"
            + (f", by way of {each.hub}" if each.hub else "")
            + (f", quota {each.quota or each.quota_messages}" if _has_quota(each) else "")
            + (", with policies" if each.policies else "")
            for each in self.stations
        ]
        letters = [
            f"{each.at:.3f}: letter {each.number} ({each.flavour}, {each.size}) from"
            f" {each.sender} by {each.to} to {', '.join(each.recipients)}"
            for each in self.letters
        ]
        habits = [
            f"{each.host} to caller {each.call}: {each.what} at {each.stage}"
            for each in self.habits
        ]
        rest = [
            str(each)
            for each in (*self.readings, *self.intrusions, *self.withdrawals, *self.faults)
        ]
        return [*stations, *letters, *habits, *rest]


def _has_quota(station: StationPlan) -> bool:
    return bool(station.quota or station.quota_messages)
