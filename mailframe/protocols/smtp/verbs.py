"""The table of verbs: what each one does, who offers it, and its line in the EHLO answer.

A listener may do without verbs and keywords (``ServerSettings.without``): such a verb answers
502, a keyword is not announced and the parameters that belong to it are refused. What comes
without being asked for, pipelined commands, is taken all the same.

A verb's function gets the engine and its argument and returns a reply to give, a decision
to ask for, or None when it has seen to everything. It raises RemoteProtocolError for a
malformed argument. Whether the verb is allowed in the present state was checked before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailframe.core import status
from mailframe.core.envelope import Body as BodyType
from mailframe.core.reply import Reply
from mailframe.errors import RemoteProtocolError
from mailframe.protocols import sasl
from mailframe.protocols.smtp import grammar, parameters
from mailframe.protocols.smtp.events import (
    AuthStart,
    Decision,
    Hello,
    MailFrom,
    RcptTo,
    StartTls,
    Verify,
)
from mailframe.protocols.smtp.grammar import refuse
from mailframe.protocols.smtp.settings import ServerSettings

if TYPE_CHECKING:
    from mailframe.protocols.smtp.conversation import Conversation

OK = Reply(250, status.OTHER, "Ok")
GOODBYE = Reply(221, status.OTHER, "Bye")


def no_keyword(server: Conversation) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Verb:
    run: Callable[[Conversation, bytes], Reply | Decision | None]
    smtp: bool = True
    lmtp: bool = True
    keyword: Callable[[Conversation], str | None] = no_keyword
    """Its EHLO line in the engine's present state, None where it would not work."""


def _hello(verb: str) -> Callable[[Conversation, bytes], Decision]:
    def run(server: Conversation, argument: bytes) -> Decision:
        return Hello(verb, grammar.helo_name(argument, verb))

    return run


def _mail(server: Conversation, argument: bytes) -> Decision:
    settings = server.settings
    # RFC 4954 section 6
    if settings.login_required and not server.authenticated:
        raise refuse(530, status.SECURITY_OTHER, "Authentication required")
    if settings.transactions and server.transactions >= settings.transactions:
        # RFC 9422 section 4: MAILMAX; the client goes on in a new connection
        raise refuse(421, status.SYSTEM_OTHER, "Too many messages on one connection")
    envelope = parameters.mail(
        argument, message_size=settings.message_size, without=lacking(settings.without)
    )
    return MailFrom(envelope)


def _rcpt(server: Conversation, argument: bytes) -> Decision:
    recipient = parameters.rcpt(
        argument,
        smtputf8=server.envelope.smtputf8,
        without=lacking(server.settings.without),
    )
    limit = server.settings.recipients
    if limit and server.accepted >= limit:
        # RFC 5321 section 4.5.3.1.10: a client sends these in another transaction
        raise refuse(452, status.TOO_MANY_RECIPIENTS, "Too many recipients")
    return RcptTo(recipient)


def _data(server: Conversation, argument: bytes) -> Decision:
    grammar.no_argument(argument, "DATA")
    # RFC 3030 section 3
    if server.envelope.body is BodyType.BINARY:
        raise refuse(503, status.INVALID_COMMAND, "BODY=BINARYMIME comes by BDAT")
    return server.begin_text()


def _bdat(server: Conversation, argument: bytes) -> Decision | None:
    return server.begin_chunk(*grammar.chunk(argument))


def _rset(server: Conversation, argument: bytes) -> Reply:
    grammar.no_argument(argument, "RSET")
    server.drop_transaction()
    return OK


def _noop(server: Conversation, argument: bytes) -> Reply:
    return OK


def _help(server: Conversation, argument: bytes) -> Reply:
    known = ", ".join(offered(server))
    return Reply(214, status.OTHER, f"Commands: {known}\nSee RFC 5321")


def _quit(server: Conversation, argument: bytes) -> Reply:
    grammar.no_argument(argument, "QUIT")
    return server.hang_up(GOODBYE, "quit")


def _verify(expand: bool) -> Callable[[Conversation, bytes], Decision]:
    def run(server: Conversation, argument: bytes) -> Decision:
        address, text = grammar.user_or_address(argument)
        return Verify(text, address, expand)

    return run


def _starttls(server: Conversation, argument: bytes) -> Decision:
    # RFC 3207 section 4: with parameters 501
    grammar.no_argument(argument, "STARTTLS")
    if server.encrypted:
        raise refuse(503, status.INVALID_COMMAND, "TLS is active already")
    if not server.can_start_tls:
        raise refuse(454, status.SECURITY_OTHER, "TLS is not available")
    return StartTls()


def _auth(server: Conversation, argument: bytes) -> Decision:
    name, response = grammar.mechanism(argument)
    # RFC 4954 section 4
    if server.authenticated:
        raise refuse(503, status.INVALID_COMMAND, "Already logged in")
    if not server.mechanisms():
        if server.has_login and not server.encrypted:
            raise refuse(538, status.ENCRYPTION_REQUIRED, "Logging in needs TLS")
        raise refuse(503, status.INVALID_COMMAND, "There is no logging in here")
    if name not in server.mechanisms():
        raise refuse(504, status.INVALID_ARGUMENTS, "This mechanism is not offered")
    return AuthStart(name, None if response is None else sasl_octets(response, initial=True))


def sasl_octets(line: bytes, *, initial: bool = False) -> bytes:
    """Base64 of a SASL response; ``=`` alone is an empty initial one (RFC 4954 section 4)."""
    try:
        return sasl.response_octets(line, initial=initial)
    except RemoteProtocolError as error:
        raise refuse(501, status.SYNTAX_ERROR, str(error)) from None


def _auth_keyword(server: Conversation) -> str | None:
    mechanisms = server.mechanisms()
    if not mechanisms or server.authenticated:
        return None
    return " ".join(["AUTH", *mechanisms])


def _starttls_keyword(server: Conversation) -> str | None:
    return "STARTTLS" if server.can_start_tls and not server.encrypted else None


VERBS: dict[str, Verb] = {
    "EHLO": Verb(_hello("EHLO"), lmtp=False),
    "HELO": Verb(_hello("HELO"), lmtp=False),
    # RFC 2033 section 4.1
    "LHLO": Verb(_hello("LHLO"), smtp=False),
    "MAIL": Verb(_mail),
    "RCPT": Verb(_rcpt),
    "DATA": Verb(_data),
    "BDAT": Verb(_bdat, keyword=lambda server: "CHUNKING"),
    "RSET": Verb(_rset),
    "NOOP": Verb(_noop),
    "QUIT": Verb(_quit),
    "STARTTLS": Verb(_starttls, keyword=_starttls_keyword),
    "AUTH": Verb(_auth, keyword=_auth_keyword),
    "VRFY": Verb(_verify(expand=False)),
    "EXPN": Verb(
        _verify(expand=True), keyword=lambda server: "EXPN" if server.answers_expn else None
    ),
    "HELP": Verb(_help, keyword=lambda server: "HELP"),
}

# RFC 5321 section 4.2.4: known, but not here
NOT_IMPLEMENTED = frozenset({"ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML", "BURL", "XCLIENT"})

# What speaks these is no mail client: a web browser or a server that was talked into
# posting to us. Nothing after it may be taken for commands.
FOREIGN = frozenset(
    {"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE"}
)


def _size_keyword(server: Conversation) -> str:
    limit = server.settings.message_size
    return f"SIZE {limit}" if limit else "SIZE"


def _limits_keyword(server: Conversation) -> str | None:
    """RFC 9422 section 4."""
    settings = server.settings
    limits = [("MAILMAX", settings.transactions), ("RCPTMAX", settings.recipients)]
    words = [f"{name}={value}" for name, value in limits if value]
    return " ".join(["LIMITS", *words]) if words else None


_EXTENSIONS: dict[str, Callable[[Conversation], str | None]] = {
    "PIPELINING": lambda server: "PIPELINING",
    "SIZE": _size_keyword,
    "8BITMIME": lambda server: "8BITMIME",
    "SMTPUTF8": lambda server: "SMTPUTF8",
    "ENHANCEDSTATUSCODES": lambda server: "ENHANCEDSTATUSCODES",
    "BINARYMIME": lambda server: "BINARYMIME",
    "DSN": lambda server: "DSN",
    "LIMITS": _limits_keyword,
}

# RFC 5321 section 4.5.1: a server without these is none (it has VRFY too, which may be refused)
CANNOT_DO_WITHOUT = frozenset(
    {"EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"}
)
KNOWN = (frozenset(VERBS) | frozenset(_EXTENSIONS) | NOT_IMPLEMENTED | {"CHUNKING"}) - (
    CANNOT_DO_WITHOUT
)
"""What ``without`` may name; what is never offered does no harm there."""

# What goes with what: one word of them takes the others along.
_TAKES_ALONG = {
    # RFC 3030 section 2: CHUNKING announces BDAT; section 3: BINARYMIME needs it
    "BDAT": ("CHUNKING", "BINARYMIME"),
    "CHUNKING": ("BDAT", "BINARYMIME"),
    # RFC 6531 section 3.1 item 8
    "8BITMIME": ("SMTPUTF8",),
}


@functools.cache
def lacking(without: frozenset[str]) -> frozenset[str]:
    """The words of ``without`` and what cannot be had without them."""
    return without.union(*(_TAKES_ALONG.get(word, ()) for word in without))


def keywords(server: Conversation) -> list[str]:
    """The lines of the EHLO answer after its first."""
    without = lacking(server.settings.without)
    lines = [line(server) for name, line in _EXTENSIONS.items() if name not in without]
    lines += [VERBS[name].keyword(server) for name in offered(server)]
    return [line for line in lines if line is not None]


def offered(server: Conversation) -> list[str]:
    """The verbs of this role and listener."""
    return list(table(server.settings))


def table(settings: ServerSettings) -> dict[str, Verb]:
    """The verbs of such a listener by name."""
    return _table(settings.lmtp, settings.without)


@functools.cache
def _table(lmtp: bool, without: frozenset[str]) -> dict[str, Verb]:
    return {
        name: verb
        for name, verb in VERBS.items()
        if name not in lacking(without) and (verb.lmtp if lmtp else verb.smtp)
    }


def unknown(settings: ServerSettings, name: str) -> RemoteProtocolError:
    """The error for what is not in the table."""
    # RFC 5321 section 4.2.4
    if name in NOT_IMPLEMENTED or name in lacking(settings.without):
        return refuse(502, status.INVALID_COMMAND, "Command not implemented")
    return RemoteProtocolError(
        "unknown verb", Reply(500, status.INVALID_COMMAND, "Command not recognized")
    )
