"""An account's folders, for one session: ``IFolders`` with everything that it may offer.

Names are checked, found and translated here; the rights of RFC 4314 are enforced for what is
done to a folder (what is done in one is the server's to check, by ``IFolder.rights``). A
folder in which the user may not look up (``l``) does not exist for him. Changes of one
account come one after the other, are durable when they return, and are told to everybody who
watches: the owner, and those who may see the folder.

New folders have the access list of the folder above them, so that whoever makes one in
somebody else's folder can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zope.interface import implementer

from mailframe.core.folders import (
    INBOX,
    Annotation,
    FolderInfo,
    FolderReason,
    FolderStatus,
    Namespaces,
    QuotaUse,
)
from mailframe.errors import FolderRefused
from mailframe.interfaces import (
    IAccessControl,
    IAnnotations,
    IFolder,
    IFolders,
    IQuotas,
    IStatuses,
)
from mailframe.mailbox import folder_file
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.folders import listing, metadata, rights, special_uses
from mailframe.mailbox.folders.finding import (
    Finder,
    Found,
    no_permission,
    openable,
    permitted,
)
from mailframe.mailbox.folders.naming import (
    OTHERS_PREFIX,
    Place,
    canonical,
    is_suitable,
    levels_above,
    new_name,
    spellings,
)
from mailframe.mailbox.folders.subscriptions import read_subscriptions, write_subscriptions
from mailframe.mailbox.folders.tree import FolderTree, no_such_folder

if TYPE_CHECKING:
    from mailframe.mailbox.folders.store import FolderStore

_MAX_SUBSCRIBED_NAME = 1000  # characters


@dataclass(slots=True)
class _Renaming:
    """How far it has come, which counts when it fails, too."""

    tree: FolderTree
    truths: dict[str, FolderTruth] = field(default_factory=dict)
    """Of the folders that are renamed, by their old names."""
    made: list[tuple[str, FolderTruth]] = field(default_factory=list)
    """Levels above the new name."""
    renamed: list[tuple[str, str]] = field(default_factory=list)


@implementer(IFolders, IStatuses, IQuotas, IAnnotations, IAccessControl)
class MaildirFolders:
    namespaces = Namespaces(others=OTHERS_PREFIX)

    def __init__(self, account: str, store: FolderStore) -> None:
        self._account = account
        self._store = store
        self._tree = store.tree(account)
        self._finder = Finder(account, store)
        self._is_swept = False

    # ---- which there are

    async def all(self) -> Sequence[FolderInfo]:
        return await self._store.run(self._list)

    async def folder(self, name: str) -> IFolder:
        found = openable(await self._finder.find(name))
        if found.place == Place(self._account, INBOX):
            await self._store.run(self._tree.inbox.ensure)
        folder: IFolder = await self._store.open_folder(
            self._account, found.place, name=found.name, rights=found.rights
        )
        return folder

    async def status(self, name: str) -> FolderStatus:
        found = permitted(await self._finder.find(name), "r")
        if found.place == Place(self._account, INBOX):
            await self._store.run(self._tree.inbox.ensure)
        return await self._store.live.status(found.place.account, found.place.folder)

    def watch(self, listener: Callable[[str], None]) -> Callable[[], None]:
        return self._store.watchers.add(self._account, listener)

    # ---- making, removing, renaming

    async def create(self, name: str, special_use: Collection[str] = ()) -> str:
        uses = special_uses.parse(special_use)
        if name.isascii() and name.upper() in (INBOX, INBOX + "/"):
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "The INBOX is always there")
        place = await self._finder.new_place(new_name(name))
        if uses and place.account != self._account:
            raise FolderRefused(FolderReason.USE_ATTRIBUTE, "Only for one's own folders")
        tree = self._store.tree(place.account)
        async with self._store.lock(place.account):
            made = await self._store.change(place.account, self._create, tree, place.folder, uses)
        for folder, truth in made:
            self._store.announce(Place(place.account, folder), truth.acl)
        return made[-1][1].mailbox_id

    async def delete(self, name: str) -> None:
        place = (await self._finder.find_or_level(name)).place
        tree = self._store.tree(place.account)
        async with self._store.lock(place.account):
            found, aside, octets, messages = await self._store.change(
                place.account, self._take_out, tree, name, place
            )
            try:
                self._store.quotas.removed(place.account, octets, messages)
                await self._store.live.forget(place.account, place.folder)
                await self._store.run(self._store.shares.set, place, ())
                await self._store.run(tree.remove, aside)
            finally:  # it is gone, whatever else went wrong
                self._store.announce(place, found.truth.acl)

    async def rename(self, old: str, new: str) -> None:
        place = (await self._finder.find_or_level(old)).place
        target = await self._finder.new_place(new_name(new))
        if target.account != place.account:
            raise FolderRefused(FolderReason.CANNOT, "Folders stay with their owner")
        if place.folder == INBOX:
            await self._empty_inbox_into(place, target)
            return
        async with self._store.lock(place.account):
            await self._rename(old, place, target.folder)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        if not is_suitable(name):
            raise FolderRefused(FolderReason.CANNOT, "No folder can have this name")
        if len(name) > _MAX_SUBSCRIBED_NAME:
            raise FolderRefused(FolderReason.LIMIT, "The name is too long")
        async with self._store.lock(self._account):
            changed = await self._store.change(self._account, self._subscribe, name, subscribed)
        for each in changed:
            self._store.announce_name(self._account, each)

    # ---- quota (RFC 9208)

    async def quota(self, name: str) -> QuotaUse | None:
        if not name:
            return await self._store.quotas.use(self._account)
        found = permitted(await self._finder.find(name), "r")
        return await self._store.quotas.use(found.place.account)

    # ---- annotations (RFC 5464)

    async def annotations(self, name: str) -> Sequence[Annotation]:
        if not name:
            inbox = await self._finder.find(INBOX)
            return metadata.of_server(inbox.truth, self._store.admin)
        found = _annotatable(await self._finder.find(name))
        uses: frozenset[str] = frozenset()
        if found.place.account == self._account:
            uses = await self._store.run(
                listing.uses_of, self._tree, self._store.truths, found.place.folder
            )
        return metadata.of_folder(found.truth, self._account, uses)

    async def annotate(self, name: str, annotations: Sequence[Annotation]) -> None:
        metadata.check(annotations)
        shared = any(annotation.entry.startswith("/shared/") for annotation in annotations)
        if not name:
            if shared:
                raise no_permission()
            await self._annotate(Place(self._account, INBOX), metadata.SERVER, annotations)
            return
        # RFC 5464 section 3.3 asks for less; what all see is not for whoever may read.
        found = permitted(_annotatable(await self._finder.find(name)), "w" if shared else "")
        await self._annotate(found.place, self._account, annotations)

    # ---- access (RFC 4314)

    async def acl(self, name: str) -> Sequence[tuple[str, str]]:
        found = permitted(await self._finder.find(name), "a")
        return [(found.place.account, rights.ALL), *sorted(found.truth.acl.items())]

    async def set_acl(self, name: str, identifier: str, rights_: str, sign: str = "") -> None:
        found = permitted(await self._finder.find(name), "a")
        given = rights.parse(rights_)
        place = found.place
        who = rights.identify(identifier, place.account)
        if rights.who(who) == place.account:
            if who == place.account and (sign == "+" or (given == rights.ALL and not sign)):
                return
            raise FolderRefused(FolderReason.CANNOT, "The owner has every right")
        is_new = given and sign != "-" and rights.who(who) != rights.ANYONE
        if is_new and not await self._store.exists(rights.who(who)):
            raise rights.nobody()
        async with self._store.lock(place.account):
            before, after = await self._store.change(
                place.account, self._set_acl, name, place, who, given, sign
            )
        self._store.rights_changed(place, after)
        self._store.announce(place, before, after)

    async def my_rights(self, name: str) -> str:
        return (await self._finder.find(name)).rights

    # ---- on a worker; what changes anything, by ``FolderStore.change``

    def _again(self, name: str, place: Place, needed: str) -> Found:
        """What was found may be another folder meanwhile."""
        found = self._finder.look_up_level(name)
        if found is None:
            raise no_such_folder()
        if permitted(found, needed).place != place:
            raise no_such_folder()
        return found

    def _list(self) -> list[FolderInfo]:
        if not self._is_swept:
            self._is_swept = True
            self._tree.sweep()
        return listing.everything(
            self._tree, self._store.truths, self._store.shares, self._store.tree
        )

    def _create(
        self, tree: FolderTree, folder: str, uses: frozenset[str]
    ) -> list[tuple[str, FolderTruth]]:
        truths = self._store.truths
        special_uses.require_free(uses, folder, listing.told_uses(tree, truths) if uses else {})
        above = [level for level in levels_above(folder) if tree.has(level)]
        acl = truths.of(tree.directory(above[-1])).acl if above else {}
        if acl:
            for level in (*levels_above(folder), folder):
                if not tree.has(level):
                    self._store.shares.add(Place(tree.account, level), acl)
        return tree.create(folder, self._store.clock.seconds(), uses, acl)

    def _take_out(self, tree: FolderTree, name: str, place: Place) -> tuple[Found, str, int, int]:
        found = self._again(name, place, "x")
        return found, *tree.take_out(place.folder, self._store.clock.seconds())

    def _subscribe(self, name: str, subscribed: bool) -> list[str]:
        """Names whose subscription changed."""
        disk, maildir = self._tree.disk, self._tree.inbox.path
        before = after = read_subscriptions(disk, maildir)
        if subscribed:
            found = self._finder.look_up(name)
            after = after.with_name(found.name if found is not None else canonical(name))
        else:
            for spelling in {name, *spellings(name)}:
                after = after.without(spelling)
        if after is not before:
            write_subscriptions(disk, maildir, after)
        return sorted(before.names ^ after.names)

    def _set_acl(
        self, name: str, place: Place, identifier: str, given: str, sign: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The lists before and after."""
        self._again(name, place, "a")
        before: dict[str, str] = {}

        def alter(truth: FolderTruth) -> FolderTruth:
            before.update(truth.acl)
            acl = dict(truth.acl)
            held = rights.combine(acl.pop(identifier, ""), given, sign)
            if held:
                acl[identifier] = held
            if len(acl) > rights.MAX_ENTRIES:
                raise FolderRefused(FolderReason.LIMIT, "The access list is too long")
            return replace(truth, acl=acl)

        # Entered before it is given, taken out after it is taken: ``Shares`` may name too much.
        self._store.shares.add(place, [identifier])
        after = dict(self._change(place, alter).acl)
        self._store.shares.set(place, after)
        return before, after

    def _change(self, place: Place, alter: Callable[[FolderTruth], FolderTruth]) -> FolderTruth:
        tree = self._store.tree(place.account)
        if place.folder == INBOX:
            tree.inbox.ensure()
        elif not tree.has(place.folder):
            raise no_such_folder()
        path, now = tree.directory(place.folder), self._store.clock.seconds()
        return folder_file.change(tree.disk, tree.home, path, place.account, now, alter)

    # ---- several steps

    async def _annotate(self, place: Place, user: str, annotations: Sequence[Annotation]) -> None:
        uses = None
        if user == place.account:
            uses = metadata.use_in(annotations)
            annotations = [each for each in annotations if each.entry != metadata.SPECIAL_USE]

        def alter(truth: FolderTruth) -> FolderTruth:
            altered = metadata.altered(truth, user, annotations)
            return altered if uses is None else replace(altered, special_use=uses)

        def change() -> FolderTruth:
            if uses:
                told = listing.told_uses(self._tree, self._store.truths)
                special_uses.require_free(uses, place.folder, told)
            return self._change(place, alter)

        async with self._store.lock(place.account):
            truth = await self._store.change(place.account, change)
        if uses is not None:
            self._store.announce(place, truth.acl)

    async def _rename(self, name: str, place: Place, new: str) -> None:
        """Under the account's lock."""
        renaming = _Renaming(self._store.tree(place.account))
        account, shares = place.account, self._store.shares
        try:
            await self._store.change(account, self._rename_on_disk, name, place, new, renaming)
        finally:
            for source, target in renaming.renamed:
                await self._store.live.renamed(account, source, target)
                if renaming.truths[source].acl:
                    await self._store.run(shares.set, Place(account, source), ())
        for folder, truth in renaming.made:
            self._store.announce(Place(account, folder), truth.acl)
        for source, target in renaming.renamed:
            self._store.announce(Place(account, source), renaming.truths[source].acl)
            self._store.announce(Place(account, target), renaming.truths[source].acl)

    def _rename_on_disk(self, name: str, place: Place, new: str, renaming: _Renaming) -> None:
        self._again(name, place, "x")
        tree = renaming.tree
        pairs = tree.to_rename(place.folder, new)
        for source, target in pairs:
            truth = renaming.truths[source] = self._store.truths.of(tree.directory(source))
            if truth.acl:
                self._store.shares.add(Place(place.account, target), truth.acl)
        above = [level for level in levels_above(new) if not tree.has(level)]
        if above:
            renaming.made = self._create(tree, above[-1], frozenset())
        tree.rename(pairs, renaming.renamed)

    async def _empty_inbox_into(self, place: Place, target: Place) -> None:
        """RFC 9051 section 6.3.6: the messages move, the INBOX stays."""
        if place.account != self._account:
            raise FolderRefused(FolderReason.CANNOT, "The INBOX of others stays as it is")
        await self.create(target.folder)
        inbox, folder = await self.folder(INBOX), await self.folder(target.folder)
        await inbox.refresh()
        await inbox.move(list(inbox.messages), folder)  # type: ignore[attr-defined]


def _annotatable(found: Found) -> Found:
    # RFC 5464 section 3.3: besides ``l`` one of these.
    if not set("rswip") & set(permitted(found, "l").rights):
        raise no_permission()
    return found
