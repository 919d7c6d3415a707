"""What a domain may decide for itself, beside the configuration of the whole server.

A setting that is not made is None, which means: as the configuration says. ``KEYS`` is the one
table of what there is and how it is written; ``mailframe domain set`` and whoever reads the
rows go by it. The tenant is a column of the domain, all else are rows of ``domain_settings``.
A row that a later release wrote, or that makes no sense, is left alone and not believed.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailframe.accounts.errors import InvalidEntry

_LONGEST_TENANT = 64
_MOST_POINTS = 1000.0
SHARES = ("user", "domain", "site")


@dataclass(frozen=True, slots=True)
class DomainSettings:
    tenant: str
    """Whose domain it is: domains of one tenant trust each other. By default a domain is its own
    tenant, under its own name."""
    junk: float | None = None
    """Score from which mail for its users goes to Junk."""
    reject: float | None = None
    """Score from which it is refused; 0 = never."""
    share: str | None = None
    """Whose training counts beside a user's own: ``user`` (nobody's), ``domain`` or ``site``."""


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        raise InvalidEntry(f"{text!r} is no number") from None
    if not math.isfinite(points) or not 0 <= points <= _MOST_POINTS:
        raise InvalidEntry(f"{text!r} is not between 0 and {_MOST_POINTS:g}")
    return points


def _share(text: str) -> str:
    if text not in SHARES:
        raise InvalidEntry(f"{text!r} is none of {', '.join(SHARES)}")
    return text


def _tenant(text: str) -> str:
    if not text or len(text) > _LONGEST_TENANT or not text.isprintable() or text != text.strip():
        raise InvalidEntry(f"{text!r} cannot name a tenant: 1 to {_LONGEST_TENANT} characters")
    return text


KEYS: dict[str, Callable[[str], float | str]] = {
    "tenant": _tenant,
    "junk": _points,
    "reject": _points,
    "share": _share,
}


def parsed(key: str, text: str) -> float | str:
    """The value of a setting as it is written. Raises InvalidEntry."""
    parse = KEYS.get(key)
    if parse is None:
        raise InvalidEntry(f"there is no setting {key!r}, only {', '.join(KEYS)}")
    try:
        return parse(text)
    except InvalidEntry as error:
        raise InvalidEntry(f"{key}: {error}") from None


def find_settings(connection: sqlite3.Connection, domain: str) -> DomainSettings:
    """``domain`` is canonical; the defaults where it is not here."""
    row = connection.execute("SELECT tenant FROM domains WHERE name = ?", (domain,)).fetchone()
    rows = connection.execute("SELECT key, value FROM domain_settings WHERE domain = ?", (domain,))
    believed = {key: _believed(key, value) for key, value in rows if key in _OF_ROWS}
    return DomainSettings(row[0] if row and row[0] else domain, **believed)


_OF_ROWS = frozenset(KEYS) - {"tenant"}


def _believed(key: str, text: str) -> Any:
    try:
        return parsed(key, text)
    except InvalidEntry:
        return None


def write_setting(connection: sqlite3.Connection, domain: str, key: str, text: str | None) -> None:
    """None goes back to the default. Raises InvalidEntry; the domain is there."""
    if key not in KEYS or text is not None:
        parsed(key, text or "")
    if key == "tenant":
        connection.execute("UPDATE domains SET tenant = ? WHERE name = ?", (text or "", domain))
    elif text is None:
        connection.execute(
            "DELETE FROM domain_settings WHERE domain = ? AND key = ?", (domain, key)
        )
    else:
        connection.execute(
            "INSERT OR REPLACE INTO domain_settings VALUES (?, ?, ?)", (domain, key, text)
        )
