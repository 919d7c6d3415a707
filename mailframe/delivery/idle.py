"""Sessions kept open for a few seconds, in case the next message goes the same way."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailframe.delivery.session import SmtpSession

Key = TypeVar("Key")


class IdleSessions(Generic[Key]):
    """At most ``total`` of them, each for ``seconds``; the oldest makes room."""

    def __init__(self, clock: IReactorTime, *, seconds: float, total: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._total = total
        self._kept: dict[SmtpSession, tuple[Key, IDelayedCall]] = {}

    def take(self, key: Key) -> SmtpSession | None:
        """The one that idled least, so that the others may go."""
        for session, (kept_for, _) in reversed(self._kept.items()):
            if kept_for == key:
                self._forget(session)
                return session
        return None

    def give(self, key: Key, session: SmtpSession) -> None:
        """Keep it, or say goodbye where there is no room or no use."""
        if self._total <= 0 or self._seconds <= 0 or not session.is_usable:
            session.quit()
            return
        if len(self._kept) >= self._total:
            self._dismiss(next(iter(self._kept)))
        timer = self._clock.callLater(self._seconds, self._dismiss, session)
        self._kept[session] = (key, timer)
        session.on_close = lambda: self._dismiss(session)

    def close(self) -> None:
        """Say goodbye to all; for the end of the process."""
        for session in list(self._kept):
            self._dismiss(session)

    def __len__(self) -> int:
        return len(self._kept)

    def _dismiss(self, session: SmtpSession) -> None:
        if session in self._kept:
            self._forget(session)
            session.quit()

    def _forget(self, session: SmtpSession) -> None:
        _, timer = self._kept.pop(session)
        session.on_close = None
        if timer.active():
            timer.cancel()
