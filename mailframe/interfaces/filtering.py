"""The filter that learns, as policies, commands and web pages call it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from zope.interface import Interface


@dataclass(frozen=True, slots=True)
class Evidence:
    """One feature of a message and what it counts for."""

    token: str
    """As a person reads it: ``subject:viagra``, ``url:example.com``."""
    weight: float
    """Towards spam; below zero for ham."""
    ham: int
    """Ham messages it was learnt from; 0 and 0 where not counted."""
    spam: int
    """Spam messages it was learnt from."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a filter thinks of a message."""

    probability: float
    """0 is ham for certain, 1 spam; 0.5 where it has learnt too little to say."""
    scope: str
    """Whose training decided: an account, ``@domain``, ``site``; empty for nobody's."""
    hams: int
    """Ham messages learnt in that scope."""
    spams: int
    """Spam messages learnt in that scope."""
    evidence: tuple[Evidence, ...] = ()
    """The features that counted most, the weightiest first; only where asked for."""


class IFilter(Interface):
    """Blocks nowhere: reading, scoring and storing happen on other threads."""

    def judge(message: bytes, account: str, evidence: int = 0) -> Awaitable[Opinion]:
        """``message`` in wire format, cut off where long. ``account`` empty: by the site's
        training alone. ``evidence``: how many features to name. Trouble with what was learnt
        is no error: a message of which nothing can be said is even."""

    def learn(message: bytes, account: str, is_spam: bool, source: str) -> Awaitable[bool]:
        """Learn it for ``account`` and whatever scopes it shares with; the other way where it was
        learnt wrongly before. ``source`` says how it came: ``move``, ``command``, ``web``. True
        where it taught something new, that is, where it was not learnt so before. Raises
        TransientFailure where it cannot be kept."""

    def forget(message: bytes, account: str) -> Awaitable[bool]:
        """Undo what was learnt from it; False where nothing was."""
