"""Several deliveries made durable together.

Most of what a delivery costs is waiting for the disk. So all are written, the disk begins with
all of them, all are synced (the first sync does most of the work of the others), all get their
names, and each directory is synced once. One that fails fails alone, unless it is the directory
that cannot be synced.

Large messages, which come here one by one, gather while others are being written and synced.
There is no timer; alone, a message waits for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.interfaces import IWorkers
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.mailbox.writing import Writing

_GROUPS = 4  # under way at once; more only make each smaller
_TOGETHER = 32
_OPEN = 128  # files of one group, at a time
_OCTETS = 16 << 20
"""Enough for a group: whoever comes after so many would wait too long for those before him."""


@dataclass(eq=False, slots=True)
class Ready:
    """A message of which only ``pieces`` are to be written. ``inbox`` is the account's, for its
    quota."""

    writing: Writing
    pieces: Iterable[bytes]
    """In wire format; they may be read from a disk as they are asked for."""
    octets: int
    """Of all pieces."""
    inbox: Maildir
    error: Exception | None = None
    """Why it is not in ``new``, as far as the disk obeys (``Writing.is_doubtful``)."""
    is_under_way: bool = False
    """A worker has it, whoever waits for it or not."""


class GroupCommit:
    """Everything but the work itself happens on the reactor thread."""

    def __init__(self, workers: IWorkers) -> None:
        self._workers = workers
        self._waiting: deque[tuple[Ready, Deferred[None]]] = deque()
        self._running = 0

    def commit(self, ready: Ready) -> Deferred[None]:
        """Make it durable in ``new``. Fails with OSError, or as going through its pieces does, and
        leaves nothing there, as far as the disk obeys. One that is cancelled is not begun, or
        ends as if nobody had."""
        done: Deferred[None] = Deferred(lambda done: self._forget(ready, done))
        self._waiting.append((ready, done))
        self._start()
        return done

    def _forget(self, ready: Ready, done: Deferred[None]) -> None:
        if not ready.is_under_way:
            self._waiting.remove((ready, done))

    def _start(self) -> None:
        while self._waiting and self._running < _GROUPS:
            group = self._next_group()
            self._running += 1
            work = self._workers.run(commit_together, [ready for ready, _ in group])
            work.addBoth(self._finished, group)

    def _next_group(self) -> list[tuple[Ready, Deferred[None]]]:
        """The first of those that wait, one at least."""
        group: list[tuple[Ready, Deferred[None]]] = []
        octets = 0
        while self._waiting and len(group) < _TOGETHER and octets < _OCTETS:
            ready, done = self._waiting.popleft()
            ready.is_under_way = True
            octets += ready.octets
            group.append((ready, done))
        return group

    def _finished(self, result: object, group: list[tuple[Ready, Deferred[None]]]) -> None:
        self._running -= 1
        self._start()
        for ready, done in group:
            ready.is_under_way = False
            if done.called:  # cancelled meanwhile
                continue
            if isinstance(result, Failure):  # the workers are overloaded
                done.errback(result)
            elif ready.error is not None:
                done.errback(Failure(ready.error))
            else:
                done.callback(None)


def commit_together(group: Sequence[Ready]) -> None:
    """Decide the outcome of each. Blocks; runs on a worker."""
    published: list[Ready] = []
    for start in range(0, len(group), _OPEN):
        some = group[start : start + _OPEN]
        for step in (_write, _sync, _publish):
            some = [ready for ready in some if _succeeds(step, ready)]
        published += some
    by_directory: dict[str, list[Ready]] = {}
    for ready in published:
        by_directory.setdefault(ready.writing.directory, []).append(ready)
    for deliveries in by_directory.values():
        _make_names_durable(deliveries)


def _make_names_durable(deliveries: Sequence[Ready]) -> None:
    """All of one directory."""
    try:
        deliveries[0].writing.sync_name()
    except Exception as error:  # noqa: BLE001 - each caller hears of it
        for ready in deliveries:
            ready.writing.withdraw()
            ready.error = error
    else:
        inbox, octets = deliveries[0].inbox, sum(each.writing.disk_size for each in deliveries)
        note_in_maildirsize(inbox.disk, inbox.path, octets, len(deliveries))


def _succeeds(step: Callable[[Ready], None], ready: Ready) -> bool:
    try:
        step(ready)
    except Exception as error:  # noqa: BLE001 - its caller hears of it, the others go on
        ready.writing.abort()
        ready.error = error
        return False
    return True


def _write(ready: Ready) -> None:
    for piece in ready.pieces:
        ready.writing.write(piece)
    ready.writing.complete()
    ready.writing.begin_sync()


def _sync(ready: Ready) -> None:
    ready.writing.sync()


def _publish(ready: Ready) -> None:
    ready.writing.publish()
