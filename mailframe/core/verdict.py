"""What a policy may answer: nothing to object, refuse, or accept with a mark."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.reply import Reply


@dataclass(frozen=True, slots=True)
class Tag:
    """Go on, but remember: ``headers`` are added on top of the message, outermost first."""

    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    """File into this folder instead of the INBOX (``Junk``); the last policy to say so wins."""


Verdict = Reply | Tag | None
