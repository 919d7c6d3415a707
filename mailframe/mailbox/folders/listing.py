"""What a LIST can show: one's own folders, those of others, and what lies between. Synchronous.

Levels above folders are there without being folders, and so is what one subscribed to and
what went since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailframe.core.folders import FolderInfo
from mailframe.errors import PermanentFailure
from mailframe.mailbox.folders import rights, special_uses
from mailframe.mailbox.folders.naming import Place, levels_above, seen_by
from mailframe.mailbox.folders.sharing import Shares
from mailframe.mailbox.folders.subscriptions import read_subscriptions
from mailframe.mailbox.folders.tree import FolderTree
from mailframe.mailbox.folders.truths import Truths


def told_uses(tree: FolderTree, truths: Truths) -> dict[str, frozenset[str]]:
    """Special uses as the files of one's own folders say them."""
    uses = {name: truths.of(path).special_use for name, path in tree.folders().items()}
    return {name: told for name, told in uses.items() if told}


def uses_of(tree: FolderTree, truths: Truths, folder: str) -> frozenset[str]:
    """Of one's own folder, by its file or by its name."""
    # All folders decide only where this one may have a use at all.
    told = truths.of(tree.directory(folder)).special_use
    if not told and not special_uses.is_known(folder):
        return frozenset()
    folders = tree.folders()
    return special_uses.assign(told_uses(tree, truths), folders).get(folder, frozenset())


def everything(
    tree: FolderTree, truths: Truths, shares: Shares, tree_of: Callable[[str], FolderTree]
) -> list[FolderInfo]:
    """Sorted by name. ``tree_of`` gives the folders of whoever shares something."""
    found = _own(tree, truths, shares)
    found.update(_of_others(tree.account, truths, shares, tree_of))
    subscribed = read_subscriptions(tree.disk, tree.inbox.path).names
    for name in (*found, *subscribed):
        for level in levels_above(name):
            found.setdefault(level, FolderInfo(level, exists=False, rights=""))
    for name in subscribed:
        known = found.get(name) or FolderInfo(name, exists=False, rights="")
        found[name] = replace(known, subscribed=True)
    return [found[name] for name in sorted(found)]


def _own(tree: FolderTree, truths: Truths, shares: Shares) -> dict[str, FolderInfo]:
    folders = tree.folders()
    truth_of = {name: truths.of(path) for name, path in folders.items()}
    for name, truth in truth_of.items():
        if truth.acl:  # moved in with its file, perhaps; costs nothing when it is known
            shares.add(Place(tree.account, name), truth.acl)
    told = {name: truth.special_use for name, truth in truth_of.items() if truth.special_use}
    uses = special_uses.assign(told, folders)
    none: frozenset[str] = frozenset()
    return {
        name: FolderInfo(name, special_use=uses.get(name, none), mailbox_id=truth.mailbox_id)
        for name, truth in truth_of.items()
    }


def _of_others(
    account: str, truths: Truths, shares: Shares, tree_of: Callable[[str], FolderTree]
) -> dict[str, FolderInfo]:
    found = {}
    for place in shares.visible_to(account):
        try:
            tree = tree_of(place.account)
        except PermanentFailure:
            continue  # a damaged file named what can be no account
        if not (tree.has(place.folder) and tree.has_inbox()):
            continue
        truth = truths.of(tree.directory(place.folder))
        allowed = rights.effective(truth.acl, account)
        if "l" in allowed:
            name = seen_by(account, place)
            found[name] = FolderInfo(name, rights=allowed, mailbox_id=truth.mailbox_id)
    return found
