"""Several deliveries made durable together.

Most of what a delivery costs is waiting for the disk. So all are written, the disk begins with
all of them, all are synced (the first sync does most of the work of the others), all get their
names, and each directory is synced once. One that fails fails alone, unless it is the directory
that cannot be synced.

Large messages, whose last octets come here one by one, gather while others are being synced.
There is no timer; alone, a message waits for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.interfaces import IWorkers
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.mailbox.writing import Writing

_GROUPS = 4  # under way at once; more only make each smaller
_TOGETHER = 32  # bounds the open files, and the memory at 8 MB a group


@dataclass(eq=False, slots=True)
class Ready:
    """A message of which only ``rest`` is to be written. ``inbox`` is the account's, for its
    quota."""

    writing: Writing
    rest: bytes
    inbox: Maildir
    error: Exception | None = None
    """Why it is not in ``new``, as far as the disk obeys (``Writing.is_doubtful``)."""


class GroupCommit:
    """Everything but the work itself happens on the reactor thread."""

    def __init__(self, workers: IWorkers) -> None:
        self._workers = workers
        self._waiting: deque[tuple[Ready, Deferred[None]]] = deque()
        self._running = 0

    def commit(self, ready: Ready) -> Deferred[None]:
        """Make it durable in ``new``. Fails with OSError and leaves nothing there, as far as the
        disk obeys."""
        done: Deferred[None] = Deferred()
        self._waiting.append((ready, done))
        self._start()
        return done

    def _start(self) -> None:
        while self._waiting and self._running < _GROUPS:
            number = min(len(self._waiting), _TOGETHER)
            group = [self._waiting.popleft() for _ in range(number)]
            self._running += 1
            work = self._workers.run(commit_together, [ready for ready, _ in group])
            work.addBoth(self._finished, group)

    def _finished(self, result: object, group: list[tuple[Ready, Deferred[None]]]) -> None:
        self._running -= 1
        self._start()
        for ready, done in group:
            if isinstance(result, Failure):  # the workers are overloaded
                done.errback(result)
            elif ready.error is not None:
                done.errback(Failure(ready.error))
            else:
                done.callback(None)


def commit_together(group: Sequence[Ready]) -> None:
    """Decide the outcome of each. Blocks; runs on a worker."""
    for step in (_write, _sync, _publish):
        group = [ready for ready in group if _succeeds(step, ready)]
    by_directory: dict[str, list[Ready]] = {}
    for ready in group:
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
    ready.writing.write(ready.rest)
    ready.writing.complete()
    ready.writing.begin_sync()


def _sync(ready: Ready) -> None:
    ready.writing.sync()


def _publish(ready: Ready) -> None:
    ready.writing.publish()
