"""The filter itself: judges, learns, forgets, rolls back; ``IFilter`` for the rest of the house.

An account is judged by what it taught itself, and, as far as its domain shares (``scopes``), by
what its domain and the site were taught: the less of its own there is, the more the others
count (``model.combined``). To learn is to write to the log; the models follow by themselves
(``models``). Every method may be called while others run, and in several processes at once.

A file that cannot be read leaves ``judge`` with the models in memory, or without an opinion;
one that cannot be written: TransientFailure, and nothing is learnt.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import Evidence, IFilter, IWorkers, Opinion
from mailframe.runtime.aio import result_of
from mailframe.runtime.database import Database
from mailframe.spam import training_log
from mailframe.spam.features import MOST, Features, named_features
from mailframe.spam.lessons import Lesson, as_sent, digest_of, lesson_of
from mailframe.spam.model import combined, probability_of, trust
from mailframe.spam.models import Kept, Models
from mailframe.spam.scopes import asked, domain_of, scopes_of
from mailframe.spam.training_log import Counts, LogChanged, Training

T = TypeVar("T")
Share = Callable[[str], str | Awaitable[str]]
"""A domain -> ``user``, ``domain`` or ``site``."""

NO_OPINION = Opinion(0.5, "", 0, 0)
_CANNOT_KEEP = Reply(451, status.SYSTEM_OTHER, "The filter cannot learn now, try again later")
_READ_LATELY = 8
_QUIET = 60.0  # seconds between two complaints about a file that cannot be read
_LONGEST_TOKEN = 80


@dataclass(frozen=True, slots=True)
class _Read:
    """A message as the models see it: for several recipients it is read once."""

    features: Features
    names: Mapping[int, str]


@implementer(IFilter)
class LearningFilter:
    log = Logger()

    def __init__(
        self,
        database: Database,
        workers: IWorkers,
        clock: IReactorTime,
        *,
        share: Share,
        hostname: str = "",
        max_trainings: int = 20_000,
        memory: int = 96 << 20,
    ) -> None:
        """``database`` has the tables of ``spam.schema``, opened by its owner. ``hostname``: by
        which our own Received fields are known. ``max_trainings`` are kept of one scope, 0: any
        number; older ones go into its base. ``memory``: octets that models may take."""
        self._database = database
        self._workers = workers
        self._clock = clock
        self._share = share
        self._hostname = hostname
        self._most = max_trainings
        self._models = Models(database, workers, clock, memory=memory)
        self._complained = float("-inf")
        self._read: OrderedDict[bytes, _Read] = OrderedDict()

    async def scopes(self, account: str) -> tuple[str, ...]:
        """Whose training counts for the account, its own first."""
        domain = domain_of(account)
        share = await result_of(self._share(domain)) if domain else "user"
        return scopes_of(account, share)

    # ---- judging

    async def judge(self, message: bytes, account: str, evidence: int = 0) -> Opinion:
        """Never fails but by cancellation: what cannot be asked has no opinion."""
        try:
            scopes = await self.scopes(account)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - a directory that is busy keeps no mail
            self._complain("whom {about} shares with is not known", account)
            scopes = scopes_of(account, "user")
        try:
            return await self.judge_by(message, asked(scopes), evidence)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - nor does a filter that is in trouble itself
            self._complain("the spam training of {about} cannot be read", account)
        try:
            return await self._judge_with(self._models.held(asked(scopes)), message, evidence)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the same trouble again; it is logged
            return NO_OPINION

    async def stop(self) -> None:
        """Before its workers and its database."""
        await self._models.stop()

    async def judge_by(self, message: bytes, scopes: Sequence[str], evidence: int = 0) -> Opinion:
        """By the training of these, the first before the others."""
        return await self._judge_with(await self._models.current(scopes), message, evidence)

    async def _judge_with(self, kept: Mapping[str, Kept], message: bytes, evidence: int) -> Opinion:
        if not kept:
            return NO_OPINION
        opinion: Opinion = await self._workers.run(self._opinion, message, kept, evidence)
        return opinion

    def _opinion(self, message: bytes, kept: Mapping[str, Kept], evidence: int) -> Opinion:
        """On a worker."""
        read = self._features(message)
        judgements = {name: each.judge(read.features) for name, each in kept.items()}
        log_odds = combined(judgements.values())
        shares: dict[str, float] = {}
        left = 1.0
        for name, judgement in judgements.items():
            shares[name] = left * trust(judgement)
            left -= shares[name]
        decisive = max(shares, key=lambda name: shares[name])
        if not shares[decisive]:
            return NO_OPINION
        return Opinion(
            probability_of(log_odds),
            decisive,
            judgements[decisive].hams,
            judgements[decisive].spams,
            tuple(_evidence(read, kept, shares, evidence)) if evidence else (),
        )

    def _features(self, message: bytes) -> _Read:
        key = hashlib.blake2b(message, digest_size=16).digest()
        # dicts are safe between threads; to read a message twice would be no harm
        read = self._read.get(key)
        if read is None:
            names = named_features(as_sent(message, self._hostname))
            read = _Read(Features(tuple(sorted(islice(names, MOST)))), names)
            self._read[key] = read
            while len(self._read) > _READ_LATELY:
                try:
                    self._read.popitem(last=False)
                except KeyError:
                    break  # another thread was quicker
        return read

    def _complain(self, what: str, about: str) -> None:
        """Log the failure under way, but not for every message."""
        now = self._clock.seconds()
        if now - self._complained >= _QUIET:
            self._complained = now
            self.log.failure(what, about=about)

    # ---- learning

    async def learn(self, message: bytes, account: str, is_spam: bool, source: str) -> bool:
        scopes = await self.scopes(account)
        lesson = await self._workers.run(lesson_of, message, is_spam, self._hostname)
        return any(await self.teach([lesson], scopes, source=source, taught_by=account))

    async def teach(
        self, lessons: Sequence[Lesson], scopes: Sequence[str], *, source: str, taught_by: str
    ) -> list[bool]:
        """All or none of them, in one commit; whether each was news to one of the scopes."""
        job = partial(
            training_log.teach,
            scopes=scopes,
            lessons=lessons,
            source=source,
            taught_by=taught_by,
            now=self._clock.seconds(),
        )
        news = await self._write(job)
        if any(news):
            for scope in scopes:
                await self._shorten(scope)
        return news

    async def forget(self, message: bytes, account: str) -> bool:
        return await self.forget_in(message, await self.scopes(account), account, only_own=True)

    async def forget_in(
        self, message: bytes, scopes: Sequence[str], by: str, *, only_own: bool = False
    ) -> bool:
        """``only_own``: of what is shared, only what ``by`` taught. False where nothing was."""
        digest = await self._workers.run(digest_of, message)
        job = partial(
            training_log.forget,
            scopes=scopes,
            digest=digest,
            source="forget",
            taught_by=by,
            now=self._clock.seconds(),
            only_own=only_own,
        )
        return await self._write(job)

    async def roll_back(self, scope: str, since: float) -> int:
        """Everything that the scope was taught since then never was; returns how many
        trainings that is. Raises TooFarBack where the log does not reach back so far."""
        job = partial(training_log.roll_back, name=scope, since=since)
        return await self._write(job)

    async def drop(self, scope: str) -> bool:
        """All that it was taught, for good."""
        return await self._write(partial(training_log.drop, name=scope))

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._database.write(job)
        except (sqlite3.Error, OSError) as error:
            detail = f"{self._database.path} cannot be written: {error}"
            raise TransientFailure(_CANNOT_KEEP, detail) from error

    # ---- looking

    async def counts(self, scope: str = "") -> list[Counts]:
        """Of one scope, or of all."""
        return await self._database.read(partial(training_log.counts, name=scope))

    async def trainings(self, scope: str = "", limit: int = 100) -> list[Training]:
        """The latest first."""
        job = partial(training_log.trainings, name=scope, limit=limit)
        return await self._database.read(job)

    async def label(self, message: bytes, scope: str) -> bool | None:
        """What the scope learnt it as: True is spam; None: it did not."""
        digest = await self._workers.run(digest_of, message)
        job = partial(training_log.label_of, name=scope, digest=digest)
        return await self._database.read(job)

    async def digest(self, scope: str) -> str:
        """The same for the same training; empty where there is none."""
        kept = (await self._models.current([scope])).get(scope)
        if kept is None:
            return ""
        digest: str = await self._workers.run(kept.digest)
        return digest

    async def save(self, scopes: Sequence[str]) -> None:
        """Make the next start quick, after much was taught. Never fails for want of room."""
        for scope in scopes:
            await self._models.save(scope)

    # ---- keeping the log short

    async def _shorten(self, scope: str) -> None:
        """Where there is more than the log may hold, the oldest eighth goes into the base. What
        was learnt before is learnt, whether or not this succeeds."""
        if not self._most:
            return
        try:
            await self._shorten_if_long(scope)
        except (sqlite3.Error, OSError, TransientFailure):
            self.log.failure("the spam training of {scope} is longer than it may be", scope=scope)

    async def _shorten_if_long(self, scope: str) -> None:
        states = await self._database.read(partial(training_log.states, names=[scope]))
        if scope not in states or states[scope].rows <= self._most:
            return
        lock = self._models.lock(scope)
        await lock.acquire()
        try:
            await self._fold(scope)
        except LogChanged:
            return  # the next lesson tries again
        finally:
            lock.release()

    async def _fold(self, scope: str) -> None:
        find = partial(training_log.fold_point, name=scope, keep=self._most - self._most // 8)
        upto, state = await self._database.read(find)
        if not upto or state.rows <= self._most:
            return
        base = await self._models.upto(state.version, scope, upto)
        _, model = await self._workers.run(base.dump)
        fold = partial(training_log.fold, state=state, upto=upto, model=model, counts=base.learnt)
        await self._database.write(fold)
        self.log.info(
            "spam training of {scope}: up to {upto} it is in the base now", scope=scope, upto=upto
        )


def _evidence(
    read: _Read, kept: Mapping[str, Kept], shares: Mapping[str, float], most: int
) -> list[Evidence]:
    """The weightiest features of all models together, each by its model's share."""
    sums: dict[int, tuple[float, int, int]] = {}
    # what is weighty in the sum may stand further down in each of several
    deep = most if len(kept) == 1 else 4 * most
    for name, each in kept.items():
        for weight in each.weights(read.features, deep):
            sum_, ham, spam = sums.get(weight.hash, (0.0, 0, 0))
            sum_ += shares[name] * weight.weight
            sums[weight.hash] = (sum_, ham or weight.ham, spam or weight.spam)
    ranked = sorted(sums.items(), key=lambda item: (-abs(item[1][0]), item[0]))
    return [
        Evidence(read.names.get(hash_, "?")[:_LONGEST_TOKEN], *values)
        for hash_, values in ranked[:most]
        if values[0]
    ]
