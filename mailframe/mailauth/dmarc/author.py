"""The domains of the author: what stands behind the at-signs of From.

One parser for the house reads the field (``message.mailboxes``). Where it refuses, a mail reader
shows something all the same: whatever looks like a domain there is an author too, so that nobody
evades a domain's policy by writing its name behind a syntax error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailframe.core.address import AddressError
from mailframe.mailauth.dmarc.names import a_label
from mailframe.message import headers
from mailframe.message.mailboxes import MAX_VALUE, parse_mailboxes

MOST_DOMAINS = 4
"""Domains that are looked up for one message; more is no author's doing."""
_LOOKS_LIKE_DOMAIN = re.compile(r"@[ \t]*([A-Za-z0-9_.\-\u0080-\U0010ffff]+)")


@dataclass(frozen=True, slots=True)
class Authors:
    domains: tuple[str, ...]
    """In A-labels, each once."""
    trouble: str = ""
    """What is wrong with From; empty where it is as it should be."""


def authors(header: bytes) -> Authors:
    fields = list(headers.named(header, "From"))
    if not fields:
        return Authors((), "no From")
    trouble = f"{len(fields)} From fields" if len(fields) > 1 else ""
    names: list[str] = []
    for field in fields[: MOST_DOMAINS + 1]:
        found, wrong = _names(field.value)
        names += found
        trouble = trouble or wrong
    domains = tuple(dict.fromkeys(name for each in names if (name := a_label(each))))
    if not domains:
        trouble = trouble or "no domain in From"
    elif len(domains) > MOST_DOMAINS:
        trouble = f"more than {MOST_DOMAINS} domains in From"
    return Authors(domains[:MOST_DOMAINS], trouble)


def _names(value: bytes) -> tuple[list[str], str]:
    try:
        addresses = parse_mailboxes(value)
    except AddressError as error:
        text = headers.unfolded(value[:MAX_VALUE]).decode("utf-8", "replace")
        return _LOOKS_LIKE_DOMAIN.findall(text)[: 4 * MOST_DOMAINS], f"From is malformed: {error}"
    return [address.domain for address in addresses if not address.is_literal], ""
