"""Models in memory, each kept in step with its log, whoever writes to that.

Before a model is used one look at the file says whether the log has grown since (then the new
trainings are learnt) or was changed otherwise, by a rollback or a message learnt the other way
(then it is made again, from the latest snapshot that is still right). So it does not matter
which process taught what, nor where one of them died: the log is the truth, the model and its
snapshots follow.

The models used last are kept, ``memory`` octets of them. Learning and loading run on
``workers``, a few dozen milliseconds at a time. Who asks for a model that is in memory waits for
none of it: it answers as it was until the new one is there, and having been made again it rests
for ten times as long as that took, so that nobody keeps the server busy by changing his mind.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from weakref import WeakValueDictionary

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.runtime.aio import Background
from mailframe.runtime.database import Database
from mailframe.spam import training_log
from mailframe.spam.features import Features
from mailframe.spam.model import Judgement, Model, Weight
from mailframe.spam.training_log import LogChanged, Piece, ScopeState

_BITS_OF_ACCOUNT = 18
_BITS_OF_MANY = 20
"""Rows of a model are two to this many: 3 MB for one user, 12 MB for a domain or the site."""
_PIECE = 100  # trainings learnt in one go: some 30 ms
_SNAPSHOT_EVERY = 300  # trainings, or a tenth of them all: what a start may have to learn again
_TRIES = 5
_REST = 10  # after a model was made again, so many times its duration pass before the next time
_BUSY = Reply(451, status.SYSTEM_OTHER, "Internal error, please try again later")


class Kept:
    """One model, and how far it is. Judging and learning exclude each other."""

    def __init__(self, version: tuple[int, int], model: Model, last: int) -> None:
        self.version = version
        self.last = last
        self.unsaved = 0
        """Messages learnt since the latest snapshot."""
        self.rests_until = float("-inf")
        """Before that time it is not made again."""
        self._model = model
        self._lock = threading.Lock()

    @property
    def octets(self) -> int:
        return self._model.octets

    @property
    def learnt(self) -> tuple[int, int]:
        """Hams and spams."""
        return self._model.hams, self._model.spams

    def judge(self, features: Features) -> Judgement:
        with self._lock:
            return self._model.judge(features)

    def weights(self, features: Features, most: int) -> list[Weight]:
        with self._lock:
            return self._model.weights(features, most)

    def learn(self, piece: Piece) -> int:
        """Returns how many trainings could not be read."""
        lessons = [lesson for packed in piece.lessons if (lesson := _unpacked(*packed))]
        with self._lock:
            for features, is_spam in lessons:
                self._model.learn(features, is_spam)
            self.last = piece.last
            self.unsaved += len(lessons)
        return len(piece.lessons) - len(lessons)

    def dump(self) -> tuple[int, bytes]:
        """How far it is, and the model."""
        with self._lock:
            return self.last, self._model.dump()

    def digest(self) -> str:
        """The same for models that have learnt the same."""
        return hashlib.blake2b(self.dump()[1], digest_size=16).hexdigest()


class Models:
    log = Logger()

    def __init__(
        self,
        database: Database,
        workers: IWorkers,
        clock: IReactorTime,
        *,
        memory: int = 96 << 20,
    ) -> None:
        self._database = database
        self._workers = workers
        self._clock = clock
        self._memory = memory
        self._background = Background()
        self._following: set[str] = set()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._locks: WeakValueDictionary[str, DeferredLock] = WeakValueDictionary()
        self._has_failed = False

    async def current(self, names: Sequence[str]) -> dict[str, Kept]:
        """As the log is now, or was a moment ago; those of scopes that learnt nothing are left
        out. Raises what the database raises."""
        states = await self._database.read(partial(training_log.states, names=names))
        found: dict[str, Kept] = {}
        for name in names:
            state = states.get(name)
            if state is None:
                self._kept.pop(name, None)
                continue
            kept = self._kept.get(name)
            if kept is None or kept.version[0] != state.id:
                kept = await self._catch_up(name)
            elif not _is_current(kept, state):
                self._follow(name, kept, state)
                kept = self._kept.get(name)
            if kept is not None:
                self._keep(name, kept)
                found[name] = kept
        return found

    def lock(self, name: str) -> DeferredLock:
        """Held by whoever brings the scope's model or log into another form."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = DeferredLock()
        return lock

    async def upto(self, version: tuple[int, int], name: str, last: int) -> Kept:
        """The model as it was after the training ``last``; for folding. Raises LogChanged."""
        kept = await self._load(version, name, last)
        await self._learn(kept, last)
        return kept

    async def stop(self) -> None:
        """Give up what is being learnt; the log has it."""
        await self._background.stop()

    def held(self, names: Sequence[str]) -> dict[str, Kept]:
        """What is in memory, however old; for when the log cannot be read."""
        return {name: self._kept[name] for name in names if name in self._kept}

    def _follow(self, name: str, kept: Kept, state: ScopeState) -> None:
        """Catch up in the background, where that is not under way."""
        is_resting = self._clock.seconds() < kept.rests_until
        if name in self._following or (is_resting and kept.version != state.version):
            return
        self._following.add(name)
        self._background.start(self._followed(name), f"spam training of {name}")

    async def _followed(self, name: str) -> None:
        try:
            await self._catch_up(name)
        finally:
            self._following.discard(name)

    async def _catch_up(self, name: str) -> Kept | None:
        lock = self.lock(name)
        await lock.acquire()
        try:
            for _ in range(_TRIES):
                try:
                    return await self._renewed(name)
                except LogChanged:
                    continue
            raise TransientFailure(_BUSY, f"the spam training of {name} changes all the time")
        finally:
            lock.release()

    async def _renewed(self, name: str) -> Kept | None:
        states = await self._database.read(partial(training_log.states, names=[name]))
        state = states.get(name)
        if state is None:
            return None
        kept = self._kept.get(name)
        begun = self._clock.seconds()
        old = kept
        if kept is None or kept.version != state.version or await self._is_far_behind(kept, state):
            kept = await self._load(state.version, name, state.last)
        await self._learn(kept, state.last)
        if kept is not old:
            ended = self._clock.seconds()
            kept.rests_until = ended + _REST * (ended - begun)
        self._keep(name, kept)
        learnt = sum(kept.learnt)
        if kept.unsaved >= max(_SNAPSHOT_EVERY, learnt // 10):
            await self._save(name, kept)
        return kept

    async def _is_far_behind(self, kept: Kept, state: ScopeState) -> bool:
        """Whether to load what another process saved is quicker than to learn."""
        if state.snapshot <= kept.last:
            return False
        count = partial(training_log.count_between, scope=state.id, after=kept.last)
        behind = await self._database.read(partial(count, upto=state.snapshot))
        return behind > _SNAPSHOT_EVERY

    async def _load(self, version: tuple[int, int], name: str, upto: int) -> Kept:
        saved = await self._database.read(
            partial(training_log.snapshots, version=version, upto=upto)
        )
        bits = _BITS_OF_MANY if name.startswith("@") or "@" not in name else _BITS_OF_ACCOUNT
        for last, model, is_base in saved:
            try:
                loaded = await self._workers.run(Model.load, model)
            except ValueError as error:
                what = "base" if is_base else "snapshot"
                self.log.error(
                    "spam training of {name}: the {what} cannot be used: {error}",
                    name=name, what=what, error=error,
                )  # fmt: skip
                continue
            return Kept(version, loaded, last)
        return Kept(version, Model(max_bits=bits), 0)

    async def _learn(self, kept: Kept, upto: int) -> None:
        is_end = kept.last >= upto
        while not is_end:
            after = partial(training_log.piece_after, version=kept.version, after=kept.last)
            piece = await self._database.read(partial(after, upto=upto, most=_PIECE))
            lost: int = await self._workers.run(kept.learn, piece)
            if lost:
                self.log.error("{lost} spam trainings are damaged and left out", lost=lost)
            is_end = piece.is_end

    async def _save(self, name: str, kept: Kept) -> None:
        """A snapshot saves time only, so that to fail is no harm."""
        kept.unsaved = 0
        last, model = await self._workers.run(kept.dump)
        keep = partial(training_log.keep_snapshot, version=kept.version, upto=last, model=model)
        try:
            await self._database.write(keep)
        except LogChanged:
            return
        except Exception:  # noqa: BLE001 - a full disk costs time at the next start, no mail
            if not self._has_failed:
                self.log.failure("no snapshot of the spam training of {name}", name=name)
            self._has_failed = True
            return
        self._has_failed = False

    async def save(self, name: str) -> None:
        """A snapshot of what is not in one yet, however little; for whoever taught much."""
        kept = (await self.current([name])).get(name)
        if kept is not None and kept.unsaved:
            await self._save(name, kept)

    def _keep(self, name: str, kept: Kept) -> None:
        self._kept[name] = kept
        self._kept.move_to_end(name)
        octets = sum(each.octets for each in self._kept.values())
        while octets > self._memory and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            octets -= dropped.octets


def _is_current(kept: Kept, state: ScopeState) -> bool:
    return kept.version == state.version and kept.last == state.last


def _unpacked(packed: bytes, is_spam: bool) -> tuple[Features, bool] | None:
    try:
        return Features.unpack(packed), is_spam
    except ValueError:
        return None
