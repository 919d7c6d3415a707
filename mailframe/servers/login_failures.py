"""Why a login came to nothing, whichever the protocol: told apart once, worded once."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailframe.errors import (
    INTERNAL_ERROR,
    Failure,
    LoginFailed,
    LoginThrottled,
    MailboxBusy,
    PermanentFailure,
)
from mailframe.interfaces import IAuthenticator
from mailframe.protocols import sasl


class Why(enum.Enum):
    """What a protocol has a response code for."""

    WRONG = "the credentials are the problem"
    IN_USE = "another session holds the mailbox"
    TEMPORARY = "likely to go away"
    PERMANENT = "will not go away by itself"
    OUR_BUG = "to be logged with its traceback"


@dataclass(frozen=True, slots=True)
class NoEntry:
    """What a failed login means: for the client, and for the journal."""

    text: str
    why: Why
    reason: str

    @property
    def expected(self) -> bool:
        return self.why is not Why.OUR_BUG


def no_entry(error: Exception) -> NoEntry:
    if isinstance(error, LoginFailed):
        return NoEntry("Wrong login or password", Why.WRONG, error.detail or "wrong")
    if isinstance(error, LoginThrottled):
        return NoEntry(error.reply.text, Why.TEMPORARY, "throttled")
    if isinstance(error, MailboxBusy):
        return NoEntry("Another session has this mailbox open", Why.IN_USE, "mailbox in use")
    if isinstance(error, Failure):
        why = Why.PERMANENT if isinstance(error, PermanentFailure) else Why.TEMPORARY
        return NoEntry(_one_line(error.reply.text), why, str(error))
    return NoEntry(INTERNAL_ERROR.text, Why.OUR_BUG, "internal error")


def last_words(why: Why, mechanism: str, authenticator: IAuthenticator) -> bytes:
    """What a client hears before it is told that its login failed; empty: nothing. Only a token
    that is no good gets it: with a new one the client would come no further otherwise."""
    if why is not Why.WRONG or mechanism not in sasl.TOKEN_MECHANISMS:
        return b""
    terms = authenticator.token_terms
    return sasl.token_refusal(mechanism, terms.scope, terms.openid_configuration)


def _one_line(text: str) -> str:
    """A Reply may have several lines; those of POP3 and IMAP have one."""
    return text.replace("\n", " ")
