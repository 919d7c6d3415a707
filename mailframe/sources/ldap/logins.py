"""What a client typed as its login: an address, a name, or ``CORP\\ann``."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from mailframe.core.address import Address, AddressError
from mailframe.sources.ldap.reading import with_a_labels
from mailframe.sources.ldap.settings import LdapSettings
from mailframe.sources.ldap.templates import Blanks, FilterTemplate

_LONGEST = 320  # octets: no address is longer
_FOLDED_AWAY = re.compile(r"^ | $|  |[\u034f\u1806\ufe00-\ufe0f\ufffc]")


@dataclass(frozen=True, slots=True)
class Login:
    text: str
    blanks: Blanks
    filters: tuple[FilterTemplate, ...]
    """That find who it is; the first that finds somebody does."""


def parse_login(text: str, settings: LdapSettings) -> Login | None:
    """None for what is nobody's here."""
    if not _is_one_spelling(text):
        return None
    if settings.is_active_directory and "\\" in text:
        domain, _, name = text.partition("\\")
        # Any other domain would be one more name for the same account.
        if not name or "\\" in name or domain.lower() != settings.windows_domain.lower():
            return None
        return _with_name(text, name, settings)
    if "@" in text:
        return _with_address(text, text, settings)
    return _with_name(text, text, settings)


def _is_one_spelling(text: str) -> bool:
    """Whether a directory finds nobody by it who has a plainer name.

    Directories compare names in their compatible form, without what nobody sees and without
    spaces around or beside each other (RFC 4518 section 2). Whoever guesses passwords would have
    as many names for one account as he likes, each with failures of its own.
    """
    try:
        octets = len(text.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < octets <= _LONGEST
        and text.isprintable()
        and _FOLDED_AWAY.search(text) is None
        and unicodedata.normalize("NFKC", text) == text
    )


def _with_address(text: str, whole: str, settings: LdapSettings) -> Login | None:
    try:
        address = with_a_labels(Address.parse(whole))
    except AddressError:
        return None
    if str(address).rpartition("@")[0] != whole.rpartition("@")[0]:
        return None  # quoted without need: one more spelling
    if not _is_one_spelling(address.local_part):
        return None
    if address.domain not in settings.domains and address.domain not in settings.login_domains:
        return None
    blanks = Blanks(str(address), address.local_part, address.domain)
    return Login(text, blanks, (settings.user_filter,))


def _with_name(text: str, name: str, settings: LdapSettings) -> Login | None:
    filters = (settings.name_filter,) if settings.name_filter is not None else ()
    domain = settings.default_domain
    if not domain:
        return Login(text, Blanks(name, name), filters) if filters else None
    completed = _with_address(text, f"{name}@{domain}", settings)
    if completed is None:
        return Login(text, Blanks(name, name), filters) if filters else None
    return Login(text, completed.blanks, (*filters, settings.user_filter))
