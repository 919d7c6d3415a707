"""EXPUNGE, UID EXPUNGE and what CLOSE removes (RFC 9051 sections 6.4.1, 6.4.3 and 6.4.9).

Only what this session's client knows of is removed: a message that came since, already marked
``\\Deleted`` by another client, waits until it was told.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.folders import DELETED
from mailframe.protocols.imap.commands import Close, Expunge
from mailframe.protocols.imap.responses import highest_modseq_code
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_rights import EXPUNGE, require_for
from mailframe.servers.imap_selected import Selected


async def expunge(talk: Conversation, command: Expunge) -> Outcome:
    selected = talk.open_folder()
    if selected.read_only:
        raise Refused("The folder is selected read-only", "READ-ONLY")
    require_for(selected.folder, command)
    among: Sequence[int] = selected.view.uids
    if command.uids is not None:
        among = selected.view.resolve(command.uids, uid=True, saved=selected.saved)
    gone = await selected.folder.expunge(_marked(selected, among))
    talk.count_removed(len(gone))
    talk.announce(expunges=True)
    return Outcome("EXPUNGE completed", told_modseq(talk, selected) if gone else "")


async def close(talk: Conversation, command: Close) -> Outcome:
    """Removes what CLOSE has to; the conversation lets go of the folder."""
    selected = talk.open_folder()
    # RFC 9051 section 6.4.1: no error where nothing may be removed
    if command.expunge and not selected.read_only and EXPUNGE in selected.folder.rights:
        gone = await selected.folder.expunge(_marked(selected, selected.view.uids))
        talk.count_removed(len(gone))
    return Outcome("CLOSE completed" if command.expunge else "UNSELECT completed")


def told_modseq(talk: Conversation, selected: Selected) -> str:
    """RFC 7162 sections 3.2.7 and 3.2.8: what the client has seen, once it saw it."""
    return highest_modseq_code(selected.folder.highest_modseq) if talk.condstore else ""


def _marked(selected: Selected, uids: Sequence[int]) -> list[int]:
    messages = selected.folder.messages
    return [uid for uid in uids if uid in messages and DELETED in messages[uid].flags]
