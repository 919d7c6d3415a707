"""Scenarios: what kind of world is drawn from a seed.

Each is a function from a source of chance to a plan. ``everything`` draws one of the others'
ingredients at large; the small ones are what a failing seed is best understood in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from mailframe.simulation.actors.stranger import HABITS, STAGES, Habit
from mailframe.simulation.letters import FLAVOURS, Letter
from mailframe.simulation.people import LATER, REFUSED, accounts
from mailframe.simulation.plan import (
    Fault,
    Intrusion,
    Plan,
    Reading,
    StationPlan,
    StrangerPlan,
    Withdrawal,
)

_IPS = {"mx-a": "10.0.0.1", "mx-b": "10.0.0.2", "mx-c": "10.0.0.3"}
_DOMAINS = {"mx-a": "a.test", "mx-b": "b.test", "mx-c": "c.test"}
STRANGERS = (
    StrangerPlan("far1", "far.test", "10.2.0.1"),
    StrangerPlan("far2", "far.test", "10.2.0.2"),
)
_SECONDS = 240.0
_SIZES = (0, 50, 200, 200, 1_000, 1_000, 4_000, 20_000)
_LARGE = (70_000, 70_000, 70_000, 300_000)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    random: Random
    stations: list[StationPlan]
    strangers: tuple[StrangerPlan, ...] = ()
    seconds: float = _SECONDS

    def time(self, share: float = 0.9) -> float:
        return round(self.random.uniform(2.0, self.seconds * share), 3)

    def station(self) -> StationPlan:
        return self.random.choice(self.stations)

    def local(self) -> str:
        return self.random.choice(accounts(self.station().domain))

    def recipient(self, letter: int) -> str:
        random = self.random
        domain = self.station().domain
        draw = random.random()
        if self.strangers and draw < 0.3:
            return f"{random.choice(('zoe', 'kim', 'zoe'))}@far.test"
        if self.strangers and draw < 0.36:
            return f"{REFUSED}-{letter}@far.test"
        if self.strangers and draw < 0.42:
            return f"{LATER}-{random.randint(1, 3)}-{letter}@far.test"
        if draw < 0.52:
            alias = {"a.test": "team", "b.test": "crew"}.get(domain)
            if alias is not None:
                return f"{alias}@{domain}"
        if draw < 0.57 and self.strangers and domain == "a.test":
            return "both@a.test"
        return random.choice(accounts(domain))

    def letter(self, number: int, *, recipients: tuple[str, ...] = ()) -> Letter:
        random = self.random
        station = self.station()
        # A report to somebody whose own mailbox is full would be lost by rights.
        has_quota = any(each.quota or each.quota_messages for each in self.stations)
        is_user = not has_quota and (not self.strangers or random.random() < 0.7)
        sender = random.choice(accounts(station.domain)) if is_user else "zoe@far.test"
        many = random.choice((1, 1, 1, 2, 3, 4))
        if not recipients:
            recipients = tuple(dict.fromkeys(self.recipient(number) for _ in range(many)))
        if not is_user:
            # a stranger may only write to those who live here
            recipients = tuple(one for one in recipients if one.endswith(f"@{station.domain}")) or (
                random.choice(accounts(station.domain)),
            )
        flavour = random.choice(FLAVOURS)
        size = random.choice(_SIZES)
        if random.random() < 0.12:
            size, flavour = random.choice(_LARGE), "long"
        return Letter(
            number,
            sender,
            recipients,
            self.time(),
            f"desk-{number}",
            station.name,
            flavour,
            size,
            chunking=random.random() < 0.2,
            pipelining=random.random() < 0.6,
        )

    def letters(self, least: int, most: int) -> tuple[Letter, ...]:
        return tuple(self.letter(n) for n in range(1, self.random.randint(least, most) + 1))

    def habits(self, most: int) -> tuple[Habit, ...]:
        random = self.random
        found = {}
        for _ in range(random.randint(0, most)):
            host, call = random.choice(self.strangers).name, random.randint(0, 8)
            what = random.choice(HABITS)
            stage = _STAGE_OF.get(what) or random.choice(STAGES)
            seconds = round(random.choice((3.0, 30.0, 200.0, 700.0)) * random.uniform(0.5, 1.5), 1)
            found[host, call] = Habit(host, call, stage, what, seconds)
        return tuple(found.values())

    def plan(self, scenario: str, seed: int) -> Plan:
        return Plan(scenario, seed, self.seconds, tuple(self.stations), strangers=self.strangers)


_STAGE_OF = {"twice": "data", "swallow": "end", "drop": "end", "silent close": "end", "late": "end"}


def _draft(random: Random, *names: str, strangers: bool = False) -> _Draft:
    retry = random.choice(((10, 20, 40), (20, 40, 80), (30, 30, 60)))
    stations = [
        StationPlan(
            name,
            _DOMAINS[name],
            _IPS[name],
            retry=retry,
            expire=random.choice((400, 900)),
            warn_after=random.choice((0, 0, 60)),
        )
        for name in names
    ]
    return _Draft(random, stations, STRANGERS if strangers else ())


def _faults(draft: _Draft, kinds: tuple[str, ...], least: int, most: int) -> tuple[Fault, ...]:
    random = draft.random
    names = [each.name for each in draft.stations]
    others = [*names, *(each.name for each in draft.strangers), "names", "*"]
    found = []
    for _ in range(random.randint(least, most)):
        kind, where, at = random.choice(kinds), random.choice(names), draft.time()
        seconds = round(random.uniform(1.0, 40.0), 2)
        other = random.choice([one for one in others if one != where])
        found.append(_fault(random, kind, where, at, seconds, other))
    return tuple(sorted(found, key=lambda fault: fault.at))


def _fault(random: Random, kind: str, where: str, at: float, seconds: float, other: str) -> Fault:
    fault = Fault(at, kind, where)
    match kind:
        case "kill" | "power cut":
            return replace(fault, seconds=seconds)
        case "power cut at operation":
            return replace(fault, number=random.randint(1, 120))
        case "power cut at reply":
            return replace(fault, seconds=seconds, number=random.randint(1, 3))
        case "stop" | "read-only disk":
            return replace(fault, seconds=seconds)
        case "clock":
            return replace(fault, number=random.choice((-86_400, -3600, -5, 5, 60, 3600, 86_400)))
        case "partition" | "reset":
            return replace(fault, other=other, seconds=4 * seconds)
        case "cuts" | "lossy":
            return replace(fault, other=other, seconds=seconds, number=random.choice((5, 20, 60)))
        case "cut after":
            return replace(fault, other=other, number=random.randint(1, 3000))
        case "slow link":
            return replace(fault, other=other, seconds=seconds, number=random.choice((20, 200)))
        case "full disk":
            return replace(fault, seconds=2 * seconds, number=random.choice((0, 20, 200, 65_600)))
        case "eio":
            place = random.choice(("queue", "bodies", "mailbox", "index", "journal", "all"))
            return replace(fault, other=place, number=random.randint(1, 12))
        case "slow disk":
            return replace(fault, number=random.choice((5, 30)))
        case "names":
            mood = random.choice(("silent", "slow", "servfail", "truncates", "forged", "hasty"))
            return replace(fault, other=mood, seconds=3 * seconds)
    raise ValueError(kind)


_CRASHES = ("kill", "power cut", "power cut at operation", "power cut at reply")
_NETWORK = ("partition", "reset", "cuts", "cut after", "lossy", "slow link")
_DISKS = ("full disk", "eio", "slow disk", "read-only disk")
_EVERY = (*_CRASHES, *_CRASHES, *_NETWORK, *_DISKS, "stop", "clock", "names")


def _readings(draft: _Draft, least: int, most: int) -> tuple[Reading, ...]:
    random = draft.random
    people = [(each.name, who) for each in draft.stations for who in accounts(each.domain)]
    chosen = random.sample(people, min(len(people), random.randint(least, most)))
    return tuple(
        Reading(
            random.choice(("pop3", "imap")),
            station,
            account,
            think=round(random.uniform(15.0, 60.0), 1),
            keeps=random.choice((0.0, 0.3, 0.7)),
        )
        for station, account in chosen
    )


def mailbox(random: Random, seed: int) -> Plan:
    """One server, its users, and crashes."""
    draft = _draft(random, "mx-a")
    return replace(
        draft.plan("mailbox", seed),
        letters=draft.letters(3, 8),
        readings=_readings(draft, 1, 2),
        faults=_faults(draft, _CRASHES, 1, 4),
    )


def relay(random: Random, seed: int) -> Plan:
    """One server that sends mail to strangers with bad habits, on a bad network."""
    draft = _draft(random, "mx-a", strangers=True)
    return replace(
        draft.plan("relay", seed),
        letters=draft.letters(3, 8),
        habits=draft.habits(5),
        faults=_faults(draft, (*_NETWORK, *_CRASHES), 0, 3),
    )


def partition(random: Random, seed: int) -> Plan:
    """Two servers that send each other mail; one leaves by the other, or by LMTP."""
    draft = _draft(random, "mx-a", "mx-b", strangers=random.random() < 0.4)
    way = random.choice(("", "hub", "lmtp"))
    if way == "hub":
        draft.stations[0] = replace(draft.stations[0], hub="mx-b")
    elif way == "lmtp":
        draft.stations[0] = replace(draft.stations[0], lmtp_to="mx-b")
    return replace(
        draft.plan("partition", seed),
        letters=draft.letters(3, 7),
        faults=_faults(draft, (*_NETWORK, *_CRASHES), 1, 4),
    )


def full_disk(random: Random, seed: int) -> Plan:
    """One server whose disk fills, fails, tears."""
    draft = _draft(random, "mx-a", strangers=random.random() < 0.5)
    if draft.strangers and random.random() < 0.5:
        quota = random.choice((3_000, 30_000))
        draft.stations[0] = replace(draft.stations[0], quota=quota)
    return replace(
        draft.plan("full-disk", seed),
        letters=draft.letters(3, 8),
        readings=_readings(draft, 0, 2),
        faults=_faults(draft, (*_DISKS, *_DISKS, *_CRASHES), 1, 4),
    )


def quota(random: Random, seed: int) -> Plan:
    """One server with small mailboxes, readers who make room, and a crash at times."""
    draft = _draft(random, "mx-a", strangers=True)
    limit: dict[str, Any] = random.choice(
        ({"quota": 4_000}, {"quota": 40_000}, {"quota_messages": 2})
    )
    draft.stations[0] = replace(draft.stations[0], **limit)
    return replace(
        draft.plan("quota", seed),
        letters=draft.letters(5, 9),
        readings=_readings(draft, 1, 3),
        faults=_faults(draft, _CRASHES, 0, 2),
    )


def hijack(random: Random, seed: int) -> Plan:
    """One server, honest mail, and somebody who wants it to relay his."""
    draft = _draft(random, "mx-a", strangers=True)
    port = random.choice((25, 25, 587))
    return replace(
        draft.plan("hijack", seed),
        letters=draft.letters(1, 3),
        intrusions=(Intrusion("mx-a", draft.time(0.3), port),),
        faults=_faults(draft, (*_NETWORK, "names"), 0, 2),
    )


def policies(random: Random, seed: int) -> Plan:
    """One server with every check switched on, greylisting too; the DNS has moods."""
    draft = _draft(random, "mx-a", strangers=True)
    draft.stations[0] = replace(
        draft.stations[0], policies=True, greylist=random.choice((0, 20, 60))
    )
    return replace(
        draft.plan("policies", seed),
        letters=draft.letters(2, 5),
        faults=_faults(draft, ("names", "names", *_CRASHES), 1, 3),
    )


def operator(random: Random, seed: int) -> Plan:
    """One server, strangers who take their time, and an operator who removes mail meanwhile."""
    draft = _draft(random, "mx-a", strangers=True)
    numbers = range(1, random.randint(2, 4) + 1)
    letters = [
        draft.letter(
            number, recipients=(random.choice((f"{REFUSED}-{number}@far.test", "zoe@far.test")),)
        )
        for number in numbers
    ]
    letters = [replace(letter, sender="ann@a.test") for letter in letters]
    habits = [
        Habit(host.name, call, random.choice(("hello", "mail")), "stall", random.uniform(10, 60))
        for host in draft.strangers
        for call in range(8)
    ]
    withdrawals = [
        Withdrawal(round(letter.at + random.uniform(0.5, 40), 3), letter.number)
        for letter in letters
    ]
    return replace(
        draft.plan("operator", seed),
        letters=tuple(letters),
        habits=tuple(habits),
        withdrawals=tuple(withdrawals),
        faults=_faults(draft, (*_NETWORK, *_CRASHES), 0, 1),
    )


def everything(random: Random, seed: int) -> Plan:
    """Two or three servers and all that can go wrong."""
    names = random.choice((("mx-a", "mx-b"), ("mx-a", "mx-b", "mx-c")))
    draft = _draft(random, *names, strangers=True)
    if random.random() < 0.5:
        draft.stations[0] = replace(draft.stations[0], hub=names[-1])
    if random.random() < 0.3:
        draft.stations[1] = replace(draft.stations[1], quota=30_000)
    if random.random() < 0.3:
        draft.stations[0] = replace(draft.stations[0], policies=True)
    return replace(
        draft.plan("everything", seed),
        letters=draft.letters(5, 14),
        habits=draft.habits(5),
        readings=_readings(draft, 1, 4),
        intrusions=(Intrusion(names[-1], draft.time(0.5), 25),) if random.random() < 0.3 else (),
        faults=_faults(draft, _EVERY, 2, 7),
    )


SCENARIOS: dict[str, Callable[[Random, int], Plan]] = {
    "mailbox": mailbox,
    "relay": relay,
    "partition": partition,
    "full-disk": full_disk,
    "quota": quota,
    "hijack": hijack,
    "policies": policies,
    "operator": operator,
    "everything": everything,
}
_SHARES = (
    ("mailbox",) * 5
    + ("relay",) * 5
    + ("partition",) * 3
    + ("full-disk",) * 3
    + ("quota",) * 2
    + ("hijack", "policies", "operator", "everything")
)


def draw(seed: int, scenario: str = "") -> Plan:
    """The plan of a seed; without a scenario the seed draws one of those too."""
    random = Random(f"plan {seed}")
    name = scenario or random.choice(_SHARES)
    return SCENARIOS[name](Random(f"{name} {seed}"), seed)
