"""Where local mail may be kept: one set of Maildirs, whoever the users turn out to be.

Made once a process: quota counts and delivery tokens in memory must not be kept twice. After
a reload the same Maildirs answer to other rules about who exists and how much they may keep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailframe.mailbox.quota import Quota
from mailframe.mailbox.store import MaildirStore

Exists = Callable[[str], bool | Awaitable[bool]]
Limit = Callable[[str], Quota | Awaitable[Quota | None] | None]


def _everybody(account: str) -> bool:
    return True


def _no_limit(account: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rules:
    """Who has a mailbox, and how much it may hold."""

    exists: Exists = _everybody
    quota: Limit = _no_limit


EVERYBODY = Rules()
"""A mailbox for whoever gets mail, without a limit."""


class Stores:
    """``make(exists, quota)`` makes the MaildirStore; both ask the rules in force."""

    def __init__(self, make: Callable[[Exists, Limit], MaildirStore]) -> None:
        self._rules = EVERYBODY
        self.store = make(self.exists, lambda account: self._rules.quota(account))

    def exists(self, account: str) -> bool | Awaitable[bool]:
        """By the rules in force."""
        return self._rules.exists(account)

    def follow(self, rules: Rules) -> None:
        """Other rules from now on."""
        self._rules = rules
