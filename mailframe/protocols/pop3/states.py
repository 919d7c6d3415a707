"""The states of RFC 1939 section 3, and what leads from one to the next.

A table and nothing else: a trigger that is not in a state's row is our own mistake.
"""

from __future__ import annotations

import enum

from mailframe.errors import LocalProtocolError


class State(enum.Enum):
    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"
    CLOSED = "CLOSED"
    """Nothing more is read, nothing more is said."""


class Trigger(enum.Enum):
    LOGGED_IN = "the maildrop is open and locked"
    QUIT = "the client said QUIT"
    UPDATED = "the marked messages are gone"
    GIVEN_UP = "one side has had enough"


TRANSITIONS: dict[State, dict[Trigger, State]] = {
    State.AUTHORIZATION: {
        Trigger.LOGGED_IN: State.TRANSACTION,
        # RFC 1939 section 6: QUIT before a login enters no UPDATE state.
        Trigger.QUIT: State.CLOSED,
        Trigger.GIVEN_UP: State.CLOSED,
    },
    State.TRANSACTION: {
        Trigger.QUIT: State.UPDATE,
        Trigger.GIVEN_UP: State.CLOSED,
    },
    State.UPDATE: {
        Trigger.UPDATED: State.CLOSED,
    },
    State.CLOSED: {},
}


def after(state: State, trigger: Trigger) -> State:
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise LocalProtocolError(f"{trigger.name} cannot happen in {state.name}") from None
