"""From what a directory says about somebody to an account.

Values are whatever people typed into the directory: what is no address, no size or no text is
left out, and never ends the mail of the others. An entry of which no account can be made at all
is a Misfit, a temporary trouble of ours for the peer: somebody is there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import idna

from mailframe.core.address import Address, AddressError
from mailframe.core.units import parse_size
from mailframe.interfaces.accounts import Entry
from mailframe.sources.ldap.active_directory import is_enabled
from mailframe.sources.ldap.errors import Misfit
from mailframe.sources.ldap.settings import LdapSettings
from mailframe.sources.ldap.wire import Found

MOST_ADDRESSES = 500  # of one entry
_KIND = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(.*)", re.DOTALL)
_YES = {"true", "yes", "y", "on", "1", "active", "enabled", "ok"}
_MOST_GROUPS = 500


class Reading:
    """Entries of one directory."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._attributes = settings.attributes

    def entry(self, found: Found, now: float) -> Entry:
        """``now``: seconds since 1970. Raises Misfit."""
        names = self._attributes
        own = self.address(found)
        forward = tuple(self.addresses(found, names.forward))
        if own is None:
            raise Misfit(f"{found.dn!r} has no {' or '.join(names.account)} at a domain of ours")
        addresses = [own, *self._at_home(self.addresses(found, names.addresses))]
        return Entry(
            account=f"{own.local_part}@{own.domain}",
            addresses=tuple(dict.fromkeys(addresses))[:MOST_ADDRESSES],
            forward=tuple(dict.fromkeys(forward))[:MOST_ADDRESSES],
            keeps_copy=bool(names.keep_copy) and self._says_yes(found, names.keep_copy, False),
            is_enabled=self._is_enabled(found, now),
            quota=self._quota(found) if names.quota else None,
            groups=tuple(self._groups(found)) if names.groups else (),
        )

    def address(self, found: Found) -> Address | None:
        """The one that names its account, in its canonical form."""
        for attribute in self._attributes.account:
            for address in self._at_home(self.addresses(found, (attribute,))):
                return canonical(address)
        return None

    def addresses(self, found: Found, attributes: Iterable[str]) -> Iterator[Address]:
        """All that can be read as one, the primary one first; a bare name is at the default
        domain."""
        values = found.texts(*attributes)
        # Of proxyAddresses: ``SMTP:`` is the one that mail is sent from.
        for value in sorted(values, key=lambda one: not one.startswith("SMTP:")):
            address = self.address_of(value)
            if address is not None:
                yield address

    def address_of(self, text: str) -> Address | None:
        """None for what is none, and for those of other kinds of mail (``X400:...``)."""
        kind = _KIND.fullmatch(text)
        if kind is not None and "@" not in kind[1]:
            if kind[1].lower() not in ("smtp", "mailto"):
                return None
            text = kind[2]
        text = text.strip()
        try:
            return with_a_labels(
                Address.parse(text if "@" in text else f"{text}@{self._settings.default_domain}")
            )
        except AddressError:
            return None

    def _at_home(self, addresses: Iterable[Address]) -> Iterator[Address]:
        return (one for one in addresses if one.domain in self._settings.domains)

    def _is_enabled(self, found: Found, now: float) -> bool:
        if self._settings.is_active_directory and not is_enabled(found, now):
            return False
        name = self._attributes.enabled
        return not name or self._says_yes(found, name, True)

    def _says_yes(self, found: Found, attribute: str, default: bool) -> bool:
        """Whoever writes something else than yes means no."""
        texts = list(found.texts(attribute))
        return texts[0].strip().lower() in _YES if texts else default

    def _quota(self, found: Found) -> int | None:
        text = next(found.texts(self._attributes.quota), "").strip()
        try:
            # Dovecot's quota rules and Courier's ``500S`` have more to them.
            return parse_size(text.removesuffix("S"))
        except ValueError:
            return None

    def _groups(self, found: Found) -> Iterator[str]:
        for value in [*found.texts(self._attributes.groups)][:_MOST_GROUPS]:
            yield group_name(value)


def group_name(value: str) -> str:
    """Of an entry's name, its first component's value: ``cn=staff,ou=groups`` -> ``staff``."""
    match = re.match(r"[^=,]*=((?:[^,+\\]|\\.)*)", value, re.DOTALL)
    if match is None:
        return value
    octets = re.sub(
        rb"\\([0-9A-Fa-f]{2}|.)",
        lambda escape: bytes.fromhex(escape[1].decode()) if len(escape[1]) == 2 else escape[1],
        match[1].encode(),
        flags=re.DOTALL,
    )
    return octets.decode(errors="replace").strip()


def canonical(address: Address) -> Address:
    """As account names are: the local-part case-folded."""
    return Address(unicodedata.normalize("NFC", address.local_part.casefold()), address.domain)


def with_a_labels(address: Address) -> Address:
    """Raises AddressError for a domain that has no such form."""
    if address.domain.isascii():
        return address
    try:
        domain = idna.encode(address.domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise AddressError(f"the domain is not a valid international name: {error}") from None
    return Address(address.local_part, domain)
