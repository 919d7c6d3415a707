"""Which verb is allowed when: rules, theory, tables, and nothing else.

Rules
    1. A verb outside its states is answered 503 and changes nothing.
    2. Only a positive reply moves on; a refused command leaves the state as it was.

Theory
    Five states take commands. ``CONNECTED`` knows no name of the client, ``READY`` does.
    ``MAIL`` has a reverse-path, ``RCPT`` at least one accepted recipient as well.
    ``CHUNKING`` stands between two BDATs of one message. In the others input is not
    commands: the text of DATA, the octets of a BDAT chunk, a SASL response. ``TLS`` waits
    for the handshake and forgets what comes before it; ``GREETING`` has not greeted yet.

RFC 5321 section 4.1.4 (order of commands), RFC 3030, RFC 3207 section 4.2, RFC 4954.
"""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """Numbers, because those are hashed fastest: every step looks into a table by its state."""

    GREETING = enum.auto()
    CONNECTED = enum.auto()
    READY = enum.auto()
    MAIL = enum.auto()
    RCPT = enum.auto()
    CHUNKING = enum.auto()
    TEXT = enum.auto()
    CHUNK = enum.auto()
    BODY_END = enum.auto()
    SASL = enum.auto()
    TLS = enum.auto()
    CLOSED = enum.auto()


COMMAND_STATES = frozenset({State.CONNECTED, State.READY, State.MAIL, State.RCPT, State.CHUNKING})
TRANSACTION_STATES = frozenset(
    {State.MAIL, State.RCPT, State.CHUNKING, State.TEXT, State.CHUNK, State.BODY_END}
)

ALLOWED: dict[str, frozenset[State]] = {
    "EHLO": COMMAND_STATES,
    "HELO": COMMAND_STATES,
    "LHLO": COMMAND_STATES,
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.CHUNKING}),
    "RSET": COMMAND_STATES,
    "NOOP": COMMAND_STATES,
    "HELP": COMMAND_STATES,
    "VRFY": COMMAND_STATES,
    "EXPN": COMMAND_STATES,
    "QUIT": COMMAND_STATES,
    "STARTTLS": frozenset({State.READY}),
    "AUTH": frozenset({State.READY}),
}

OUT_OF_ORDER: dict[tuple[str, State], str] = {
    ("MAIL", State.CONNECTED): "Say hello first",
    ("RCPT", State.CONNECTED): "Say hello first",
    ("DATA", State.CONNECTED): "Say hello first",
    ("BDAT", State.CONNECTED): "Say hello first",
    ("AUTH", State.CONNECTED): "Say hello first",
    ("STARTTLS", State.CONNECTED): "Say hello first",
    ("MAIL", State.MAIL): "There is a sender already",
    ("MAIL", State.RCPT): "There is a sender already",
    ("RCPT", State.READY): "MAIL comes first",
    ("DATA", State.READY): "MAIL comes first",
    ("BDAT", State.READY): "MAIL comes first",
    ("DATA", State.CHUNKING): "The message comes by BDAT",
    ("AUTH", State.MAIL): "Not during a mail transaction",
    ("AUTH", State.RCPT): "Not during a mail transaction",
    ("STARTTLS", State.MAIL): "Not during a mail transaction",
    ("STARTTLS", State.RCPT): "Not during a mail transaction",
}
