"""From what a database or a web service says about an address to an ``Entry``.

Fields by name, each of them optional; one that nobody knows is an error and not ignored, for a
``enable = false`` that nobody understood would let somebody in. Values may be what the other side
finds natural: a list or a text with commas between, ``true``, ``1`` or ``'Y'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailframe.core.address import Address, AddressError
from mailframe.core.units import parse_size
from mailframe.interfaces.accounts import Entry

MOST_ADDRESSES = 10_000  # of one entry; a list larger than this belongs to list software

KNOWN = frozenset(
    {
        *("account", "addresses", "forward", "keep_copy", "is_list", "enabled", "mailbox"),
        *("quota", "quota_messages", "folder", "groups"),
    }
)
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})
_NO = frozenset({"0", "false", "f", "no", "n", "off", ""})
_BETWEEN = re.compile(r"[,\s]+")


class Unusable(ValueError):
    """What was said makes no sense; the text says why, for the log."""


def entry_of(said: Mapping[str, Any], address: Address) -> Entry:
    """``said`` about ``address``. Raises Unusable."""
    unknown = sorted(said.keys() - KNOWN)
    if unknown:
        raise Unusable(f"{unknown[0][:40]!r} is none of {', '.join(sorted(KNOWN))}")
    account = _text(said, "account")
    forward = _addresses(said, "forward")
    has_mailbox = _flag(said, "mailbox", default=bool(account) or not forward)
    return Entry(
        account=completed(account, address.domain) if account else _name_of(address),
        addresses=_addresses(said, "addresses"),
        forward=forward,
        keeps_copy=_flag(said, "keep_copy", default=False),
        is_list=_flag(said, "is_list", default=False),
        is_enabled=_flag(said, "enabled", default=True),
        has_mailbox=has_mailbox,
        quota=_number(said, "quota"),
        quota_messages=_number(said, "quota_messages"),
        folder=_text(said, "folder"),
        groups=tuple(_texts(said, "groups")),
    )


def together(entries: Sequence[Entry]) -> Entry:
    """Of several that were said about one address: a row for each target of an alias, for example.
    Raises Unusable where they contradict each other."""
    first = entries[0]
    for other in entries[1:]:
        mine, its = _but_for_lists(first), _but_for_lists(other)
        if mine != its:
            what = next(name for name in mine if mine[name] != its[name])
            raise Unusable(f"{mine[what]!r} and {its[what]!r} for {what}: which is it?")
    return Entry(
        addresses=_union(entry.addresses for entry in entries),
        forward=_union(entry.forward for entry in entries),
        groups=_union(entry.groups for entry in entries),
        **_but_for_lists(first),
    )


def completed(account: str, domain: str) -> str:
    """A name without a domain is of the domain that was asked about."""
    return account if "@" in account else f"{account}@{domain}"


def _name_of(address: Address) -> str:
    return f"{address.local_part}@{address.domain}"


def _but_for_lists(entry: Entry) -> dict[str, Any]:
    return {
        "account": entry.account,
        "keeps_copy": entry.keeps_copy,
        "is_list": entry.is_list,
        "is_enabled": entry.is_enabled,
        "has_mailbox": entry.has_mailbox,
        "quota": entry.quota,
        "quota_messages": entry.quota_messages,
        "folder": entry.folder,
    }


def _union(lists: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
    united = tuple(dict.fromkeys(one for each in lists for one in each))
    if len(united) > MOST_ADDRESSES:
        raise Unusable(f"more than {MOST_ADDRESSES} addresses")
    return united


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable(f"{name} is no text")
    return value.strip()


def _texts(said: Mapping[str, Any], name: str) -> list[str]:
    value = said.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        value = _BETWEEN.split(value)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise Unusable(f"{name} is no list of texts")
    if len(value) > MOST_ADDRESSES:
        raise Unusable(f"{name} has more than {MOST_ADDRESSES} of them")
    return [one.strip() for one in value if one.strip()]


def _addresses(said: Mapping[str, Any], name: str) -> tuple[Address, ...]:
    try:
        return tuple(dict.fromkeys(map(Address.parse, _texts(said, name))))
    except AddressError as error:
        raise Unusable(f"{name} has what is no address: {error}") from None


def _flag(said: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = said.get(name)
    if value is None:
        return default
    text = str(int(value)) if isinstance(value, bool) else str(value).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise Unusable(f"{name} is neither true nor false: {str(value)[:40]!r}")


def _number(said: Mapping[str, Any], name: str) -> int | None:
    """Octets may be written ``500M``."""
    value = said.get(name)
    if value is None:
        return None
    try:
        number = parse_size(value) if isinstance(value, str) else int(value)
    except (ValueError, TypeError, OverflowError):
        raise Unusable(f"{name} is no number: {str(value)[:40]!r}") from None
    if isinstance(value, bool) or (number != value and not isinstance(value, str)):
        raise Unusable(f"{name} is no whole number: {str(value)[:40]!r}")
    if not 0 <= number < 1 << 63:
        raise Unusable(f"{name} is {number}")
    return number
