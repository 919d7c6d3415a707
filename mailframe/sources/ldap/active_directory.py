"""Active Directory: who is shut out there, and why a bind was refused.

Attributes and codes are those of MS-ADTS and MS-SAMR; Samba has the same.
"""

from __future__ import annotations

import re

from mailframe.sources.ldap.wire import Found

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""The matching rule that follows groups within groups (MS-ADTS 3.1.1.3.4.4.3)."""
ATTRIBUTES = ("useraccountcontrol", "accountexpires")

_DISABLED = 0x2  # of userAccountControl (MS-ADTS 2.2.16)
_NEVER = {0, 0x7FFF_FFFF_FFFF_FFFF}
_BEFORE_UNIX = 11_644_473_600  # seconds from 1601 to 1970
_TICKS = 10_000_000  # a second

_DATA = re.compile(r"\bdata ([0-9a-f]{1,8})\b", re.IGNORECASE)
_REASONS = {
    0x525: "no such user",
    0x52E: "wrong password",
    0x530: "not at this time of day",
    0x531: "not from this computer",
    0x532: "the password has expired",
    0x533: "the account is disabled",
    0x701: "the account has expired",
    0x773: "the password must be changed first",
    0x775: "the account is locked after failed logins",
}


def is_enabled(found: Found, now: float) -> bool:
    """Neither disabled nor expired at ``now``, seconds since 1970. A lock is short, and about
    logins only: the directory refuses those itself."""
    control = _number(found, "useraccountcontrol")
    if control is not None and control & _DISABLED:
        return False
    expires = _number(found, "accountexpires")
    if expires is None or expires in _NEVER:
        return True
    return now < expires / _TICKS - _BEFORE_UNIX


def _number(found: Found, attribute: str) -> int | None:
    text = next(found.texts(attribute), "")
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII) else None


def reason_of(text: str) -> str:
    """What the diagnostic message of a refused bind means; empty where that is not known."""
    match = _DATA.search(text)
    return _REASONS.get(int(match[1], 16), "") if match else ""
