"""LIST and LSUB, with everything that LIST can be asked for besides.

RFC 9051 section 6.3.9, which has LIST-EXTENDED (RFC 5258), SPECIAL-USE (RFC 6154) and
LIST-STATUS (RFC 5819) in it; LIST-MYRIGHTS (RFC 8440), LIST-METADATA (RFC 9590). Every answer
is computed from one list of all folders, sorted by name, in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailframe.core.folders import SEPARATOR, FolderInfo
from mailframe.errors import FolderRefused
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import List
from mailframe.servers.imap_access import my_rights_line
from mailframe.servers.imap_annotations import may_be_noted, metadata_of
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_folders import status_of
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_patterns import matcher
from mailframe.servers.imap_rights import READ
from mailframe.servers.imap_turns import Turn

_BATCH = 200  # lines between two looks at whether the client takes its output

Matches = Callable[[str], bool]


@dataclass(slots=True)
class Line:
    """One folder that is listed."""

    info: FolderInfo
    attributes: list[str]
    child_info: tuple[str, ...] = ()


async def list_folders(talk: Conversation, command: List) -> Outcome:
    word = "LSUB" if command.lsub else "LIST"
    if command.patterns == ("",) and not command.extended:
        # RFC 9051 section 6.3.9: what the separator is
        talk.send(responses.list_line("", ["\\Noselect"], lsub=command.lsub))
        return Outcome(f"{word} completed")
    infos = await talk.folders.all()
    lines = lsub_lines(command, infos) if command.lsub else list_lines(command, infos)
    longest = count = 0
    pause = Turn(talk.factory.clock).pause
    for line in lines:
        await pause()
        if line is None:
            continue
        count += 1
        talk.send(
            responses.list_line(
                line.info.name,
                line.attributes,
                utf8=talk.utf8,
                child_info=line.child_info,
                lsub=command.lsub,
            )
        )
        longest = max(longest, await _tell_more(talk, command, line.info))
        if count % _BATCH == 0:
            await talk.room()
    code = responses.metadata_long_entries_code(longest) if longest else ""
    return Outcome(f"{word} completed", code)


async def list_line_of(talk: Conversation, name: str) -> bytes:
    """What LIST would say of this one folder, whatever signs are in its name."""
    infos = await talk.folders.all()
    info = next((each for each in infos if each.name == name), FolderInfo(name))
    has_children = name in _parents(each.name for each in infos if each.exists)
    attributes = _attributes(List("", (name,)), info, has_children)
    return responses.list_line(name, attributes, utf8=talk.utf8)


async def _tell_more(talk: Conversation, command: List, info: FolderInfo) -> int:
    """STATUS, MYRIGHTS, METADATA of it; the longest value that was left out."""
    if not info.exists:
        return 0
    if command.return_my_rights:
        talk.send(my_rights_line(info.name, info.rights, utf8=talk.utf8))
    longest = 0
    try:
        # RFC 5819 section 2: no STATUS of what cannot be selected
        if command.return_status and READ in info.rights:
            talk.send(await status_of(talk, info.name, command.return_status))
        if command.return_metadata and may_be_noted(info):
            entries, options = command.return_metadata, command.metadata_options
            octets, longest = await metadata_of(talk, info.name, entries, options)
            talk.send(octets)
    except (FolderRefused, Refused):
        # It went since it was listed: RFC 5819 section 2 has nothing said of it then.
        return longest
    return longest


# Which folders, with which attributes


def list_lines(command: List, infos: Sequence[FolderInfo]) -> Iterator[Line | None]:
    """None for each folder that is not listed: a hundred patterns of hundreds of octets take
    their time for each name, so others may have a turn."""
    matches = _any_of(command)
    parents = _parents(info.name for info in infos if info.exists)
    selects = command.only_subscribed or command.only_special_use
    above: dict[str, tuple[str, ...]] = {}
    if command.recursive_match:
        above = _child_info(command, infos)
        infos = _with_levels(infos, above)
    for info in infos:
        child_info = above.get(info.name, ())
        if not matches(info.name):
            yield None
            continue
        # RFC 5258 section 3: what is not there is listed only where the options ask for it,
        # or as a level above something that is.
        is_there = info.exists or info.name in parents
        if not child_info and not (_selected(command, info) if selects else is_there):
            continue
        yield Line(info, _attributes(command, info, info.name in parents), child_info)


def _any_of(command: List) -> Matches:
    each = [matcher(command.reference + pattern) for pattern in command.patterns]
    if len(each) == 1:
        return each[0]
    return lambda name: any(matches(name) for matches in each)


def _selected(command: List, info: FolderInfo) -> bool:
    if command.only_subscribed and not info.subscribed:
        return False
    return not command.only_special_use or bool(info.special_use)


def _attributes(command: List, info: FolderInfo, has_children: bool) -> list[str]:
    found = []
    if not info.exists:
        # RFC 5258 section 3: the second is in the first, but RFC 3501 knows only the second
        found += ["\\NonExistent"] if command.extended else ["\\NonExistent", "\\Noselect"]
    elif READ not in info.rights:
        found.append("\\Noselect")
    # RFC 9051 section 7.3.1: always, whether or not CHILDREN is asked for
    found.append("\\HasChildren" if has_children else "\\HasNoChildren")
    if info.subscribed and (command.only_subscribed or command.return_subscribed):
        found.append("\\Subscribed")
    return found + sorted(info.special_use)


def _parents(names: Iterator[str]) -> set[str]:
    return {level for name in names for level in _levels(name)}


def _levels(name: str) -> Iterator[str]:
    """The levels above, the nearest first."""
    while SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        yield name


def _child_info(command: List, infos: Sequence[FolderInfo]) -> dict[str, tuple[str, ...]]:
    """RFC 5258 section 3.5: which levels have something below that the options select, and that
    is not listed itself."""
    options = []
    if command.only_subscribed:
        options.append("SUBSCRIBED")
    if command.only_special_use:
        options.append("SPECIAL-USE")
    matches = _any_of(command)
    hidden = (i.name for i in infos if _selected(command, i) and not matches(i.name))
    return dict.fromkeys(_parents(hidden), tuple(options))


def _with_levels(
    infos: Sequence[FolderInfo], levels: dict[str, tuple[str, ...]]
) -> list[FolderInfo]:
    """Levels above what is subscribed and gone are no folders."""
    known = {info.name for info in infos}
    missing = [FolderInfo(name, exists=False) for name in levels if name not in known]
    return sorted([*infos, *missing], key=lambda info: info.name)


def lsub_lines(command: List, infos: Sequence[FolderInfo]) -> Iterator[Line | None]:
    """RFC 3501 section 6.3.9: with ``%`` a level above a subscribed folder is told too, as one
    that cannot be selected."""
    matches = _any_of(command)
    subscribed = {info.name: info for info in infos if info.subscribed}
    levels = _parents(iter(subscribed)) - set(subscribed)
    for name in sorted([*subscribed, *levels]):
        if not matches(name):
            yield None
            continue
        if name in levels:
            if "%" in "".join(command.patterns):
                yield Line(FolderInfo(name), ["\\Noselect"])
        else:
            info = subscribed[name]
            yield Line(info, [] if info.exists else ["\\Noselect"])
