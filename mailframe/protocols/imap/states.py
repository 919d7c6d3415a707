"""The states of an IMAP connection (RFC 9051 section 3), and which command belongs to which.

The table of verbs is the only way from the word a client sends to what is done about it. A
verb whose ``power`` the account lacks is unknown, exactly as its capability is not offered.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailframe.protocols.imap.grammar import BadCommand


class State(enum.Enum):
    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"
    """Nothing more is read, nothing more is said."""


@dataclass(frozen=True, slots=True)
class Verb:
    states: frozenset[State]
    power: str = ""
    """What an account must be able to do, see ``capabilities``; empty: nothing special."""


_BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
_LOGGED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})
_ANY = _BEFORE_LOGIN | _LOGGED_IN

VERBS: dict[bytes, Verb] = {
    **dict.fromkeys((b"CAPABILITY", b"NOOP", b"LOGOUT", b"ID"), Verb(_ANY)),
    **dict.fromkeys((b"STARTTLS", b"AUTHENTICATE", b"LOGIN"), Verb(_BEFORE_LOGIN)),
    **dict.fromkeys(
        (
            # RFC 5161 section 3.1 forbids clients to say ENABLE once a folder is selected.
            # Those that do so all the same get what they mean.
            b"ENABLE",
            b"SELECT",
            b"EXAMINE",
            b"CREATE",
            b"DELETE",
            b"RENAME",
            b"SUBSCRIBE",
            b"UNSUBSCRIBE",
            b"LIST",
            b"LSUB",
            b"STATUS",
            b"NAMESPACE",
            b"APPEND",
            b"IDLE",
            b"NOTIFY",
            b"ESEARCH",
            b"COMPRESS",
            b"UNAUTHENTICATE",
        ),
        Verb(_LOGGED_IN),
    ),
    **dict.fromkeys((b"GETQUOTA", b"GETQUOTAROOT", b"SETQUOTA"), Verb(_LOGGED_IN, "QUOTA")),
    **dict.fromkeys(
        (b"GETACL", b"SETACL", b"DELETEACL", b"LISTRIGHTS", b"MYRIGHTS"), Verb(_LOGGED_IN, "ACL")
    ),
    **dict.fromkeys((b"GETMETADATA", b"SETMETADATA"), Verb(_LOGGED_IN, "METADATA")),
    **dict.fromkeys(
        (
            b"CHECK",
            b"CLOSE",
            b"UNSELECT",
            b"EXPUNGE",
            b"FETCH",
            b"STORE",
            b"COPY",
            b"MOVE",
            b"SEARCH",
            b"CANCELUPDATE",
            b"UID",
        ),
        Verb(_SELECTED),
    ),
    # REPLACE names a message of the selected folder.
    b"REPLACE": Verb(_SELECTED),
    **dict.fromkeys((b"SORT", b"THREAD"), Verb(_SELECTED, "SORT")),
}


def check_verb(verb: bytes, state: State, powers: frozenset[str]) -> None:
    """Raises BadCommand for what cannot be said now; ``verb`` is in upper case."""
    row = VERBS.get(verb)
    # What the account cannot do is as unknown after a login as it was never offered.
    if row is None or (state in row.states and row.power and row.power not in powers):
        raise BadCommand("Unknown command" if verb else "The command is missing")
    if state not in row.states:
        raise BadCommand(f"Not in the {state.value} state")
