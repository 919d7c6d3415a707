"""From whatever a command raised to its tagged response (RFC 5530), as one table.

Codes tell the truth: what may pass is UNAVAILABLE, what is our bug is SERVERBUG, and texts
for clients stay generic.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core import status as statuses
from mailframe.core.folders import FolderReason
from mailframe.errors import (
    INTERNAL_ERROR,
    Failure,
    FolderRefused,
    MailboxBusy,
    MessageGone,
    TransientFailure,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers.imap_outcome import Outcome, Refused, Status

_FULL = (statuses.MAILBOX_FULL, statuses.SYSTEM_FULL)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an error means: for the client, and for the log."""

    outcome: Outcome
    expected: bool = True
    """False: our own fault, to be logged with its traceback."""


def trouble(error: Exception) -> Trouble:
    if isinstance(error, Refused):
        return Trouble(Outcome(error.text, error.code, error.status))
    if isinstance(error, BadCommand):
        return Trouble(Outcome(error.text, error.code, error.status))
    if isinstance(error, FolderRefused):
        return _no(str(error), error.code)
    if isinstance(error, MessageGone):
        return _no("Some of the messages are not there any more", "EXPUNGEISSUED")
    if isinstance(error, MailboxBusy):
        return _no("Another session holds the folder", FolderReason.IN_USE.value)
    if isinstance(error, Failure):
        return _no(error.reply.text.replace("\n", " "), _code(error))
    bug = Outcome(INTERNAL_ERROR.text, "SERVERBUG", Status.NO)
    return Trouble(bug, expected=False)


def _no(text: str, code: str) -> Trouble:
    return Trouble(Outcome(text, code, Status.NO))


def _code(error: Failure) -> str:
    if error.reply.status in _FULL:
        return FolderReason.OVER_QUOTA.value
    if isinstance(error, TransientFailure):
        return FolderReason.UNAVAILABLE.value
    return FolderReason.CANNOT.value
