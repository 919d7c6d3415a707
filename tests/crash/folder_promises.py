"""The promises of IMAP: what a user saw of his folders holds after a power cut.

Each command is a ``Step``: what the user saw before, and what he asked for. ``Done`` is what he
saw when it had been answered. While a step is under way each of its messages may be as before or
as after, unless the command is all or none; nothing else may be different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mailframe.testing.crash import Moment
from tests.crash.letters import Sight
from tests.crash.seeing import FolderSeen, View

Messages = Mapping[int, tuple[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Folder:
    """As a client was told: uids with letter and flags."""

    name: str
    uid_validity: int
    uid_next: int
    lines: tuple[tuple[int, str, frozenset[str]], ...]

    @property
    def messages(self) -> Messages:
        return {uid: (letter, flags) for uid, letter, flags in self.lines}


@dataclass(frozen=True, slots=True)
class Tree:
    """All folders of an account."""

    folders: tuple[Folder, ...] = ()
    subscriptions: frozenset[str] = frozenset()

    def named(self) -> dict[str, Folder]:
        return {folder.name: folder for folder in self.folders}


@dataclass(frozen=True, slots=True)
class Step:
    """``kind`` is a key of ``_RULES``; ``target`` a folder or a name, ``uids`` those asked for,
    ``letters`` those put in, ``flags`` what messages shall have afterwards."""

    number: int
    account: str
    kind: str
    before: Tree
    folder: str = ""
    target: str = ""
    uids: tuple[int, ...] = ()
    letters: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Done:
    number: int
    account: str
    after: Tree


def tree_of(folders: Mapping[str, FolderSeen], subscriptions: frozenset[str]) -> Tree:
    return Tree(
        tuple(
            Folder(
                name,
                seen.uid_validity,
                seen.uid_next,
                tuple((uid, sight.name, flags) for uid, (sight, flags) in seen.messages.items()),
            )
            for name, seen in sorted(folders.items())
        ),
        subscriptions,
    )


def broken_folder_promises(view: View, moment: Moment) -> Iterator[str]:
    yield from view.wrong
    yield from (f"litter stays: {name}" for name in view.litter)
    for account, folders in view.folders.items():
        yield from _partial(account, folders)
        seen = tree_of(folders, view.subscriptions.get(account, frozenset()))
        steps = [f for f in moment.begun if isinstance(f, Step) and f.account == account]
        done = [f for f in moment.told if isinstance(f, Done) and f.account == account]
        yield from _reused(seen, [fact.after for fact in done])
        if not steps:
            continue
        if done and done[-1].number == steps[-1].number:
            yield from _same(done[-1].after, seen)
        else:
            yield from _RULES[steps[-1].kind](steps[-1], seen)


def _partial(account: str, folders: Mapping[str, FolderSeen]) -> Iterator[str]:
    for name, folder in folders.items():
        for uid, (sight, _) in folder.messages.items():
            if not sight.is_whole:
                yield f"{account} sees a part of {sight.name or 'something'}: {name} {uid}"


def _reused(seen: Tree, told: list[Tree]) -> Iterator[str]:
    """RFC 9051 section 2.3.1.1: name, UIDVALIDITY and uid are one message for ever."""
    known = {}
    for tree in told:
        for folder in tree.folders:
            for uid, letter, _ in folder.lines:
                known[folder.name, folder.uid_validity, uid] = letter
    for folder in seen.folders:
        for uid, letter, _ in folder.lines:
            before = known.get((folder.name, folder.uid_validity, uid), letter)
            if before != letter:
                yield f"uid {uid} of {folder.name} was {before} and is {letter}"


def _same(told: Tree, seen: Tree, but: frozenset[str] = frozenset()) -> Iterator[str]:
    """``but``: folders that are judged by themselves."""
    before, after = told.named(), seen.named()
    for name in sorted((before.keys() | after.keys()) - but):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is there"
        else:
            yield from _same_folder(before[name], after[name])
    if told.subscriptions != seen.subscriptions and "subscriptions" not in but:
        yield f"subscriptions are {sorted(seen.subscriptions)}, not {sorted(told.subscriptions)}"


def _same_folder(told: Folder, seen: Folder, uids: frozenset[int] = frozenset()) -> Iterator[str]:
    """``uids``: those that are judged by themselves."""
    if seen.uid_validity != told.uid_validity:
        yield f"{told.name} has another UIDVALIDITY"
        return
    if seen.uid_next < told.uid_next:
        yield f"{told.name} would give uid {seen.uid_next} again"
    before, after = told.messages, seen.messages
    for uid in sorted((before.keys() | after.keys()) - uids):
        if before.get(uid) != after.get(uid):
            yield f"{told.name} {uid} was {_said(before, uid)} and is {_said(after, uid)}"


def _said(messages: Messages, uid: int) -> str:
    if uid not in messages:
        return "nothing"
    letter, flags = messages[uid]
    return " ".join([letter, *sorted(flags)])


def _new(told: Folder, seen: Folder) -> dict[int, str]:
    """What came in under uids that were nobody's."""
    return {
        uid: letter
        for uid, (letter, _) in seen.messages.items()
        if uid not in told.messages and uid >= told.uid_next
    }


def _append(step: Step, seen: Tree) -> Iterator[str]:
    yield from _came_in(step, seen, step.folder, step.letters)


def _copy(step: Step, seen: Tree) -> Iterator[str]:
    messages = step.before.named()[step.folder].messages
    letters = tuple(messages[uid][0] for uid in step.uids)
    yield from _came_in(step, seen, step.target, letters)


def _came_in(step: Step, seen: Tree, folder: str, letters: tuple[str, ...]) -> Iterator[str]:
    """All or none."""
    yield from _same(step.before, seen, frozenset([folder]))
    told, found = step.before.named()[folder], seen.named().get(folder)
    if found is None:
        yield f"{folder} is gone"
        return
    new = _new(told, found)
    yield from _same_folder(told, found, frozenset(new))
    if new and sorted(new.values()) != sorted(letters):
        yield f"{sorted(new.values())} came into {folder}, not {sorted(letters)}"


def _store(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset([step.folder]))
    told, found = step.before.named()[step.folder], seen.named()[step.folder]
    yield from _same_folder(told, found, frozenset(step.uids))
    for uid in step.uids:
        letter, flags = told.messages[uid]
        if found.messages.get(uid) not in ((letter, flags), (letter, step.flags)):
            yield f"{step.folder} {uid} is {_said(found.messages, uid)}"


def _expunge(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset([step.folder]))
    told, found = step.before.named()[step.folder], seen.named()[step.folder]
    yield from _same_folder(told, found, frozenset(step.uids))
    for uid in step.uids:
        if uid in found.messages and found.messages[uid] != told.messages[uid]:
            yield f"{step.folder} {uid} is {_said(found.messages, uid)}"


def _move(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset([step.folder, step.target]))
    source, target = step.before.named()[step.folder], step.before.named()[step.target]
    left, found = seen.named()[step.folder], seen.named()[step.target]
    new = _new(target, found)
    yield from _same_folder(target, found, frozenset(new))
    yield from _same_folder(source, left, frozenset(step.uids))
    arrived = sorted(new.values())
    for uid in step.uids:
        letter = source.messages[uid][0]
        times = arrived.count(letter) + (uid in left.messages)
        if times != 1:
            yield f"{letter} is there {times} times after a move that was cut off"


def _create(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset([step.folder]))
    found = seen.named().get(step.folder)
    if found is not None and found.lines:
        yield f"{step.folder} is not empty"


def _delete(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset([step.folder]))
    if step.folder in seen.named():
        yield from _same_folder(step.before.named()[step.folder], seen.named()[step.folder])


def _rename(step: Step, seen: Tree) -> Iterator[str]:
    """Each folder below it is under its old name or its new one."""
    before, after = step.before.named(), seen.named()
    moving = {
        name: step.target + name[len(step.folder) :]
        for name in before
        if name == step.folder or name.startswith(step.folder + "/")
    }
    judged = frozenset(moving) | frozenset(moving.values())
    yield from _same(step.before, seen, judged)
    for old, new in moving.items():
        if (old in after) == (new in after):
            yield f"{old} is there {'twice' if old in after else 'no more'}"
            continue
        found = after.get(old) or after[new]
        told = before[old]
        letters = {(letter, flags) for letter, flags in told.messages.values()}
        if {(letter, flags) for letter, flags in found.messages.values()} != letters:
            yield f"{found.name} has not what {old} had"


def _subscribe(step: Step, seen: Tree) -> Iterator[str]:
    yield from _same(step.before, seen, frozenset(["subscriptions"]))
    if seen.subscriptions not in (step.before.subscriptions, step.before.subscriptions
                                  ^ {step.folder}):  # fmt: skip
        yield f"subscriptions are {sorted(seen.subscriptions)}"


_RULES: dict[str, Callable[[Step, Tree], Iterator[str]]] = {
    "append": _append,
    "copy": _copy,
    "store": _store,
    "expunge": _expunge,
    "move": _move,
    "create": _create,
    "delete": _delete,
    "rename": _rename,
    "subscribe": _subscribe,
}

__all__ = ["Done", "Sight", "Step", "Tree", "broken_folder_promises", "tree_of"]
