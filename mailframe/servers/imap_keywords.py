"""Which flags a client has been told of: FLAGS and PERMANENTFLAGS (RFC 9051 sections 7.1, 7.3.5).

SELECT tells those in use; one that comes up later is told before the first FETCH that has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailframe.core.folders import SYSTEM_FLAGS, Flags
from mailframe.protocols.imap import responses
from mailframe.servers.imap_rights import WRITE, storable
from mailframe.servers.imap_selected import Selected

_SYSTEM = frozenset((*SYSTEM_FLAGS, "\\Recent"))


def news(selected: Selected, used: Flags) -> bool:
    """Whether there is a keyword in it that the client has not been told of."""
    return not (used <= _SYSTEM or used - _SYSTEM <= selected.keywords)


def lines(selected: Selected, used: Iterable[Flags] = ()) -> bytes:
    """What to tell from now on; ``used`` are sets of flags that messages have."""
    selected.keywords.update(*used)
    selected.keywords -= _SYSTEM
    flags = [*SYSTEM_FLAGS, *sorted(selected.keywords)]
    return responses.flags(flags) + responses.permanent_flags(_permanent(selected, flags))


def _permanent(selected: Selected, flags: list[str]) -> list[str]:
    if selected.read_only:
        return []
    may = storable(selected.folder, frozenset(flags))
    # RFC 9051 section 7.1: \* for keywords that there are not yet
    return [flag for flag in flags if flag in may] + ["\\*"] * (WRITE in selected.folder.rights)
