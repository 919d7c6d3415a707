"""One DMARC record as a value (RFC 9989 section 4.7; RFC 7489 section 6.3 for ``pct`` and ``ri``).

Only ``v`` must be right: a tag that is unknown is ignored, one whose value is malformed counts as
its default, and of two of one name the first counts. Without a usable ``p`` the record asks for
nothing, and is one at all only where it says whom to send reports to (RFC 9989 section 4.10.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from mailframe.core.address import Address, AddressError
from mailframe.core.authentication import DmarcAction

_MAX_RECORD = 4_096
_MAX_URIS = 10
_VERSION = re.compile(r"\s*v\s*=\s*DMARC1\s*(?:;|$)")
_ACTIONS = {action.value: action for action in DmarcAction}
_SIZE = re.compile(r"!([0-9]{1,12})([kmgt]?)$", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_OPTIONS = frozenset("01ds")


@dataclass(frozen=True, slots=True)
class ReportUri:
    address: Address
    most: int = 0
    """Octets of a report that it takes; 0: any number."""


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    policy: DmarcAction = DmarcAction.NONE
    subdomains: DmarcAction | None = None
    """``sp``; None: as ``policy``."""
    nonexistent: DmarcAction | None = None
    """``np``; None: as ``subdomains``."""
    strict_dkim: bool = False
    strict_spf: bool = False
    is_testing: bool = False
    """``t=y``: one step milder than it says."""
    psd: str = "u"
    """``y``, ``n``, or ``u``."""
    percent: int = 100
    failure_options: frozenset[str] = frozenset("0")
    aggregate: tuple[ReportUri, ...] = ()
    """``rua``; only mailto, as nobody uses others."""
    failure: tuple[ReportUri, ...] = ()
    """``ruf``"""
    interval: int = 86_400
    """``ri`` in seconds."""
    text: str = ""
    """As published."""

    def action_for(self, *, is_own: bool, exists: bool) -> DmarcAction:
        """``is_own``: the record stands at the domain in question, not above it."""
        if is_own:
            return self.policy
        below = self.policy if self.subdomains is None else self.subdomains
        # RFC 9989 section 4.7
        return below if exists or self.nonexistent is None else self.nonexistent


def parse_record(octets: bytes) -> DmarcRecord | None:
    """None for what is no DMARC record. Never raises."""
    text = octets[:_MAX_RECORD].decode("latin-1")
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for name, value in _tags(text):
        tags.setdefault(name, value)
    aggregate = _uris(tags.get("rua", ""))
    policy = _action(tags, "p")
    spoilt = any(name in tags and _action(tags, name) is None for name in ("sp", "np"))
    # RFC 9989 section 4.10.1: no valid p, or a broken sp or np
    if policy is None or spoilt:
        # what it says about the tree stands all the same
        if not aggregate and tags.get("psd", "").lower() not in ("y", "n"):
            return None
        tags = {name: value for name, value in tags.items() if name not in ("sp", "np")}
        policy = DmarcAction.NONE
    percent = tags.get("pct", "")
    interval = tags.get("ri", "")
    options = frozenset(tags.get("fo", "0").lower().replace(" ", "").split(":")) & _OPTIONS
    psd = tags.get("psd", "u").lower()
    return DmarcRecord(
        policy=policy,
        subdomains=_action(tags, "sp"),
        nonexistent=_action(tags, "np"),
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        is_testing=tags.get("t", "").lower() == "y",
        psd=psd if psd in ("y", "n") else "u",
        percent=int(percent) if re.fullmatch("[0-9]{1,2}", percent) else 100,
        failure_options=options or frozenset("0"),
        aggregate=aggregate,
        failure=_uris(tags.get("ruf", "")),
        interval=int(interval) if re.fullmatch("[0-9]{1,9}", interval) else 86_400,
        text=text,
    )


def is_well_formed(octets: bytes) -> bool:
    """Whether it is a list of ``tag=value`` to its end, with the version first."""
    text = octets[:_MAX_RECORD].decode("latin-1")
    pieces = [piece for piece in text.split(";") if piece.strip()]
    return _VERSION.match(text) is not None and all("=" in piece for piece in pieces)


def _tags(text: str) -> Iterator[tuple[str, str]]:
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        if equals:
            yield name.strip().lower(), value.strip()


def _action(tags: dict[str, str], name: str) -> DmarcAction | None:
    return _ACTIONS.get(tags.get(name, "").lower())


def _uris(value: str) -> tuple[ReportUri, ...]:
    """RFC 7489 section 6.4: addresses with a size; what cannot be read is left out."""
    found = []
    for each in value.split(",")[:_MAX_URIS]:
        uri = each.strip()
        size = _SIZE.search(uri)
        if size is not None:
            uri = uri[: size.start()]
        if uri[:7].lower() != "mailto:":
            continue
        try:
            address = Address.parse(unquote(uri[7:].partition("?")[0]))
        except AddressError:
            continue
        most = int(size[1]) << _UNITS[size[2].lower()] if size is not None else 0
        found.append(ReportUri(address, most))
    return tuple(found)
