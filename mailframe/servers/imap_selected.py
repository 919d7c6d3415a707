"""The folder that an IMAP session has selected, and what the session knows of it.

All of it is the session's own; the folder behind it is shared and tells ``view`` what changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailframe.core.folders import FolderChange, Recent
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap.view import News, SelectedView
from mailframe.servers.imap_loading import OpenMessage


class RecentUids:
    """The uids that are ``\\Recent`` to this session: what it claimed, range by range."""

    def __init__(self) -> None:
        self._ranges: list[Recent] = []

    def add(self, claimed: Recent) -> None:
        """``claimed`` begins where an earlier claim ended, or later."""
        if claimed.first >= claimed.end:
            return
        if self._ranges and self._ranges[-1].end == claimed.first:
            claimed = Recent(self._ranges.pop().first, claimed.end)
        self._ranges.append(claimed)

    def __contains__(self, uid: object) -> bool:
        # Seldom more than one: another session claimed in between. Asked for every message.
        for claimed in self._ranges:  # noqa: SIM110 - half the time of any()
            if claimed.first <= uid < claimed.end:  # type: ignore[operator]
                return True
        return False

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def count(self, uids: Sequence[int]) -> int:
        """How many of ``uids``, which ascend."""
        return sum(bisect_left(uids, r.end) - bisect_left(uids, r.first) for r in self._ranges)


class SearchContext(Protocol):
    """A search that goes on (RFC 5267 UPDATE). Sends with ``talk.send``."""

    def leaving(self, talk: Any, news: News) -> None:
        """Before ``news`` is told: say what of it leaves the result (RFC 5267 section 4.3.3:
        before the EXPUNGE). The view has forgotten the messages already."""

    async def told(self, talk: Any, news: News) -> None:
        """After ``news`` was told: say what came into the result, and what left it because
        its flags changed."""


@dataclass(slots=True)
class Selected:
    folder: IFolder
    view: SelectedView
    read_only: bool
    recent: RecentUids = field(default_factory=RecentUids)
    saved: Sequence[int] = ()
    """``$`` of SEARCHRES (RFC 5182): uids, ascending; those gone since are no harm."""
    contexts: dict[str, SearchContext] = field(default_factory=dict)
    """By the tag of the SEARCH or SORT that asked for updates."""
    let_go: Callable[[], None] = lambda: None
    """Stops hearing of the folder's changes."""
    stirred: bool = False
    """Something happened since the view was last asked for news."""
    came: bool = False
    """Messages came since ``\\Recent`` was last claimed."""
    told: list[News] = field(default_factory=list)
    """What was told, for those who have to say more about it."""
    keywords: set[str] = field(default_factory=set)
    """Which ones the client has been told of."""
    reading: OpenMessage | None = None
    """A large message that the client takes piece by piece, open."""

    def close(self) -> None:
        """Nothing more comes of it."""
        self.let_go()
        reading, self.reading = self.reading, None
        if reading is not None:
            reading.close()

    def note(self, change: FolderChange) -> None:
        self.view.note(change)
        self.stirred = True
        self.came = self.came or bool(change.arrived)

    def settle(self, changed: Sequence[int]) -> None:
        """Our own STORE changed these. The view does not tell of them, but searches that go
        on have to look at them again."""
        self.view.settle(changed)
        if changed and self.contexts:
            self.told.append(News(changed=changed))

    def take_told(self) -> list[News]:
        told, self.told = self.told, []
        return told
