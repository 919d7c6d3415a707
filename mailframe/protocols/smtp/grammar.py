"""What stands behind a verb: paths, domains, counts (RFC 5321 section 4.1.2, RFC 6531).

Strict, with three exceptions that the field forces on every server:

* blanks after ``FROM:`` and ``TO:`` pass: scanners, printers and monitoring send them;
* HELO takes any visible ASCII word: hosts behind home routers say what they are called, and
  RFC 5321 section 4.1.4 forbids to refuse mail for a HELO that cannot be verified;
* what follows the verb may be padded with blanks on either side.

Angle brackets are not optional. Errors are RemoteProtocolError with the reply to give.
"""

from __future__ import annotations

import re

from mailframe.core import status
from mailframe.core.address import Address, AddressError, normal_domain, split_local_part
from mailframe.core.reply import Reply
from mailframe.core.status import Status
from mailframe.errors import RemoteProtocolError

_MAX_CHUNK_DIGITS = 18
_HELO = re.compile(rb"[!-~]{1,255}")
_CHUNK = re.compile(rb"([0-9]+)(?: +(LAST))?", re.IGNORECASE)
_MECHANISM = re.compile(rb"[A-Z0-9_-]{1,20}", re.IGNORECASE)
_DOMAIN_END = re.compile(r"[,:]")


def refuse(code: int, detail: Status, text: str) -> RemoteProtocolError:
    """The error that makes the engine answer so."""
    return RemoteProtocolError(text, Reply(code, detail, text))


def syntax(text: str) -> RemoteProtocolError:
    return refuse(501, status.INVALID_ARGUMENTS, f"Syntax: {text}")


def no_argument(argument: bytes, verb: str) -> None:
    """RFC 5321 section 4.1.1: these take none."""
    if argument:
        raise syntax(verb)


def helo_name(argument: bytes, verb: str) -> str:
    """The client's name for itself; an assertion for the trace field and nothing more."""
    if not _HELO.fullmatch(argument):
        raise syntax(f"{verb} hostname")
    return argument.decode("ascii")


def path_and_parameters(
    argument: bytes, keyword: str, *, utf8: bool, fault: Status
) -> tuple[str, str]:
    """``FROM:<path> parameters`` -> the path with its brackets off, the parameters.

    ``fault`` is the enhanced status of a malformed path, which differs between the verbs.
    """
    try:
        text = argument.decode("ascii" if not utf8 else "utf-8")
    except UnicodeDecodeError:
        raise _undecodable(keyword, utf8) from None
    # RFC 5321 section 4.1.1.2: the keyword and colon are one token, in any case
    if text[: len(keyword) + 1].upper() != f"{keyword}:":
        raise syntax(f"{'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>")
    rest = text[len(keyword) + 1 :].lstrip(" ")
    if not rest.startswith("<"):
        raise refuse(501, fault, "The address belongs between < and >")
    end = _end_of_path(rest)
    if end < 0:
        raise refuse(501, fault, "The address is malformed")
    parameters = rest[end + 1 :]
    if parameters and not parameters.startswith(" "):
        raise refuse(501, fault, "A blank is missing after the address")
    return rest[1:end], parameters


def _undecodable(keyword: str, utf8: bool) -> RemoteProtocolError:
    if utf8:
        return refuse(501, status.SYNTAX_ERROR, "The command is not valid UTF-8")
    # RFC 6531 section 3.5: 550 for MAIL, 553 for RCPT
    code = 550 if keyword == "FROM" else 553
    return refuse(code, status.NON_ASCII_ADDRESS, "Other characters than ASCII need SMTPUTF8")


def _end_of_path(text: str) -> int:
    """Where the closing bracket stands; brackets within a quoted string do not count."""
    if '"' not in text:
        return text.find(">")
    quoted = escaped = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == ">" and not quoted:
            return position
    return -1


def mailbox(path: str, fault: Status) -> Address:
    """A path without brackets; a source route is checked and thrown away."""
    try:
        return Address.parse(_without_route(path))
    except AddressError as error:
        raise refuse(501, fault, f"Bad address: {error}") from None


def forward_path(path: str) -> Address:
    # RFC 5321 section 4.1.1.3: postmaster needs no domain, in any case of letters
    if path.lower() == "postmaster":
        return Address("postmaster", "")
    if not path:
        raise refuse(501, status.BAD_DESTINATION_SYNTAX, "A recipient cannot be empty")
    return mailbox(path, status.BAD_DESTINATION_SYNTAX)


def _without_route(path: str) -> str:
    """RFC 5321 section 4.1.2 A-d-l, appendix C: MUST be accepted, SHOULD be ignored."""
    while path.startswith("@"):
        end = _DOMAIN_END.search(path)
        if end is None:
            raise AddressError("the source route leads nowhere")
        normal_domain(path[1 : end.start()])
        path = path[end.end() :]
        if end[0] == ":":
            return path
        if not path.startswith("@"):
            raise AddressError("the source route is malformed")
    return path


def chunk(argument: bytes) -> tuple[int, bool]:
    """``BDAT octets [LAST]`` (RFC 3030 section 2)."""
    match = _CHUNK.fullmatch(argument)
    if match is None or len(match[1]) > _MAX_CHUNK_DIGITS:
        raise syntax("BDAT octets [LAST]")
    return int(match[1]), match[2] is not None


def mechanism(argument: bytes) -> tuple[str, bytes | None]:
    """``AUTH mechanism [initial-response]`` (RFC 4954 section 4)."""
    name, blank, initial = argument.partition(b" ")
    if not _MECHANISM.fullmatch(name) or (blank and not initial):
        raise syntax("AUTH mechanism [initial-response]")
    return name.decode("ascii").upper(), initial if blank else None


def user_or_address(argument: bytes) -> tuple[Address | None, str]:
    """What VRFY or EXPN asks about: an address, or else the text of it.

    RFC 5321 section 4.1.1.6, RFC 6531 section 3.7.4.2. A bare local part comes back as an
    address without a domain.
    """
    words, blank, last = argument.rpartition(b" ")
    if blank and last.upper() == b"SMTPUTF8":
        argument = words
    try:
        text = argument.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise syntax("VRFY user") from None
    if not text:
        raise syntax("VRFY user")
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    try:
        local_part, rest = split_local_part(text)
        if not rest:
            return Address(local_part, ""), text
        return Address.parse(text), text
    except AddressError:
        return None, text
