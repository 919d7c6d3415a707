"""A source whose answers are remembered: bounded, for a time, and longer where it is down.

What was found is kept for ``seconds``; that somebody is not there, or that a password is wrong,
for ``DENIAL_SECONDS`` at most, in a memory of its own, so that made-up names push out nothing but
made-up names. Questions that are asked while the same one is under way wait for its answer.

Where the source cannot be asked, what it said before counts for ``stale_seconds`` more: who was
there is still there, and a password that was right is still right. That somebody is *not* there is
never said from memory of a source that is down.

A right password is remembered as an HMAC under a key of this process, together with the login and,
where the source decides by it, the client's protocol and address.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import alsoProvides, implementer

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IDomainSource, IPasswordSource, ITryableSource
from mailframe.runtime.login_client import login_client
from mailframe.sources.flights import Flights

V = TypeVar("V")

DENIAL_SECONDS = 10.0
_REST_SECONDS = 5.0  # how long an old answer counts before the source is asked again


@dataclass(frozen=True, slots=True)
class Remembering:
    """For how long, and how much of it."""

    seconds: float = 60.0
    entries: int = 10_000
    """Answers to questions of one kind, a long list counting for many; of denials a fifth of
    that."""
    stale_seconds: float = 0.0
    """Beyond ``seconds``, where the source cannot be asked."""


@implementer(IPasswordSource)
class CachedSource:
    """Around any source. ``random`` makes the key of the remembered passwords."""

    log = Logger()

    def __init__(
        self, source: IPasswordSource, clock: IReactorTime, random: Random, times: Remembering
    ) -> None:
        self.name: str = source.name
        self.inner = source
        self._key = random.randbytes(32)
        self._found: Answers[Entry] = Answers(self.name, clock, times)
        self._right: Answers[str] = Answers(self.name, clock, times)
        self._held: Answers[bool] = Answers(self.name, clock, times)
        self._depends_on_client = bool(getattr(source, "depends_on_client", False))
        if IDomainSource.providedBy(source):
            alsoProvides(self, IDomainSource)
        if ITryableSource.providedBy(source):
            alsoProvides(self, ITryableSource)

    @property
    def domains(self) -> Collection[str]:
        domains: Collection[str] = self.inner.domains
        return domains

    @property
    def login_domains(self) -> Collection[str]:
        """Those that logins may be at: more than ``domains``, where the source says so."""
        domains: Collection[str] = getattr(self.inner, "login_domains", self.inner.domains)
        return domains

    async def find(self, address: Address) -> Entry | None:
        async def ask() -> Entry | None:
            entry: Entry | None = await self.inner.find(address)
            return entry

        return await self._found.answer(address, ask)

    async def check(self, login: str, password: bytes) -> str:
        async def ask() -> str | None:
            try:
                account: str = await self.inner.check(login, password)
            except LoginFailed as error:
                self.log.debug("{name}: {why}", name=self.name, why=error.detail)
                return None
            return account

        account = await self._right.answer(self._proof(login, password), ask)
        if account is None:
            raise LoginFailed(f"refused by {self.name}")
        return account

    async def holds(self, domain: str) -> bool:
        """As of ``IDomainSource``, where the source is one."""

        async def ask() -> bool | None:
            return True if await IDomainSource(self.inner).holds(domain) else None

        return bool(await self._held.answer(domain, ask))

    async def try_questions(self) -> Sequence[str]:
        """As of ``ITryableSource``, where the source is one; nothing is remembered of it."""
        wrong: Sequence[str] = await ITryableSource(self.inner).try_questions()
        return wrong

    def close(self) -> None:
        """Give back what it holds open, once no more than sessions under way ask it."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            close()

    def _proof(self, login: str, password: bytes) -> Hashable:
        digest = hmac.digest(self._key, login.encode() + b"\0" + password, "sha256")
        client = login_client() if self._depends_on_client else None
        return login, digest, client


@dataclass(slots=True)
class _Kept(Generic[V]):
    value: V | None
    at: float
    """When the source said so."""
    checked: float
    """When it last said so or could not be asked."""


class _Memory(Generic[V]):
    """What was used longest ago goes first."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._kept: OrderedDict[Hashable, tuple[_Kept[V], int]] = OrderedDict()

    def recalled(self, question: Hashable) -> _Kept[V] | None:
        found = self._kept.get(question)
        if found is None:
            return None
        self._kept.move_to_end(question)
        return found[0]

    def keep(self, question: Hashable, kept: _Kept[V], size: int) -> None:
        self.forget(question)
        self._taken += size
        self._kept[question] = kept, size
        while self._taken > self._places:
            _, (_, size) = self._kept.popitem(last=False)
            self._taken -= size

    def forget(self, question: Hashable) -> None:
        _, size = self._kept.pop(question, (None, 0))
        self._taken -= size


def _size(value: object) -> int:
    """In places of a memory."""
    if not isinstance(value, Entry):
        return 1
    return 1 + (len(value.forward) + len(value.addresses) + len(value.groups)) // 8


class Answers(Generic[V]):
    """To questions of one kind; None is a denial."""

    log = Logger()

    def __init__(self, name: str, clock: IReactorTime, times: Remembering) -> None:
        self._name = name
        self._clock = clock
        self._times = times
        self._kept: _Memory[V] = _Memory(times.entries)
        self._denied: _Memory[V] = _Memory(times.entries // 5)
        self._flights: Flights[V | None] = Flights(f"questions to {name}")

    async def answer(self, question: Hashable, ask: Callable[[], Awaitable[V | None]]) -> V | None:
        known = self._kept.recalled(question)
        if known is not None and self._is_fresh(known):
            return known.value
        denied = self._denied.recalled(question)
        if denied is not None and self._is_fresh(denied):
            return None
        return await self._flights.join(question, partial(self._ask, question, ask))

    def _is_fresh(self, kept: _Kept[V]) -> bool:
        now = self._clock.seconds()
        if kept.value is None:
            return 0 <= now - kept.at < min(DENIAL_SECONDS, self._times.seconds)
        is_old = kept.checked > kept.at
        age, bound = (
            (now - kept.checked, _REST_SECONDS) if is_old else (now - kept.at, self._times.seconds)
        )
        # A clock that was put back makes nothing fresh for longer.
        return 0 <= age < bound

    async def _ask(self, question: Hashable, ask: Callable[[], Awaitable[V | None]]) -> V | None:
        try:
            result = await ask()
        except TransientFailure as error:
            return self._stale(question, error)
        self._keep(question, result)
        return result

    def _keep(self, question: Hashable, value: V | None) -> None:
        now = self._clock.seconds()
        self._kept.forget(question)
        self._denied.forget(question)
        if self._times.seconds:
            memory = self._denied if value is None else self._kept
            memory.keep(question, _Kept(value, now, now), _size(value))

    def _stale(self, question: Hashable, error: TransientFailure) -> V | None:
        """What was said before, where that still counts; else raises the error."""
        known = self._kept.recalled(question)
        now = self._clock.seconds()
        lasts = self._times.seconds + self._times.stale_seconds
        if known is None or not self._times.stale_seconds or not 0 <= now - known.at < lasts:
            raise error
        known.checked = now
        self.log.info(
            "{name} cannot be asked; an answer of {age:.0f} s ago counts: {why}",
            name=self._name,
            age=now - known.at,
            why=error.detail or str(error),
        )
        return known.value
