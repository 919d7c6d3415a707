"""By what an event can be found besides its id: Message-ID, addresses, the remote's id.

A key is a letter for its kind and the text in one spelling: ``m:<id@host>``, ``a:ann@host``,
``r:4ABCD1234``. Writing and searching use the same functions, so they cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

ADDRESS_FIELDS = ("reverse_path", "forward_path", "account", "original")
_FIELDS = frozenset({*ADDRESS_FIELDS, "message_id", "remote"})
_MAX_KEYS = 1100  # a message may have a thousand recipients; nothing else comes near
_MAX_LENGTH = 998  # RFC 5322 section 2.1.1: no line of a header is longer
# What servers call a message in their 250: "queued as 4Xyz1234", "Ok: 7KQ2M4XD", "id=1abc-DEF-2g".
_REMOTE_ID = re.compile(r"(?:^|[\s=<(:])([A-Za-z0-9][A-Za-z0-9._-]{5,63})(?=$|[\s>),;])")
_HAS_DIGIT = re.compile(r"\d")


def keys_of(detail: Mapping[str, object]) -> set[str]:
    """The keys of one event."""
    found: set[str] = set()
    if _FIELDS.isdisjoint(detail):  # as with every other one
        return found
    for key in _each(detail):
        found.add(key[:_MAX_LENGTH])
        if len(found) >= _MAX_KEYS:
            break
    return found


def search_keys(term: str) -> list[str]:
    """The keys under which what a person typed may lie."""
    keys = [f"r:{term}"]
    if "@" in term:
        bare = term.strip("<>")
        keys += [message_id_key(f"<{bare}>"), address_key(bare)]
    return [key[:_MAX_LENGTH] for key in keys]


def message_id_key(message_id: str) -> str:
    return f"m:{message_id.strip()}"


def address_key(address: str) -> str:
    return f"a:{address.casefold()}"


def _each(detail: Mapping[str, object]) -> Iterator[str]:
    message_id = detail.get("message_id")
    if isinstance(message_id, str) and message_id:
        yield message_id_key(message_id)
    for name in ADDRESS_FIELDS:
        value = detail.get(name)
        if not value:
            continue
        for address in value if isinstance(value, list) else [value]:
            if isinstance(address, str) and "@" in address:
                yield address_key(address)
    reply = detail.get("reply")
    if isinstance(reply, str) and detail.get("remote") and reply.startswith("2"):
        for word in _REMOTE_ID.findall(reply[:512]):
            if _HAS_DIGIT.search(word):
                yield f"r:{word}"
