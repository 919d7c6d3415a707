"""The domains of the author: what stands behind the at-signs of From.

One parser for the house reads the field (``message.mailboxes``). Where it refuses, a mail reader
shows something all the same: whatever looks like a domain there is an author too, so that nobody
evades a domain's policy by writing its name behind a syntax error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailframe.core.address import AddressError
from mailframe.core.characters import OF_DOMAINS, utf8_and
from mailframe.mailauth.dmarc.names import a_label
from mailframe.message import headers
from mailframe.message.mailboxes import MAX_VALUE, parse_mailboxes

MOST_DOMAINS = 4
"""Domains that are looked up for one message; more is no author's doing."""
_OF_DOMAIN = utf8_and(OF_DOMAINS)
_LOOKS_LIKE_DOMAIN = re.compile(rf'@[ "]*({_OF_DOMAIN}+)')
_COMMENT = re.compile(r"\([^()]{0,200}\)")
_MOST_LABELS = 10


@dataclass(frozen=True, slots=True)
class Authors:
    domains: tuple[str, ...]
    """In A-labels, each once."""
    trouble: str = ""
    """What is wrong with From; empty where it is as it should be."""
    are_too_many: bool = False
    """``domains`` are not all of them."""


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
    are_too_many = len(domains) > MOST_DOMAINS or len(fields) > MOST_DOMAINS + 1
    if not domains:
        trouble = trouble or "no domain in From"
    elif len(domains) > MOST_DOMAINS:
        trouble = f"more than {MOST_DOMAINS} domains in From"
    return Authors(domains[:MOST_DOMAINS], trouble, are_too_many)


def _names(value: bytes) -> tuple[list[str], str]:
    try:
        addresses = parse_mailboxes(value)
    except AddressError as error:
        return _guessed(value), f"From is malformed: {error}"
    return [address.domain for address in addresses if not address.is_literal], ""


def _guessed(value: bytes) -> list[str]:
    """What looks like a domain, in a field that is none, comments within it or not."""
    octets = b" ".join(value.split())
    if len(octets) > MAX_VALUE:
        # whoever hides an address behind so much text puts it at the end
        octets = octets[: MAX_VALUE // 2] + b" " + octets[-MAX_VALUE // 2 :]
    text = octets.decode("utf-8", "replace")
    found: list[str] = []
    for each in (text, _COMMENT.sub("", text)):
        looked = _LOOKS_LIKE_DOMAIN.findall(each)
        found += map(_proper_end, looked[: 2 * MOST_DOMAINS] + looked[-2 * MOST_DOMAINS :])
    return list(dict.fromkeys(found))


def _proper_end(name: str) -> str:
    """``x.example`` of ``a..x.example``: the name, or the longest end of it that is one."""
    if a_label(name):
        return name
    labels = name.rstrip(".").split(".")[-_MOST_LABELS:]
    ends = (".".join(labels[start:]) for start in range(1, len(labels) - 1))
    return next((end for end in ends if a_label(end)), "")
