"""Signing mail with the keys of the directory (``ISigner``).

Which key: that of the one domain that all authors in From have, or of the nearest domain above
it that is here and has a key. A domain that is here itself is signed for by a parent only
where both are of one tenant: tenants do not vouch for each other. A message without exactly
one From field, or whose authors are of several domains, is not signed.

The directory is asked for each message, so that a key activated on the command line signs the
next one; which keys a domain has is remembered as long as the directory does not change.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.accounts import lookup
from mailframe.accounts.directory import Directory
from mailframe.accounts.dkim_keys import DkimKey, KeyState, keys_of
from mailframe.accounts.domain_settings import find_settings
from mailframe.accounts.names import domain_key
from mailframe.accounts.own_records import OwnRecords
from mailframe.core.address import AddressError
from mailframe.interfaces import IMessageSource, ISigner, IWorkers
from mailframe.mailauth.dkim import SigningKey, is_usable, sign_dkim, verify_dkim
from mailframe.message.headers import Field, named
from mailframe.message.mailboxes import parse_mailboxes
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.remembered import Found

OpenBody = Callable[[], Awaitable[IMessageSource]]

_MOST_LABELS = 10
_MOST_SIGNATURES = 20  # ours is on top, but for what lists and forwarders added
_NAMED = re.compile(rb"(?:^|;)[ \t\r\n]*([ds])[ \t\r\n]*=[ \t\r\n]*([^; \t\r\n]*)")


@implementer(ISigner)
class DkimSigner:
    """``workers`` is where hashing and signing happen; ``clock`` dates signatures (``t=``)."""

    log = Logger()

    def __init__(self, directory: Directory, workers: IWorkers, clock: IReactorTime) -> None:
        self._directory = directory
        self._workers = workers
        self._clock = clock
        self._keys = directory.remembering(self._look)

    def sign(self, header: bytes, open_body: OpenBody) -> Deferred[bytes]:
        return as_deferred(self._sign(header, open_body))

    def renewed(
        self, header: bytes, open_body: OpenBody, before: bytes, open_body_before: OpenBody
    ) -> Deferred[bytes]:
        return as_deferred(self._renewed(header, open_body, before, open_body_before))

    async def key_for(self, domain: str) -> SigningKey | None:
        """The key for what is not one message's own, such as ARC seals: RSA where there is one,
        since not everybody can verify the other. None where the domain does not sign."""
        keys = await self._keys.ask(domain)
        # RFC 8463 section 6: whoever sends only Ed25519 is not understood everywhere
        ordered = sorted(keys, key=lambda key: key.algorithm != "rsa-sha256")
        return ordered[0] if ordered else None

    async def _sign(
        self, header: bytes, open_body: OpenBody, allowed: Collection[str] | None = None
    ) -> bytes:
        """``allowed``: domains whose keys may be used; None: any."""
        domain = author_domain(header)
        if domain is None:
            return b""
        keys = await self._keys.ask(domain)
        chosen = [key for key in keys if allowed is None or key.domain in allowed]
        return await sign_dkim(header, open_body, self._workers, chosen, now=self._clock.seconds())

    def _look(self, connection: sqlite3.Connection, domain: str) -> Found[tuple[SigningKey, ...]]:
        """On a reader's thread."""
        keys = self._usable(_keys_for(connection, domain))
        signing = tuple(
            SigningKey(key.domain, key.selector, key.algorithm, key.private) for key in keys
        )
        # A parent signs for domains below it without number.
        is_named = any(key.domain == domain for key in signing)
        return Found(signing, domain, is_named, size=1 + len(signing))

    def _usable(self, keys: Iterable[DkimKey]) -> list[DkimKey]:
        """A key that cannot be read, after a restore gone wrong, is no reason to hold up mail:
        it goes out unsigned by it, and the log says so. Blocks."""
        usable = []
        for key in keys:
            if is_usable(key.private, key.algorithm):
                usable.append(key)
            else:
                self.log.error("the private key of {name} is unusable", name=key.record_name)
        return usable

    async def _renewed(
        self, header: bytes, open_body: OpenBody, before: bytes, open_body_before: OpenBody
    ) -> bytes:
        signatures = islice(named(before, "DKIM-Signature"), _MOST_SIGNATURES)
        signers = {_signer_of(field) for field in signatures}
        if not signers:
            return header
        keys = await self._directory.ask(lambda connection: self._named(connection, signers))
        if not keys:
            return header
        # A stranger can write the name of our key too; a fresh signature would make his words
        # ours. Only what our key did sign is signed again.
        results = await verify_dkim(
            OwnRecords(keys),
            before,
            open_body_before,
            self._workers,
            now=self._clock.seconds(),
        )
        ours = {(each.domain.lower(), each.selector.lower()) for each in results if each}
        if not ours:
            return header
        rest = _without(header, ours)
        # Who has a key of one domain, imported or copied, must not speak for another with it.
        return await self._sign(rest, open_body, {domain for domain, _ in ours}) + rest

    def _named(
        self, connection: sqlite3.Connection, signers: set[tuple[str, str]]
    ) -> dict[str, DkimKey]:
        """Those of (domain, selector) that are ours, in whatever state, by their record's name.
        On a reader's thread."""
        keys = [
            key
            for domain, selector in signers
            for key in keys_of(connection, domain)
            if key.selector == selector
        ]
        return {key.record_name: key for key in self._usable(keys)}


def author_domain(header: bytes) -> str | None:
    """The one domain (A-labels) of all authors; None where there is not exactly one."""
    origins = list(named(header, "From"))
    if len(origins) != 1:
        return None
    try:
        domains = {domain_key(author.domain) for author in parse_mailboxes(origins[0].value)}
    except AddressError:
        return None
    if len(domains) != 1:
        return None
    domain = domains.pop()
    return None if not domain or domain.startswith("[") else domain


def _keys_for(connection: sqlite3.Connection, domain: str) -> list[DkimKey]:
    """The signing keys of the domain, or of the nearest above it that may vouch for it."""
    labels = domain.split(".")
    tenant = None
    for place in range(min(len(labels) - 1, _MOST_LABELS)):
        name = ".".join(labels[place:])
        if not lookup.is_domain(connection, name):
            continue
        own = find_settings(connection, name).tenant
        if tenant is not None and own != tenant:
            return []
        tenant = own
        signing = [key for key in keys_of(connection, name) if key.state is KeyState.SIGNING]
        if signing:
            return signing
    return []


def _signer_of(field: Field) -> tuple[str, str]:
    """``d=`` and ``s=`` of a signature, roughly: whether they are right is not asked here."""
    tags = {tag: value.decode("ascii", "replace").lower() for tag, value in _tags(field)}
    return tags.get(b"d", ""), tags.get(b"s", "")


def _tags(field: Field) -> list[tuple[bytes, bytes]]:
    return _NAMED.findall(field.value)


def _without(header: bytes, signers: set[tuple[str, str]]) -> bytes:
    rest, at = [], 0
    for field in named(header, "DKIM-Signature"):
        if _signer_of(field) in signers:
            rest.append(header[at : field.start])
            at = field.start + len(field.raw)
    return b"".join(rest) + header[at:]
