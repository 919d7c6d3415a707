"""Notice what other programs do to the folders that somebody looks at.

inotify where it can be had, for at most ``most`` folders; each other one is looked at every
two seconds. A watch fires once and is set again when the folder is looked at, so that what
we do ourselves, 10,000 renames for one STORE, costs one event.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime

from mailframe.mailbox.index.live_folder import LiveFolder
from mailframe.runtime.inotify import Inotify, open_inotify

POLL_SECONDS = 2.0
_SOON = 0.02  # a program that moves mail about makes several changes at once


class Watching:
    """Everything happens on the reactor thread."""

    def __init__(
        self,
        clock: IReactorTime,
        reactor: IReactorFDSet | None,
        notice: Callable[[LiveFolder], None],
        *,
        most: int = 4_000,
    ) -> None:
        """``notice`` is called for a folder in which something may have happened; ``start``
        must follow when it was looked at."""
        self._clock = clock
        self._notice = notice
        self._most = most
        self._inotify: Inotify | None = open_inotify(reactor) if reactor is not None else None
        self._watched: dict[LiveFolder, tuple[str, str]] = {}
        self._polled: dict[LiveFolder, None] = {}  # in the order of coming
        self._soon: dict[LiveFolder, IDelayedCall] = {}
        self._poll: IDelayedCall | None = None

    def start(self, live: LiveFolder) -> None:
        """Again after each notice."""
        paths = self._watched.get(live) or (
            os.path.join(live.place.path, "new"),
            os.path.join(live.place.path, "cur"),
        )
        if self._inotify is not None and (live in self._watched or len(self._watched) < self._most):
            watch = self._inotify.watch
            if all(watch(path, lambda: self._fired(live)) for path in paths):
                self._watched[live] = paths
                self._polled.pop(live, None)
                return
            self._ignore(paths)
            self._watched.pop(live, None)
        self._polled[live] = None
        if self._poll is None:
            self._poll = self._clock.callLater(POLL_SECONDS, self._look_at_all)

    def stop(self, live: LiveFolder) -> None:
        """Harmless when called again."""
        self._ignore(self._watched.pop(live, ()))
        self._polled.pop(live, None)
        if (call := self._soon.pop(live, None)) is not None:
            call.cancel()
        if not self._polled and self._poll is not None:
            self._poll.cancel()
            self._poll = None

    def close(self) -> None:
        for live in [*self._watched, *self._polled, *self._soon]:
            self.stop(live)
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _ignore(self, paths: tuple[str, ...]) -> None:
        for path in paths:
            if self._inotify is not None:
                self._inotify.ignore(path)

    def _fired(self, live: LiveFolder) -> None:
        if live in self._watched and live not in self._soon:
            wait = max(_SOON, live.rested_at - self._clock.seconds())
            self._soon[live] = self._clock.callLater(wait, self._look_at, live)

    def _look_at(self, live: LiveFolder) -> None:
        self._soon.pop(live, None)
        # Before the look: what happens during it fires again.
        self.start(live)
        self._notice(live)

    def _look_at_all(self) -> None:
        self._poll = None
        for live in list(self._polled):
            self._notice(live)
        if self._polled:
            self._poll = self._clock.callLater(POLL_SECONDS, self._look_at_all)
