"""How a command of IMAP ended: what every command's function returns, or raises.

``Refused`` is for what the function itself decides; errors of the account (FolderRefused,
TransientFailure, MessageGone ...) are not caught there: the conversation has one table for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.protocols.imap.events import Status

__all__ = ["Outcome", "Refused", "Status"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The tagged response: ``TAG OK [CODE] text``."""

    text: str
    code: str = ""
    """Without its brackets: ``COPYUID 1 2:3 4:5``."""
    status: Status = Status.OK


class Refused(Exception):
    """The command cannot be done: ``TAG NO [CODE] text``, or BAD. The text is for the client."""

    def __init__(self, text: str, code: str = "", status: Status = Status.NO) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.status = status
