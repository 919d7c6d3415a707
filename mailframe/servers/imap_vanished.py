"""What went from a folder since a client was here last (RFC 7162 QRESYNC)."""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.interfaces.folders import IFolder, IVanished


async def vanished_since(
    folder: IFolder, since: int, wanted: Sequence[tuple[int, int]]
) -> Sequence[int]:
    """uids, ascending where ``wanted`` does; more than ``wanted`` where the folder remembers.

    A folder that does not: every uid of ``wanted`` that is not there, for RFC 7162 section
    3.2.10.2 allows to tell too many."""
    if IVanished.providedBy(folder):
        return await IVanished(folder).vanished(since)
    there, end = folder.messages, folder.uid_next
    spans = (range(first, min(last + 1, end)) for first, last in wanted)
    return [uid for span in spans for uid in span if uid not in there]
