"""Where local mail may be kept: one set of Maildirs, whoever the users turn out to be.

Made once a process: quota counts and delivery tokens in memory must not be kept twice. After
a reload the same Maildirs answer to other rules about who exists and how much they may keep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailframe.mailbox.quota import Quota
from mailframe.mailbox.store import MaildirStore

Exists = Callable[[str], bool | Awaitable[bool]]
Limit = Callable[[str], Quota | Awaitable[Quota | None] | None]


def _everybody(account: str) -> bool:
    return True


def _no_limit(account: str) -> None:
    return None


class Stores:
    """``make(exists, quota)`` makes the MaildirStore; both ask whatever was said last."""

    def __init__(self, make: Callable[[Exists, Limit], MaildirStore]) -> None:
        self._exists: Exists = _everybody
        self._quota: Limit = _no_limit
        self.store = make(
            lambda account: self._exists(account), lambda account: self._quota(account)
        )

    def maildirs(self, *, exists: Exists = _everybody, quota: Limit = _no_limit) -> MaildirStore:
        self._exists = exists
        self._quota = quota
        return self.store
