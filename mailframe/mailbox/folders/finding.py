"""Which folder a user means by a name, and what he may do with it.

Each command takes the right that RFC 4314 section 4 says, and ``l`` is none of them but for
LIST. What somebody may not do is refused with NO_PERMISSION where he may look the folder up
(``l``), else as though it were not there: nobody learns what others have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused, PermanentFailure
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.folders import rights
from mailframe.mailbox.folders.naming import (
    Place,
    canonical,
    is_others,
    is_suitable,
    levels_above,
    place_of,
    seen_by,
    spellings,
)
from mailframe.mailbox.folders.tree import FolderTree, no_such_folder

if TYPE_CHECKING:
    from mailframe.mailbox.folders.store import FolderStore


# RFC 4314 section 4: any of them is enough for MYRIGHTS.
_FINDABLE = frozenset("lrikxa")


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that is there, and that the user may do something with."""

    name: str
    place: Place
    rights: str
    truth: FolderTruth


class Finder:
    def __init__(self, account: str, store: FolderStore) -> None:
        self._account = account
        self._store = store
        self._tree = store.tree(account)

    async def find(self, name: str) -> Found:
        """Raises FolderRefused (NONEXISTENT)."""
        found = await self._store.run(self.look_up, name)
        if found is None:
            raise no_such_folder()
        return found

    async def find_or_level(self, name: str) -> Found:
        """Besides, a level above one's own folders, though it is none itself."""
        found = await self._store.run(self.look_up_level, name)
        if found is None:
            raise no_such_folder()
        return found

    async def new_place(self, name: str) -> Place:
        """Where a folder of that name would be made. Raises FolderRefused (NO_PERMISSION)."""
        if not is_others(name):
            return Place(self._account, name)
        place = place_of(self._account, name)
        if place is None or not await self._store.run(self._may_create, place):
            raise no_permission()
        return place

    def look_up(self, name: str) -> Found | None:
        """Synchronous; for a worker."""
        place = place_of(self._account, name)
        if place is not None and (found := self._look_up_shared(place)) is not None:
            return found
        for spelling in spellings(name):
            if self._tree.has(spelling):
                truth = self._store.truths.of(self._tree.directory(spelling))
                return Found(spelling, Place(self._account, spelling), rights.ALL, truth)
        return None

    def look_up_level(self, name: str) -> Found | None:
        """Synchronous; for a worker."""
        if (found := self.look_up(name)) is not None or not is_suitable(name):
            return found
        place = Place(self._account, canonical(name))
        if not self._tree.has_below(place.folder):
            return None
        return Found(place.folder, place, rights.ALL, FolderTruth(""))

    def _look_up_shared(self, place: Place) -> Found | None:
        tree = self._others_tree(place.account)
        if tree is None or not tree.has(place.folder):
            return None
        truth = self._store.truths.of(tree.directory(place.folder))
        allowed = rights.effective(truth.acl, self._account)
        if not set(allowed) & _FINDABLE:
            return None
        return Found(seen_by(self._account, place), place, allowed, truth)

    def _may_create(self, place: Place) -> bool:
        # RFC 4314 section 4: to make a folder takes ``k`` on the one above it.
        tree = self._others_tree(place.account)
        above = [] if tree is None else [n for n in levels_above(place.folder) if tree.has(n)]
        if tree is None or not above:
            return False
        acl = self._store.truths.of(tree.directory(above[-1])).acl
        return "k" in rights.effective(acl, self._account)

    def _others_tree(self, account: str) -> FolderTree | None:
        try:
            tree = self._store.tree(account)
        except PermanentFailure:
            return None
        return tree if tree.has_inbox() else None


def permitted(found: Found, needed: str) -> Found:
    """Raises FolderRefused (NO_PERMISSION, or NONEXISTENT to whoever may not look it up) unless
    the user has the rights."""
    if not set(needed) <= set(found.rights):
        raise _refusal(found)
    return found


def openable(found: Found) -> Found:
    """To be read, to be put something in, or to have its rights given. Raises FolderRefused
    (NONEXISTENT)."""
    if not set("lria") & set(found.rights):
        raise no_such_folder()
    return found


def _refusal(found: Found) -> FolderRefused:
    # RFC 4314 section 6: an error must not tell that there is a folder.
    return no_permission() if "l" in found.rights else no_such_folder()


def no_permission() -> FolderRefused:
    return FolderRefused(FolderReason.NO_PERMISSION, "Permission denied")
