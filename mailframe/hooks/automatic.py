"""Whether a message may be answered by a program (RFC 3834 section 2): never one that another
program wrote, nor one from a list, or two programs would write to each other for ever."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from mailframe.core.address import Address
from mailframe.message.encoded_words import decode_header
from mailframe.message.headers import fields, has_more_than

MAX_HOPS = 30
"""Received fields of a message that is answered; more are of a loop, or lead into one."""
_MAX_VALUE = 1_000
_FIRST_WORD = re.compile(r"\s*([^\s;(,]*)")
_PRECEDENCES = frozenset({"bulk", "list", "junk", "auto_reply"})
_LIST_FIELDS = frozenset(
    f"list-{word}"
    for word in ("help", "subscribe", "unsubscribe", "post", "owner", "archive", "id")
)
# Exchange's: the sender wants no answers of programs
_SUPPRESSED = frozenset({"all", "autoreply", "oof"})
_PROGRAMS = frozenset({"mailer-daemon", "listserv", "majordomo", "mdaemon", "noreply", "no-reply"})


def why_automatic(header: bytes, sender: Address | None) -> str:
    """Why it is the work of a program, of a list, or wants no answer of a program; empty where
    nothing says so. ``sender``: the reverse-path."""
    if sender is None:
        return "it has the null reverse-path"
    if why := _by_name(sender):
        return why
    for field in fields(header):
        say = _SIGNS.get(field.name.lower())
        if say is not None and (why := say(_value(field.value))):
            return f"{field.name}: {why}" if why != "-" else f"it has {field.name}"
    return ""


def why_loop(header: bytes, sender: Address | None, to: Address, own: Collection[Address]) -> str:
    """Why an answer would make a loop, whatever the application says; empty where it would not.
    ``own``: the addresses that the message came to."""
    if sender is None:
        return "it has the null reverse-path"
    if any(is_same(mine, to) or is_same(mine, sender) for mine in own):
        return "it is from the address that it came to"
    for field in fields(header):
        if field.name.lower() == "auto-submitted" and _word(_value(field.value)) == "auto-replied":
            return "it is an automatic answer itself"
    if has_more_than(MAX_HOPS, header, "Received"):
        return f"it has come over more than {MAX_HOPS} hosts"
    return ""


def is_same(one: Address, other: Address) -> bool:
    """But for the detail: whoever answers ``orders+7`` also answers ``orders+8``."""
    return one.domain == other.domain and _base(one) == _base(other)


def _base(address: Address) -> str:
    return address.local_part.casefold().partition("+")[0]


def _by_name(sender: Address) -> str:
    # RFC 3834 section 2 names these
    name = sender.local_part.casefold()
    if name in _PROGRAMS or name.startswith("owner-") or name.endswith(("-request", "-owner")):
        return f"it is from {sender}"
    return ""


def _value(value: bytes) -> str:
    return decode_header(value[:_MAX_VALUE]).strip()


def _word(value: str) -> str:
    match = _FIRST_WORD.match(value)
    return match[1].casefold() if match else ""


def _auto_submitted(value: str) -> str:
    # RFC 3834 section 5: anything but "no", with or without parameters; what nobody can read, too
    return "" if not value or _word(value) == "no" else value[:80]


def _precedence(value: str) -> str:
    return value[:80] if _word(value) in _PRECEDENCES else ""


def _suppress(value: str) -> str:
    words = {word.strip().casefold() for word in value.split(",")}
    return value[:80] if words & _SUPPRESSED else ""


def _return_path(value: str) -> str:
    return "it has the null reverse-path" if value == "<>" else ""


_SIGNS: dict[str, Callable[[str], str]] = {
    "auto-submitted": _auto_submitted,
    "precedence": _precedence,
    "x-auto-response-suppress": _suppress,
    "return-path": _return_path,
    **dict.fromkeys(_LIST_FIELDS, lambda value: "-"),
}
