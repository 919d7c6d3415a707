"""``[realm] class = "package.module:Name"``: loading it, and finding out what it can.

``Name`` is a class (or function) that makes a realm, or a realm itself. The realm may also
provide ``IRecipientResolver`` (whose address is it) and ``IMailStore`` (keeping mail); one
written against Twisted Mail's interfaces is adapted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm

from mailframe.accounts.errors import RealmError
from mailframe.accounts.names import domain_key
from mailframe.interfaces import IMailStore, IRecipientResolver, IWorkers
from mailframe.runtime.loading import LoadError, load, made

if TYPE_CHECKING:
    from mailframe.accounts.twisted_delivery import TwistedDelivery


@dataclass(frozen=True, slots=True)
class RealmParts:
    realm: IRealm
    """Its avatars provide ``IMailAccount``."""
    resolver: IRecipientResolver
    store: IMailStore | None
    """None: local mail goes into the built-in Maildirs."""
    checker: ICredentialsChecker | None
    """The realm itself where it checks logins as well; None: ``[auth] checkers`` do."""
    given: Any = None
    """The realm as it was made, without what adapts it."""


def load_realm(name: str, options: Mapping[str, object] | None = None) -> IRealm:
    """``options`` become keyword arguments. Raises RealmError with what to mend."""
    found = find_realm(name)
    if not IRealm.providedBy(found):
        found = _made(name, found, options or {})
    if not IRealm.providedBy(found):
        raise RealmError(f"{name} does not provide twisted.cred.portal.IRealm")
    return found


def find_realm(name: str) -> object:
    """A realm, or what makes one; it is not made here. Raises RealmError with what to mend."""
    try:
        found = load(name)
    except LoadError as error:
        raise RealmError(str(error)) from error
    if not (IRealm.providedBy(found) or callable(found)):
        raise RealmError(f"{name} is neither a realm nor something that makes one")
    return found


def _made(name: str, factory: Any, options: Mapping[str, object]) -> object:
    try:
        return made(name, factory, **options)
    except LoadError as error:
        raise RealmError(str(error)) from error


def parts_of_realm(realm: IRealm, workers: IWorkers) -> RealmParts:
    """What the wiring needs of a custom realm. ``workers`` read the adapted realm's files.

    Of a realm that resolves no recipients itself, ``domains`` (a collection of names), where
    it has one, says which addresses it decides about; the rest may be relayed.
    """
    # Not before it is needed: importing Twisted Mail asks the system for its host name.
    from mailframe.accounts.twisted_realm import TwistedMailRealm

    store = cast(IMailStore, realm) if IMailStore.providedBy(realm) else None
    if IRecipientResolver.providedBy(realm):
        resolver = cast(IRecipientResolver, realm)
    else:
        resolver = delivery = _delivery(realm)
        store = store or delivery
    checker = cast(ICredentialsChecker, realm) if ICredentialsChecker.providedBy(realm) else None
    return RealmParts(TwistedMailRealm(realm, workers), resolver, store, checker, realm)


def _delivery(realm: IRealm) -> TwistedDelivery:
    from mailframe.accounts.twisted_delivery import TwistedDelivery

    domains = getattr(realm, "domains", None)
    return TwistedDelivery(realm, frozenset(map(domain_key, domains)) if domains else None)
