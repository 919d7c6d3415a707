"""What can be wrong between us and a directory server; the texts are for the log."""

from __future__ import annotations

from mailframe.sources.ldap.wire import Outcome


class Unreachable(Exception):
    """The server cannot be asked, or went away while it was: another one may answer."""


class Refused(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, what: str, outcome: Outcome) -> None:
        super().__init__(f"{what}: {outcome}")
        self.outcome = outcome


class Ambiguous(Exception):
    """More entries than one for what can be one person's only."""


class TooMuch(Exception):
    """More than the limits of the configuration allow."""


class Misfit(Exception):
    """An entry of which no account can be made."""
