"""GETMETADATA and SETMETADATA (RFC 5464): notes on folders and on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailframe.core.folders import Annotation
from mailframe.interfaces.folders import IAnnotations
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import GetMetadata, MetadataOptions, SetMetadata
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_rights import (
    INSERT,
    KEEP_SEEN,
    LOOKUP,
    POST,
    READ,
    WRITE,
    HasRights,
    require,
)

_PRIVATE = "/private/"
_SHARED = "/shared/"

AnnotationListener = Callable[[str, Sequence[str]], None]
"""Hears the name of a folder, or an empty one for the server, and its entries."""


async def get_metadata(talk: Conversation, command: GetMetadata) -> Outcome:
    await _check(talk, command.mailbox)
    octets, longest = await metadata_of(talk, command.mailbox, command.entries, command.options)
    talk.send(octets)
    code = responses.metadata_long_entries_code(longest) if longest else ""
    return Outcome("GETMETADATA completed", code)


async def metadata_of(
    talk: Conversation, name: str, entries: Sequence[str], options: MetadataOptions
) -> tuple[bytes, int]:
    """The untagged response, or nothing; and the longest value that was too long, or 0."""
    wanted = [_entry(entry) for entry in entries]
    there = await IAnnotations(talk.folders).annotations(name)
    found: dict[str, Annotation] = {}
    longest = 0
    for entry in wanted:
        for annotation in there:
            if not _is_below(annotation.entry, entry, options.depth):
                continue
            octets = len(annotation.value or b"")
            # RFC 5464 section 4.2.1
            if options.max_size is not None and octets > options.max_size:
                longest = max(longest, octets)
            else:
                found[annotation.entry] = annotation
        if options.depth == 0 and not any(a.entry == entry for a in there):
            found[entry] = Annotation(entry, None)
    return responses.metadata(name, found.values(), talk.utf8), longest


def _is_below(entry: str, wanted: str, depth: int | None) -> bool:
    if entry == wanted:
        return True
    if depth == 0 or not entry.startswith(wanted + "/"):
        return False
    return depth is None or "/" not in entry[len(wanted) + 1 :]


async def set_metadata(talk: Conversation, command: SetMetadata) -> Outcome:
    annotations = [Annotation(_entry(entry), value) for entry, value in command.entries]
    shared = any(annotation.entry.startswith(_SHARED) for annotation in annotations)
    await _check(talk, command.mailbox, WRITE if shared else "")
    await IAnnotations(talk.folders).annotate(command.mailbox, annotations)
    entries = [annotation.entry for annotation in annotations]
    talk.factory.annotations.tell(talk.session.account or "", command.mailbox, entries)
    return Outcome("SETMETADATA completed")


class AnnotationEvents:
    """Who wants to hear when notes change: sessions of the same account (RFC 5465)."""

    def __init__(self) -> None:
        self._listeners: dict[AnnotationListener, str] = {}

    def watch(self, account: str, listener: AnnotationListener) -> None:
        self._listeners[listener] = account

    def forget(self, listener: AnnotationListener) -> None:
        """Harmless where nobody listens."""
        self._listeners.pop(listener, None)

    def tell(self, account: str, name: str, entries: Sequence[str]) -> None:
        for listener, whose in list(self._listeners.items()):
            if whose == account:
                listener(name, entries)


def may_be_noted(folder: HasRights) -> bool:
    """RFC 5464 section 3.3: a folder that can be looked up, and that something may be done in."""
    held = folder.rights
    return LOOKUP in held and any(right in held for right in (READ, KEEP_SEEN, WRITE, INSERT, POST))


async def _check(talk: Conversation, name: str, rights: str = "") -> None:
    """``rights``: besides. The server's own notes are the account's to guard."""
    if not name:
        return
    folder = await talk.folders.folder(name)
    require(folder, rights if may_be_noted(folder) else LOOKUP + READ)


def _entry(name: str) -> str:
    """RFC 5464 section 3.2: without case. Raises BadCommand."""
    entry = name.lower()
    if not entry.startswith((_PRIVATE, _SHARED)) and entry not in ("/private", "/shared"):
        raise BadCommand("An entry begins with /private/ or /shared/")
    if entry.endswith("/") or "//" in entry or "*" in entry or "%" in entry:
        raise BadCommand("That is no name of an entry")
    return entry
