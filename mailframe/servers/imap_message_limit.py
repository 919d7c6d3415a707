"""MESSAGELIMIT (RFC 9738): one command works on so many messages at most.

FETCH, STORE, SEARCH, MOVE and UID EXPUNGE do the newest ones and say how far they came; what is
of use only as a whole (COPY, SORT, THREAD) is refused. EXPUNGE and CLOSE have no limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.search import And, SearchKey, UidIn
from mailframe.protocols.imap.responses import message_limit_code, no
from mailframe.protocols.imap.sets import picked
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_criteria import spans
from mailframe.servers.imap_outcome import Refused
from mailframe.servers.imap_selected import Selected


def limited(talk: Conversation, uids: Sequence[int]) -> tuple[Sequence[int], str]:
    """At most so many of them, the newest ones, and the response code that says so."""
    most = talk.factory.limits.messages
    if not most or len(uids) <= most:
        return uids, ""
    # RFC 9738 section 3.1: the lowest uid that was dealt with
    kept = uids[len(uids) - most :]
    return kept, message_limit_code(most, kept[0])


def require_few(talk: Conversation, uids: Sequence[int]) -> None:
    """Raises Refused where they are more."""
    most = talk.factory.limits.messages
    if most and len(uids) > most:
        raise Refused("Too many messages at once", message_limit_code(most))


def one_code(talk: Conversation, code: str, limit: str) -> str:
    """RFC 9738 section 3.1: where the tagged response has another code, the limit is told
    before it."""
    if code and limit:
        talk.send(no("Only the newest messages were dealt with", limit))
    return code or limit


def limited_search(talk: Conversation, selected: Selected, key: SearchKey) -> tuple[SearchKey, str]:
    """RFC 9738 section 3.1: it is the messages that are looked at that count."""
    most, known = talk.factory.limits.messages, selected.view.uids
    if not most or len(known) <= most:
        return key, ""
    kept, code = limited(talk, looked_at(key, known))
    return And((UidIn(tuple(spans(kept, known))), key)) if code else key, code


def looked_at(key: SearchKey, uids: Sequence[int]) -> Sequence[int]:
    """Those of ``uids`` that the key's own UID sets leave."""
    match key:
        case UidIn(ranges):
            return picked(uids, ranges)
        case And(keys):
            for each in keys:
                uids = looked_at(each, uids)
            return uids
        case _:
            return uids
