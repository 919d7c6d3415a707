"""The promises of the way of a message, held against what can be seen after a start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailframe.testing.crash import Fact, Moment
from tests.crash.letters import Letter
from tests.crash.rooms import ACCOUNTS, Taken
from tests.crash.seeing import View


@dataclass(frozen=True, slots=True)
class Accepted:
    """250 for a message; ``addresses`` are those it goes to in the end, aliases followed."""

    letter: Letter
    addresses: tuple[str, ...]
    refused: tuple[str, ...] = ()
    """Of them, those that their hosts refuse for good."""
    sender: str | None = None
    """Who is told of that; None: nobody."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A user has deleted his copy, and was told so."""

    name: str
    account: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A program had its time and did not take it: the administrator sees a dead letter."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The administrator has it tried again."""

    name: str
    address: str


def broken_mail_promises(view: View, moment: Moment) -> Iterator[str]:
    yield from view.wrong
    yield from (f"litter stays: {name}" for name in view.litter)
    yield from _partial(view, moment)
    told = set(moment.told)
    count = _Count(view, moment)
    for fact in moment.begun:
        if isinstance(fact, Accepted):
            yield from _one_message(fact, fact in told, count)
    yield from _alive_again(view, moment)
    names = {fact.letter.name for fact in moment.begun if isinstance(fact, Accepted)}
    seen = [sight.name for _, sight in view.queued] + [sight.name for _, _, sight in view.mail]
    for name in seen:
        if name and name.removeprefix("dsn ") not in names:
            yield f"{name} was never sent"


class _Count:
    def __init__(self, view: View, moment: Moment) -> None:
        self.queued = Counter((address, sight.name) for address, sight in view.queued)
        self.kept = Counter((account, sight.name) for account, _, sight in view.mail)
        self.taken = _taken(moment.begun)
        self.lives = [_taken(life) for life in moment.lives]
        self.going = {(f.account, f.name) for f in moment.begun if isinstance(f, Removed)}
        self.gone = {(f.account, f.name) for f in moment.told if isinstance(f, Removed)}


def _taken(facts: Iterable[Fact]) -> Counter[tuple[str, str]]:
    return Counter((f.address, f.sight.name) for f in facts if isinstance(f, Taken))


def _partial(view: View, moment: Moment) -> Iterator[str]:
    for address, sight in view.queued:
        if not sight.is_whole:
            yield f"the queue has a part of {sight.name or 'something'} for {address}"
    for account, folder, sight in view.mail:
        if not sight.is_whole:
            yield f"{account} sees a part of {sight.name or 'something'} in {folder or 'INBOX'}"
    for fact in moment.begun:
        if isinstance(fact, Taken) and not fact.sight.is_whole:
            yield f"{fact.address} got a part of {fact.sight.name or 'something'}"


def _alive_again(view: View, moment: Moment) -> Iterator[str]:
    for fact in moment.told:
        if not isinstance(fact, GivenUp) or Replayed(fact.name, fact.address) in moment.begun:
            continue
        if (fact.address, fact.name) not in view.dead:
            yield f"{fact.name} for {fact.address} was a dead letter, and is none"
        if (fact.address, fact.name) in _taken(moment.begun):
            yield f"{fact.name} was a dead letter, and {fact.address} got it"


def _one_message(fact: Accepted, is_told: bool, count: _Count) -> Iterator[str]:
    name = fact.letter.name
    places = {}
    for address in fact.addresses:
        key = (address, name)
        if address in ACCOUNTS:
            places[address] = _local(key, count)
            if places[address] > 1:
                yield f"{address} has {name} {places[address]} times"
            if key in count.gone and count.kept[key]:
                yield f"{address} deleted {name}, and it is back"
        else:
            places[address] = count.queued[key] + count.taken[key]
            if count.queued[key] > 1 or any(life[key] > 1 for life in count.lives):
                yield f"{address} gets {name} more than once"
            if address in fact.refused:
                places[address] += _reports(fact, count)
    missing = [address for address, places_ in places.items() if not places_]
    if is_told and missing:
        yield f"{name} was accepted, and is nowhere for {', '.join(missing)}"
    if not is_told and missing and len(missing) < len(places):
        yield f"{name} is there for some and not for {', '.join(missing)}"
    if _reports(fact, count) > len(fact.refused):
        yield f"{fact.sender} is told of {name} {_reports(fact, count)} times"


def _local(key: tuple[str, str], count: _Count) -> int:
    """Copies, where one that its owner removes counts as there or not, as it is."""
    copies = count.queued[key] + count.kept[key]
    return copies or int(key in count.going)


def _reports(fact: Accepted, count: _Count) -> int:
    if fact.sender is None:
        return int(bool(fact.refused))  # nobody can be told: that is how it ends
    key = (fact.sender, f"dsn {fact.letter.name}")
    return count.queued[key] + count.kept[key] + count.taken[key]
