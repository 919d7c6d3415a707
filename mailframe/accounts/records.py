"""What the directory holds, as values."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.scram import ScramVerifier


@dataclass(frozen=True, slots=True)
class User:
    name: str
    """Canonical account name."""
    password: str
    """``$argon2id$...`` or an imported ``{SCHEME}hash``; empty: no password logs in."""
    scram: ScramVerifier | None
    """None until the user logged in once with the password itself."""
    quota_bytes: int
    """Octets; 0 is no limit."""
    quota_messages: int
    disabled: bool
    created: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    """A-labels, lower case."""
    users: int
    aliases: int
    created: float


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    """``local-part@domain``, or ``@domain`` for the catch-all."""
    targets: tuple[Address, ...]
    is_list: bool
    """Whether EXPN may name the targets."""


@dataclass(frozen=True, slots=True)
class MovedAddress:
    name: str
    to: Address


@dataclass(frozen=True, slots=True)
class Quota:
    octets: int
    """0 is no limit; likewise ``messages``."""
    messages: int
