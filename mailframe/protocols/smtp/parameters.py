"""ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.1.11), by grammar.

Each is parsed, checked and passed on in the envelope; what we do not know is refused with
555 as the RFC asks. A parameter given twice, or one that contradicts another, is refused:
of two readers of the same command neither shall see another envelope.

Parameters are taken after HELO too. RFC 5321 ties them to EHLO, but what they ask for works
all the same, and refusing would lose mail of old devices.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from mailframe.core import status, xtext
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient, Return
from mailframe.protocols.smtp import grammar
from mailframe.protocols.smtp.grammar import refuse

# esmtp-value allows all but "=", blanks and control characters; UTF-8 by RFC 6531 section 3.4
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}")
_MAX_ENVID = 100  # RFC 3461 section 4.4, in octets of the encoded form
_MAX_ORCPT = 500  # RFC 3461 section 4.2

Given = dict[str, str | None]


def mail(argument: bytes, *, message_size: int, without: frozenset[str] = frozenset()) -> Envelope:
    """The argument of MAIL -> an envelope without recipients.

    ``message_size`` is the limit in octets (0: none): a larger SIZE is refused right here.
    ``without``: EHLO keywords that are not offered, whose parameters are refused.
    """
    utf8 = _asks_for_utf8(argument)
    path, text = grammar.path_and_parameters(
        argument, "FROM", utf8=utf8, fault=status.BAD_SENDER_SYNTAX
    )
    given = _split(text, _offered(_MAIL, without)) if text else {}
    reverse_path = grammar.mailbox(path, status.BAD_SENDER_SYNTAX) if path else None
    if not given:
        return Envelope(reverse_path)
    values = {keyword: _MAIL[keyword](value) for keyword, value in given.items()}
    size = values.get("SIZE")
    body = values.get("BODY", Body.SEVEN_BIT)
    if body.value in without:
        raise refuse(504, status.INVALID_ARGUMENTS, f"BODY={body.value} is not offered")
    # RFC 1870 section 6.1
    if isinstance(size, int) and message_size and size > message_size:
        raise refuse(552, status.MESSAGE_TOO_BIG, f"Messages may have {message_size} octets")
    return Envelope(
        reverse_path=reverse_path,
        body=body,
        smtputf8="SMTPUTF8" in values,
        ret=values.get("RET"),
        envid=values.get("ENVID"),
        declared_size=size,
        extra={"AUTH": values["AUTH"]} if "AUTH" in values else {},
    )


@functools.lru_cache(maxsize=1024)
def rcpt(argument: bytes, *, smtputf8: bool, without: frozenset[str] = frozenset()) -> Recipient:
    """The argument of RCPT; ``smtputf8`` is what the transaction's MAIL asked for. Kept: most mail
    is for few addresses."""
    path, text = grammar.path_and_parameters(
        argument, "TO", utf8=smtputf8, fault=status.BAD_DESTINATION_SYNTAX
    )
    given = _split(text, _offered(_RCPT, without)) if text else {}
    address = grammar.forward_path(path)
    if not given:
        return Recipient(address)
    values = {keyword: _RCPT[keyword](value) for keyword, value in given.items()}
    return Recipient(address, notify=values.get("NOTIFY"), orcpt=values.get("ORCPT"))


def _offered(
    known: dict[str, Callable[[str | None], Any]], without: frozenset[str]
) -> dict[str, Callable[[str | None], Any]]:
    """The parameters but those that belong to keywords that are not offered."""
    if not without:
        return known
    return {name: parse for name, parse in known.items() if not _KEYWORDS[name] <= without}


def _asks_for_utf8(argument: bytes) -> bool:
    """Looked at before the argument can be decoded; the grammar decides again afterwards."""
    return b" " in argument and b"SMTPUTF8" in argument.upper().split(b" ")[1:]


def _split(text: str, known: dict[str, Callable[[str | None], Any]]) -> Given:
    given: Given = {}
    for word in filter(None, text.split(" ")):
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise refuse(501, status.INVALID_ARGUMENTS, "A parameter is malformed")
        keyword = match[1].upper()
        if keyword not in known:
            # RFC 5321 section 4.1.1.11
            raise refuse(555, status.INVALID_ARGUMENTS, f"Parameter {keyword} is not supported")
        if keyword in given:
            raise refuse(501, status.INVALID_ARGUMENTS, f"Parameter {keyword} is given twice")
        given[keyword] = match[2]
    return given


def _bad(keyword: str) -> Exception:
    return refuse(501, status.INVALID_ARGUMENTS, f"The value of {keyword} is malformed")


def _size(value: str | None) -> int:
    if value is None or not _SIZE.fullmatch(value):
        raise _bad("SIZE")
    return int(value)


def _body(value: str | None) -> Body:
    try:
        return Body((value or "").upper())
    except ValueError:
        raise _bad("BODY") from None


def _smtputf8(value: str | None) -> bool:
    if value is not None:
        raise _bad("SMTPUTF8")
    return True


def _ret(value: str | None) -> Return:
    try:
        return Return((value or "").upper())
    except ValueError:
        raise _bad("RET") from None


def _envid(value: str | None) -> str:
    if value is None or len(value) > _MAX_ENVID:
        raise _bad("ENVID")
    try:
        return xtext.decode(value)
    except ValueError:
        raise _bad("ENVID") from None


def _auth(value: str | None) -> str:
    """RFC 4954 section 5: ``<>`` or an xtext mailbox."""
    if value is None:
        raise _bad("AUTH")
    if value == "<>":
        return value
    try:
        return str(Address.parse(xtext.decode(value)))
    except ValueError:
        raise _bad("AUTH") from None


def _notify(value: str | None) -> frozenset[Notify]:
    words = (value or "").upper().split(",")
    try:
        wanted = frozenset(Notify(word) for word in words)
    except ValueError:
        raise _bad("NOTIFY") from None
    # RFC 3461 section 4.1: NEVER stands alone
    if len(wanted) != len(words) or (Notify.NEVER in wanted and len(wanted) > 1):
        raise _bad("NOTIFY")
    return wanted


def _orcpt(value: str | None) -> str:
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or len(value or "") > _MAX_ORCPT or not _ADDRESS_TYPE.fullmatch(kind):
        raise _bad("ORCPT")
    try:
        # RFC 6533 section 3
        decode = xtext.decode_utf8_address if kind.lower() == "utf-8" else xtext.decode
        return f"{kind};{decode(address)}"
    except ValueError:
        raise _bad("ORCPT") from None


_MAIL: dict[str, Callable[[str | None], Any]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "RET": _ret,
    "ENVID": _envid,
    "AUTH": _auth,
}
_RCPT: dict[str, Callable[[str | None], Any]] = {"NOTIFY": _notify, "ORCPT": _orcpt}

# The EHLO keywords that announce a parameter: one of them is enough.
_KEYWORDS: dict[str, frozenset[str]] = {
    "SIZE": frozenset({"SIZE"}),
    # RFC 6152 section 3, RFC 3030 section 3
    "BODY": frozenset({"8BITMIME", "BINARYMIME"}),
    "SMTPUTF8": frozenset({"SMTPUTF8"}),
    "AUTH": frozenset({"AUTH"}),
    # RFC 3461 section 4
    **dict.fromkeys(("RET", "ENVID", "NOTIFY", "ORCPT"), frozenset({"DSN"})),
}
