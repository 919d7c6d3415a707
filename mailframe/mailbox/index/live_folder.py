"""One folder as all sessions of the process share it: what is in it, and who hears of changes.

``messages`` changes only on the reactor thread, in ``apply``, which tells every subscriber
in the same turn. What changes it are jobs of the account's index; their results are applied
in the order of their commits, whether or not their callers still wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.core.events import MailboxEvent, MessagesRemoved
from mailframe.core.folders import (
    DELETED,
    INBOX,
    SEEN,
    FlagChange,
    FolderChange,
    FolderStatus,
    MessageState,
    Recent,
    StoreOutcome,
)
from mailframe.errors import TransientFailure
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.index import expunging, opening, storing
from mailframe.mailbox.index.answers import Answers
from mailframe.mailbox.index.around import Around
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.lane import REBUILT
from mailframe.mailbox.index.missed import Gone, Missed, look_for_missed
from mailframe.mailbox.index.opening import Opened
from mailframe.mailbox.index.place import Delta, FolderPlace
from mailframe.mailbox.index.syncing import forget_stamps, sync
from mailframe.mailbox.index.vanished import gaps, vanished_since
from mailframe.runtime.disk import STORAGE_FULL

T = TypeVar("T")
Result = TypeVar("Result")
Listener = Callable[[FolderChange], None]

_REST = 10  # after a look that was to make sure, so many times its duration pass before the next


class _Elsewhere(Exception):
    """Another folder is under its name."""


class _Sync:
    """One look at the directories, and who waits for it."""

    def __init__(self) -> None:
        self.has_begun = False
        self.waiters: list[Deferred[None]] = []


class LiveFolder:
    """``LiveFolders`` makes it and keeps one a folder. Everything happens on the reactor
    thread unless it says otherwise."""

    log = Logger()

    def __init__(self, index: AccountIndex, place: FolderPlace, around: Around) -> None:
        self.index = index
        self.place = place
        self.around = around
        self.mailbox_id = ""
        self.uid_validity = 0
        self.uid_next = 1
        self.highest_modseq = 1
        self.messages: dict[int, MessageState] = {}
        self.size = 0
        self.is_gone = False
        """It was deleted."""
        self.on_watch: Callable[[bool], None] = lambda watched: None
        """Told when the first subscriber comes and the last one goes."""
        self.on_flags: Callable[[], None] = lambda: None
        """Told when flags were changed, of which there is no event."""
        self.on_rename: Callable[[], None] = lambda: None
        """Told when another process has renamed it."""
        self.recent_from = 1
        self.answers = Answers()
        self._unseen = 0
        self._deleted = 0
        self._generation = -1
        self._is_confirmed = False
        self._listeners: dict[object, Listener] = {}
        self._opening: list[Deferred[None]] | None = None
        self._sync: _Sync | None = None
        self.rested_at = float("-inf")

    @property
    def account(self) -> str:
        return self.place.account

    @property
    def event_folder(self) -> str:
        """As events name it: empty for the INBOX."""
        return "" if self.place.folder == INBOX else self.place.folder

    @property
    def is_open(self) -> bool:
        return self._generation == self.index.generation and not self.is_gone

    @property
    def never_opened(self) -> bool:
        return self._generation < 0

    @property
    def has_subscribers(self) -> bool:
        return bool(self._listeners)

    # ---- opening

    async def open(self) -> None:
        """Load it, once. Raises FolderRefused, TransientFailure."""
        if self.is_open:
            return None
        if self._opening is not None:
            waiter: Deferred[None] = Deferred()
            self._opening.append(waiter)
            return await waiter
        self._opening = []
        outcome: Failure | None = None
        try:
            await self._load()
        except BaseException:
            outcome = Failure()
            raise
        finally:
            waiters, self._opening = self._opening, None
            for waiter in waiters:
                if not waiter.called:
                    waiter.callback(outcome)

    async def _load(self) -> None:
        now = self.around.clock.seconds()

        def job(connection: sqlite3.Connection) -> tuple[Opened, int]:
            truth = opening.open_folder(connection, self.place, now)
            return opening.load(connection, self.place, truth), self.index.generation

        with disk_trouble(f"open {self.place.path}"):
            await self.index.run(
                job,
                lambda result: self._take(*result),
                confirm=lambda result: opening.confirm(self.place, result[0].truth),
            )
        self.read_ahead()

    def _take(self, opened: Opened, generation: int) -> None:
        self._generation = generation
        self.mailbox_id = opened.truth.mailbox_id
        self.uid_validity = opened.truth.uid_validity
        self.uid_next, self.highest_modseq = opened.uid_next, opened.modseq
        self.messages = opened.messages
        self.recent_from = opened.recent_from
        self._unseen, self._deleted, self.size = opened.unseen, opened.deleted, opened.size
        self._is_confirmed = True
        self.index.follow(self)

    # ---- other processes

    def missed(self, connection: sqlite3.Connection) -> Missed | Gone | None:
        """See ``handle.Follower``."""
        if not self.is_open:
            return None
        found = look_for_missed(connection, self.place.id, self.uid_validity, self.highest_modseq)
        if isinstance(found, Gone):
            return found
        if found.name != self.place.folder:
            self.place.move_to(found.name, self.place.path_of(found.name))
            found.is_renamed = True
        if found.states:
            self.place.has_new = True
        return found

    def catch_up(self, missed: Missed | Gone) -> None:
        """See ``handle.Follower``."""
        if isinstance(missed, Gone):
            self.end()
            return
        if missed.is_renamed:
            self.on_rename()
        self.uid_validity = missed.uid_validity
        self.recent_from = max(self.recent_from, missed.recent_from)
        if missed.modseq == self.highest_modseq:
            return
        messages, left = self.messages, missed.left
        self.apply(
            Delta(
                missed.uid_next,
                missed.modseq,
                arrived=[state for state in missed.states if state.uid not in messages],
                changed=[state for state in missed.states if state.uid in messages],
                vanished=[uid for uid in missed.vanished if uid in messages]
                if left is None
                else [uid for uid in messages if uid not in left],
            )
        )

    # ---- changes

    def run(
        self,
        job: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None = None,
        first: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Deferred[T]:
        """A job that may change this folder; see ``AccountIndex.run``. OSError becomes
        TransientFailure."""
        generation = self._generation

        def checked(
            job: Callable[[sqlite3.Connection], Result], connection: sqlite3.Connection
        ) -> Result:
            if generation != self.index.generation:
                raise TransientFailure(REBUILT, f"{self.index.path} was begun anew")
            if not self._is_itself():
                raise _Elsewhere
            return job(connection)

        def failed(failure: Failure) -> T:
            if isinstance(failure.value, _Elsewhere):
                self.end()
                raise opening.no_such_folder()
            # Files may have been touched: look again, whatever is noted.
            self.place.doubt()
            with disk_trouble(self.place.path):
                failure.raiseException()
            raise AssertionError  # it does raise

        self.require()
        done: Deferred[T] = self.index.run(
            partial(checked, job), then, first=None if first is None else partial(checked, first)
        ).addErrback(failed)
        return done

    def require(self) -> None:
        """Raises where the folder is not there any more, or its uids do not count."""
        if self.is_gone:
            raise opening.no_such_folder()
        if not self.is_open:
            raise TransientFailure(REBUILT, f"{self.index.path} was begun anew")

    def apply(self, delta: Delta | None) -> None:
        """What a commit did becomes visible, and everybody hears of it."""
        if delta is None or self.is_gone:
            return
        messages = self.messages
        for state in delta.arrived:
            self._count(state, 1)
            messages[state.uid] = state
        for state in delta.changed:
            before = messages[state.uid]
            if before.flags != state.flags:
                self._count(before, -1)
                self._count(state, 1)
            messages[state.uid] = state
        for uid in delta.vanished:
            self._count(messages.pop(uid), -1)
        self.uid_next = max(self.uid_next, delta.uid_next)
        self.highest_modseq = max(self.highest_modseq, delta.modseq)
        if delta.arrived:
            self.read_ahead()
        self._tell(
            FolderChange(
                [state.uid for state in delta.arrived],
                [state.uid for state in delta.changed],
                delta.vanished,
                self.highest_modseq,
            )
        )

    def read_ahead(self) -> None:
        """Begin to read what nobody has asked for yet."""
        if self.messages:
            reader = self.around.reader
            reader.read_in_background(self.index, self.place.id, self.place.maildir)

    def _count(self, state: MessageState, sign: int) -> None:
        self.size += sign * state.size
        if SEEN not in state.flags:
            self._unseen += sign
        if DELETED in state.flags:
            self._deleted += sign

    def _tell(self, change: FolderChange) -> None:
        for key, listener in list(self._listeners.items()):
            if key not in self._listeners:
                continue
            try:
                listener(change)
            except Exception:  # noqa: BLE001 - one session's bug is not the others'
                self.log.failure("a folder's listener failed")

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        key = object()
        self._listeners[key] = listener
        if len(self._listeners) == 1:
            self.on_watch(True)

        def unsubscribe() -> None:
            if self._listeners.pop(key, None) is not None and not self._listeners:
                self.on_watch(False)

        return unsubscribe

    def publish(self, event: MailboxEvent) -> None:
        """To everybody who listens to mailboxes; this folder knows it already."""
        self.around.events.publish(event)

    def end(self) -> None:
        """The folder was deleted: nothing is in it any more."""
        self.is_gone = True
        uids = sorted(self.messages)
        self.messages.clear()
        self._unseen = self._deleted = self.size = 0
        if uids:
            self._tell(FolderChange(vanished=uids, highest_modseq=self.highest_modseq))

    # ---- other programs

    async def refresh(self) -> None:
        self.require()
        rested = self.around.clock.seconds() >= self.rested_at
        with disk_trouble(f"look at {self.place.path}"):
            changed, behind = await self.around.workers.run(self._looks_changed, rested)
        if changed or behind:
            try:
                # What is committed is caught up with by whatever job there is.
                await (self.sync() if changed else self.run(_nothing))
            except TransientFailure as error:
                if error.reply is not STORAGE_FULL:
                    raise
                # What came meanwhile gets its uid when there is room; what is known is served.
                self.log.warn("{path}: {error}", path=self.place.path, error=error)

    def sync(self) -> Deferred[None]:
        """Look at the directories from now on, and take in what is different."""
        self.require()
        done: Deferred[None] = Deferred()
        if self._sync is not None and not self._sync.has_begun:
            self._sync.waiters.append(done)
            return done
        self._sync = looking = _Sync()
        looking.waiters.append(done)
        began = self.around.clock.seconds()

        def job(connection: sqlite3.Connection) -> Delta | None:
            looking.has_begun = True
            return sync(connection, self.place, began)

        self.run(job, self.apply).addBoth(self._synced, looking, began)
        return done

    def _synced(self, outcome: object, looking: _Sync, began: float) -> None:
        if self._sync is looking:
            self._sync = None
        now = self.around.clock.seconds()
        self.rested_at = now + _REST * (now - began)
        result = outcome if isinstance(outcome, Failure) else None
        for waiter in looking.waiters:
            if not waiter.called:
                waiter.callback(result)

    def note_missing(self) -> None:
        """A message that is noted has no file: look at the directories again although they seem to
        be as they were, and so does whoever opens the folder next."""
        self.place.is_doubtful = True
        forgotten = self.index.remember(partial(forget_stamps, folder=self.place.id))
        forgotten.addErrback(lambda why: self.log.failure("{path}", why, path=self.place.path))

    async def verify(self) -> None:
        """It ends where other programs put another folder in its place."""
        with disk_trouble(f"look at {self.place.path}"):
            if not await self.around.workers.run(self._is_itself):
                self.end()

    def _is_itself(self) -> bool:
        """On a worker."""
        return not self._is_confirmed or self.place.is_still(self.mailbox_id)

    def _looks_changed(self, rested: bool) -> tuple[bool, bool]:
        """The directories, and the index by other processes. On a worker."""
        place = self.place
        changed = place.look() != place.stamps or (place.is_doubtful and rested)
        return changed, self.index.is_behind()

    # ---- what sessions do

    def status(self) -> FolderStatus:
        recent = 0
        if self.recent_from < self.uid_next:
            for uid in reversed(self.messages):
                if uid < self.recent_from:
                    break
                recent += 1
        return FolderStatus(
            len(self.messages), self.uid_next, self.uid_validity, self._unseen, self._deleted,
            self.size, recent, self.highest_modseq, self.mailbox_id,
        )  # fmt: skip

    async def claim_recent(self) -> Recent:
        self.require()
        if self.recent_from == self.uid_next and not self.place.has_new:
            return Recent(self.recent_from, self.uid_next)

        def then(recent: Recent) -> None:
            self.recent_from = max(self.recent_from, recent.end)

        return await self.run(lambda connection: storing.claim_recent(connection, self.place), then)

    async def store(
        self, uids: Sequence[int], change: FlagChange, unchanged_since: int | None
    ) -> StoreOutcome:
        def job(connection: sqlite3.Connection) -> tuple[StoreOutcome, Delta | None]:
            return storing.store(connection, self.place, uids, change, unchanged_since)

        def then(result: tuple[StoreOutcome, Delta | None]) -> None:
            self.apply(result[1])
            if result[1] is not None:
                self.on_flags()

        outcome, _ = await self.run(job, then)
        return outcome

    async def expunge(self, uids: Sequence[int]) -> Sequence[int]:
        def job(connection: sqlite3.Connection) -> expunging.Expunged:
            return expunging.expunge(connection, self.place, uids)

        def then(done: expunging.Expunged) -> None:
            self.around.quotas.removed(self.account, done.octets, done.messages)
            self.apply(done.delta)
            if done.names:
                self.publish(MessagesRemoved(self.account, self.event_folder, done.names))

        done = await self.run(job, then)
        for uid, error in done.failed.items():
            self.log.error("cannot remove {uid}: {error}", uid=uid, error=error)
        return [uid for uid in uids if uid not in self.messages]

    async def vanished(self, since: int) -> Sequence[int]:
        self.require()
        folder = self.place.id
        known = await self.index.read(lambda connection: vanished_since(connection, folder, since))
        if known is None:
            return gaps(self.messages, self.uid_next)
        # Another process may have removed what is still here until it is caught up with.
        return [uid for uid in known if uid not in self.messages]


def _nothing(connection: sqlite3.Connection) -> None:
    """A job for the sake of what precedes every one."""
