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
from mailframe.servers.imap_message_limit import limited, one_code
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_rights import EXPUNGE, require_for
from mailframe.servers.imap_selected import Selected


async def expunge(talk: Conversation, command: Expunge) -> Outcome:
    selected = talk.open_folder()
    if selected.read_only:
        raise Refused("The folder is selected read-only", "READ-ONLY")
    require_for(selected.folder, command)
    marked: Sequence[int]
    limit = ""
    if command.uids is None:
        # RFC 9738 section 3.1: without uids there is no limit
        marked = _marked(selected, selected.view.uids)
    else:
        among = selected.view.resolve(command.uids, uid=True, saved=selected.saved)
        marked, limit = limited(talk, _marked(selected, among))
    gone = await selected.folder.expunge(marked)
    talk.count_removed(len(gone))
    talk.announce(expunges=True)
    code = told_modseq(talk, selected) if gone else ""
    return Outcome("EXPUNGE completed", one_code(talk, code, limit))


async def close(talk: Conversation, command: Close) -> Outcome:
    """Removes what CLOSE has to; the conversation lets go of the folder."""
    selected = talk.open_folder()
    # RFC 9051 section 6.4.1: no error where nothing may be removed
    may = command.expunge and not selected.read_only and EXPUNGE in selected.folder.rights
    # A folder that was deleted meanwhile has none, and is left like any other.
    if may and (marked := _marked(selected, selected.view.uids)):
        talk.count_removed(len(await selected.folder.expunge(marked)))
    return Outcome("CLOSE completed" if command.expunge else "UNSELECT completed")


def told_modseq(talk: Conversation, selected: Selected) -> str:
    """RFC 7162 sections 3.2.7 and 3.2.8: what the client has seen, once it saw it."""
    return highest_modseq_code(selected.folder.highest_modseq) if talk.condstore else ""


def _marked(selected: Selected, uids: Sequence[int]) -> list[int]:
    messages = selected.folder.messages
    return [uid for uid in uids if uid in messages and DELETED in messages[uid].flags]
