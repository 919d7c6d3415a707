"""``[realm] class = "package.module:Name"``: loading it, and finding out what it can.

``Name`` is a class (or function) that makes a realm, or a realm itself. The realm may also
provide ``IRecipientResolver`` (whose address is it) and ``IMailStore`` (keeping mail); one
written against Twisted Mail's interfaces is adapted.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm

from mailframe.accounts.errors import RealmError
from mailframe.accounts.names import domain_key
from mailframe.interfaces import IMailStore, IRecipientResolver, IWorkers

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
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise RealmError(f"{name!r} is not PACKAGE.MODULE:NAME")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RealmError(f"no module {error.name!r}: is it installed or on PYTHONPATH?") from error
    except Exception as error:
        raise RealmError(f"importing {module_name} failed: {error!r}") from error
    found = getattr(module, attribute, None)
    if found is None:
        raise RealmError(f"the module {module_name} has no {attribute!r}")
    if not (IRealm.providedBy(found) or callable(found)):
        raise RealmError(f"{name} is neither a realm nor something that makes one")
    return found


def _made(name: str, factory: Any, options: Mapping[str, object]) -> object:
    try:
        return factory(**options)
    except Exception as error:
        raise RealmError(f"{name} could not be made: {error!r}") from error


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
    return RealmParts(TwistedMailRealm(realm, workers), resolver, store, checker)


def _delivery(realm: IRealm) -> TwistedDelivery:
    from mailframe.accounts.twisted_delivery import TwistedDelivery

    domains = getattr(realm, "domains", None)
    return TwistedDelivery(realm, frozenset(map(domain_key, domains)) if domains else None)
