"""Every command: when it may be said, how long its line may be, what CAPA says of it.

The table is the only way from the word a client sends to what the engine does, and CAPA is
read off the same rows (RFC 2449 section 5). Capabilities that describe the server (TOP,
UIDL ...) are shown in both states, as RFC 2449 section 6 asks; those that invite to a command
(STLS, SASL, USER) only while that command would be taken.

UTF8 (RFC 6856) only changes what the client may expect. Without it, messages with UTF-8 in
their header go out as they are, neither refused with ``[UTF8]`` nor downgraded: Dovecot does
the same, clients have been fed such messages for decades, and a downgraded copy would differ
in size from what LIST says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailframe.protocols.pop3.states import State

_AUTHORIZATION = (State.AUTHORIZATION,)
_TRANSACTION = (State.TRANSACTION,)
_BOTH = _AUTHORIZATION + _TRANSACTION

# RFC 2449 section 4, CRLF included. A login of 254 octets does not fit into that, hence the
# second; RFC 5034 section 4 sets the third for AUTH and what follows it.
LINE_LIMIT = 255
LOGIN_LINE_LIMIT = 1024
AUTH_LINE_LIMIT = 12_288


@dataclass(frozen=True, slots=True)
class Offer:
    """What the connection can do right now, as far as CAPA depends on it."""

    state: State
    stls: bool
    password: bool
    """Whether USER and PASS would be taken."""
    sasl: tuple[str, ...]


Capability = Callable[[Offer], str | None]


def _always(line: str) -> Capability:
    return lambda offer: line


def _inviting(line: Callable[[Offer], str | None]) -> Capability:
    return lambda offer: line(offer) if offer.state is State.AUTHORIZATION else None


@dataclass(frozen=True, slots=True)
class Verb:
    states: tuple[State, ...]
    arguments: range | None = range(1)
    """How many; None: the rest of the line is one argument, spaces and all."""
    limit: int = LINE_LIMIT
    capability: Capability | None = None


VERBS: dict[bytes, Verb] = {
    b"CAPA": Verb(_BOTH),
    b"STLS": Verb(_AUTHORIZATION, capability=_inviting(lambda o: "STLS" if o.stls else None)),
    b"AUTH": Verb(
        _AUTHORIZATION,
        range(3),
        AUTH_LINE_LIMIT,
        _inviting(lambda o: f"SASL {' '.join(o.sasl)}" if o.sasl else None),
    ),
    b"USER": Verb(
        _AUTHORIZATION,
        None,
        LOGIN_LINE_LIMIT,
        _inviting(lambda o: "USER" if o.password else None),
    ),
    b"PASS": Verb(_AUTHORIZATION, None, LOGIN_LINE_LIMIT),
    b"APOP": Verb(_AUTHORIZATION, None, LOGIN_LINE_LIMIT),
    # RFC 6856 section 2.1: the argument says that USER and PASS take UTF-8 too.
    b"UTF8": Verb(_AUTHORIZATION, capability=lambda o: "UTF8 USER" if o.password else "UTF8"),
    b"LANG": Verb(_BOTH, range(2), capability=_always("LANG")),
    b"STAT": Verb(_TRANSACTION),
    b"LIST": Verb(_TRANSACTION, range(2)),
    b"UIDL": Verb(_TRANSACTION, range(2), capability=_always("UIDL")),
    b"RETR": Verb(_TRANSACTION, range(1, 2)),
    b"TOP": Verb(_TRANSACTION, range(2, 3), capability=_always("TOP")),
    b"DELE": Verb(_TRANSACTION, range(1, 2)),
    b"RSET": Verb(_TRANSACTION),
    b"NOOP": Verb(_TRANSACTION),
    b"QUIT": Verb(_BOTH),
}

# What no single command stands for. EXPIRE NEVER: mail is not deleted on the server's own
# account (RFC 2449 section 6.7).
_GENERAL = (
    "RESP-CODES",
    "AUTH-RESP-CODE",
    "PIPELINING",
    "EXPIRE NEVER",
    "IMPLEMENTATION mailframe",
)


def capabilities(offer: Offer) -> list[str]:
    """The lines of the CAPA reply."""
    lines = [verb.capability(offer) for verb in VERBS.values() if verb.capability]
    return [line for line in lines if line is not None] + list(_GENERAL)


_LIMITS = {word: verb.limit for word, verb in VERBS.items() if verb.limit > LINE_LIMIT}
# They are all as long, which is what lets the beginning of a line tell its limit.
(LIMITED_WORD,) = {len(word) for word in _LIMITS}


def line_limit(beginning: bytes) -> int:
    """How long the line may be, in octets with its CRLF, whose first ``LIMITED_WORD`` octets, as
    far as they have come, are these."""
    return _LIMITS.get(beginning.upper(), LINE_LIMIT)
