"""Canonical names: the one place that decides when two addresses are one account.

RFC 5321 section 2.4 leaves the case of local-parts to the receiving host; ours folds it.
Domains are compared as A-labels (UTS 46), so ``Ελλάδα.example`` and its ``xn--`` form are one.
"""

from __future__ import annotations

import unicodedata

import idna

from mailframe.accounts.errors import InvalidEntry
from mailframe.core.address import Address, AddressError, normal_domain

_MAX_LOGIN = 320  # octets; 64 + 1 + 255 is the longest address RFC 5321 can spell


def domain_key(domain: str) -> str:
    """The domain as lower-case A-labels. Raises AddressError when it has no such form."""
    if domain.startswith("[") or domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise AddressError(f"the domain is not a valid international name: {error}") from None


def entered_domain(text: str) -> str:
    """The canonical name of a domain that its owner typed. Raises InvalidEntry."""
    try:
        name = domain_key(normal_domain(text))
    except AddressError as error:
        raise InvalidEntry(f"{text!r} is no domain: {error}") from None
    if name.startswith("["):
        raise InvalidEntry(f"{text!r} is an address literal, not a domain")
    return name


def fold(local_part: str) -> str:
    return unicodedata.normalize("NFC", local_part.casefold())


def account_key(address: Address) -> str:
    """``local-part@domain`` for looking up. Raises AddressError."""
    return f"{fold(address.local_part)}@{domain_key(address.domain)}"


def login_key(login: bytes | str, default_domain: str) -> str | None:
    """The account a login name means; None for what can name no account.

    A bare local-part gets ``default_domain``, where one is set.
    """
    try:
        text = login.decode() if isinstance(login, bytes) else login
        if len(text.encode()) > _MAX_LOGIN:
            return None
        local, at, domain = text.rpartition("@")
        if not at:
            local, domain = text, default_domain
        return account_key(Address.build(local, domain)) if domain else None
    except (UnicodeError, AddressError):
        return None


def split_account(account: str) -> tuple[str, str]:
    """Local-part and domain of an account name."""
    local, _, domain = account.rpartition("@")
    return local, domain
