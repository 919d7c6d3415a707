"""Several deliveries made durable together.

Most of what a delivery costs is waiting for the disk. Messages that arrive while others are
being synced are taken together next: all are written, all are synced (the first sync does
most of the work of the others), all get their names, and each directory is synced once.
There is no timer; alone, a message waits for nobody. One that fails fails alone, unless it
is the directory that cannot be synced.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.interfaces import IWorkers
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.mailbox.writing import Writing

_GROUPS = 4  # under way at once; more only make each smaller
_TOGETHER = 32  # bounds the open files, and the memory at 8 MB a group

Found = tuple[str, FileName]


@dataclass(eq=False, slots=True)
class _Delivery:
    writing: Writing
    rest: bytes
    inbox: Maildir
    done: Deferred[Found]
    outcome: str | Exception = ""
    """Its path, or why it failed."""


class GroupCommit:
    """Everything but the work itself happens on the reactor thread."""

    def __init__(self, workers: IWorkers) -> None:
        self._workers = workers
        self._waiting: deque[_Delivery] = deque()
        self._running = 0

    def commit(self, writing: Writing, rest: bytes, inbox: Maildir) -> Deferred[Found]:
        """Write ``rest``, the last octets, and make the message durable in ``new``. Fires
        with its path and name; fails with OSError and leaves nothing in ``new``, as far as
        the disk obeys (``Writing.is_doubtful``). ``inbox`` is the account's, for its quota."""
        done: Deferred[Found] = Deferred()
        self._waiting.append(_Delivery(writing, rest, inbox, done))
        self._start()
        return done

    def _start(self) -> None:
        while self._waiting and self._running < _GROUPS:
            number = min(len(self._waiting), _TOGETHER)
            group = [self._waiting.popleft() for _ in range(number)]
            self._running += 1
            self._workers.run(commit_together, group).addBoth(self._finished, group)

    def _finished(self, result: object, group: list[_Delivery]) -> None:
        self._running -= 1
        self._start()
        for delivery in group:
            if isinstance(result, Failure):  # the workers are overloaded
                delivery.done.errback(result)
            elif isinstance(delivery.outcome, Exception):
                delivery.done.errback(Failure(delivery.outcome))
            else:
                name = FileName.parse(os.path.basename(delivery.outcome))
                delivery.done.callback((delivery.outcome, name))


def commit_together(group: list[_Delivery]) -> None:
    """Decide the outcome of each. Blocks; runs on a worker."""
    for step in (_write, _sync, _publish):
        group = [delivery for delivery in group if _succeeds(step, delivery)]
    by_directory: dict[str, list[_Delivery]] = {}
    for delivery in group:
        by_directory.setdefault(os.path.dirname(str(delivery.outcome)), []).append(delivery)
    for deliveries in by_directory.values():
        try:
            deliveries[0].writing.sync_name()
        except Exception as error:  # noqa: BLE001 - each caller hears of it
            for delivery in deliveries:
                delivery.writing.withdraw()
                delivery.outcome = error
        else:
            for delivery in deliveries:
                inbox, octets = delivery.inbox, delivery.writing.disk_size
                note_in_maildirsize(inbox.disk, inbox.path, octets, 1)


def _succeeds(step: Callable[[_Delivery], None], delivery: _Delivery) -> bool:
    try:
        step(delivery)
    except Exception as error:  # noqa: BLE001 - its caller hears of it, the others go on
        delivery.writing.abort()
        delivery.outcome = error
        return False
    return True


def _write(delivery: _Delivery) -> None:
    delivery.writing.write(delivery.rest)
    delivery.writing.complete()


def _sync(delivery: _Delivery) -> None:
    delivery.writing.sync()


def _publish(delivery: _Delivery) -> None:
    delivery.outcome = delivery.writing.publish()
