"""The tarpit: after a few refusals each costs the peer more time than the one before.

A delay holds a connection of ours as well, hence the limit on how many; one that is delayed may
be asked to make room like any that keeps us waiting.
"""

from __future__ import annotations

from mailframe.servers.smtp_settings import SmtpLimits


class Tarpit:
    """Of one listener."""

    def __init__(self, limits: SmtpLimits) -> None:
        self._limits = limits
        self.delayed: set[object] = set()
        """Those that it holds."""

    def enter(self, client: object, refusals: int) -> float:
        """Hold a client that has heard so many refusals until it leaves, which is in so many
        seconds; 0: it is not held."""
        limits = self._limits
        delay = min((refusals - limits.tarpit_free) * limits.tarpit, limits.tarpit_most)
        if delay <= 0 or len(self.delayed) >= limits.tarpit_places:
            return 0
        self.delayed.add(client)
        return delay

    def leave(self, client: object) -> None:
        """Harmless for one that is not held."""
        self.delayed.discard(client)
