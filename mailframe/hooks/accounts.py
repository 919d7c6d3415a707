"""``@app.recipient`` and the addresses of ``@app.deliver``, as a source of accounts.

The most exact pattern is asked first, whichever application it is of. A recipient hook that
answers None knows nothing of the address, and the next one is asked. Mail that a deliver hook
takes goes to the courier ``app``. What a hook calls an account is a name and no more: it becomes
an address of the domain that it was asked about, or is one itself, unless the peer has written it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import alsoProvides, implementer

from mailframe.core.address import Address
from mailframe.core.units import parse_size
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.hooks.addresses import Addresses
from mailframe.hooks.calling import Caller
from mailframe.hooks.hook import Phase
from mailframe.hooks.patterns import key_of
from mailframe.hooks.verdicts import (
    Accept,
    Decision,
    Defer,
    Quarantine,
    Redirect,
    Reject,
    must_be_folder,
)
from mailframe.interfaces import Entry, IAccountSource, IAnyDomain, IDomainSource
from mailframe.runtime.aio import as_deferred

COURIER = "app"
_EXPECTED = "None, True, an account, a dict (docs/plugins.md), Reject, Defer, Redirect"
_MOST_FORWARDS = 1_000
_KNOWN = frozenset({"mailbox", "quota", "folder", "forward", "keep_copy"})


@implementer(IAccountSource)
class AppAccounts:
    """Of all applications of a server."""

    name = "apps"

    def __init__(self, addresses: Addresses, caller: Caller) -> None:
        self._addresses = addresses
        self._caller = caller
        self.domains: Collection[str] = addresses.domains
        if addresses.has_places:
            alsoProvides(self, IDomainSource)
        if addresses.is_open:
            alsoProvides(self, IAnyDomain)

    async def holds(self, domain: str) -> bool:
        """As of ``IDomainSource``."""
        return self._addresses.holds(domain)

    def may_know(self, domain: str) -> bool:
        """As of ``IAnyDomain``."""
        return self._addresses.may_know(domain)

    def find(self, address: Address) -> Deferred[Entry | None]:
        return as_deferred(self._find(address))

    async def _find(self, address: Address) -> Entry | None:
        for hook, places in self._addresses.matching(address):
            if hook.hook.phase is Phase.DELIVER:
                return _of_program(address)
            answer = await self._caller.call(hook, "", {**places, "address": address})
            try:
                entry = entry_of(address, answer)
            except (ValueError, TypeError) as error:
                expected = f"what it may answer ({error}; {_EXPECTED})"
                self._caller.misunderstood(hook, "", answer, expected)
            if entry is not None:
                return entry
        return None


def _of_program(address: Address) -> Entry:
    # No mailbox: nobody can log in as it.
    return Entry(account=key_of(address), addresses=(address,), courier=COURIER, has_mailbox=False)


def entry_of(address: Address, answer: Any) -> Entry | None:
    """What a recipient hook's answer says of the address. Raises ValueError or TypeError for what
    says nothing, and its Failure for what refuses."""
    if answer is None or answer is False:
        return None
    if isinstance(answer, type) and issubclass(answer, Decision):
        answer = answer()
    if isinstance(answer, Decision):
        return _of_decision(address, answer)
    if answer is True:
        answer = {}
    elif isinstance(answer, str | Address):
        answer = {"mailbox": answer}
    if not isinstance(answer, Mapping):
        raise TypeError(f"a {type(answer).__name__}")
    return _of_mapping(address, answer)


def _of_decision(address: Address, decision: Decision) -> Entry:
    if isinstance(decision, Reject):
        raise PermanentFailure(decision.reply)
    if isinstance(decision, Defer):
        raise TransientFailure(decision.reply)
    if isinstance(decision, Redirect):
        return Entry(account=key_of(address), forward=decision.addresses, has_mailbox=False)
    if isinstance(decision, Quarantine):
        return _of_mapping(address, {"folder": decision.folder})
    if isinstance(decision, Accept):
        return _of_mapping(address, {})
    raise TypeError(f"{type(decision).__name__} says nothing here")


def _of_mapping(address: Address, answer: Mapping[str, Any]) -> Entry:
    if unknown := [str(name) for name in answer if name not in _KNOWN]:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    mailbox = answer.get("mailbox")
    forward = _forward(address, answer.get("forward"))
    keeps_copy = answer.get("keep_copy", False)
    if not isinstance(keeps_copy, bool):
        raise TypeError(f"keep_copy is {keeps_copy!r}, neither True nor False")
    return Entry(
        account=_account(address, mailbox),
        addresses=(address,),
        forward=forward,
        keeps_copy=keeps_copy,
        # Where mail only goes on, there is nobody whose mailbox it could be.
        has_mailbox=mailbox is not None or keeps_copy or not forward,
        quota=_quota(answer.get("quota")),
        folder=_folder(answer.get("folder", "")),
    )


def _account(address: Address, mailbox: Any) -> str:
    if mailbox is None or mailbox is True:
        return key_of(address)
    if isinstance(mailbox, Address):
        return key_of(mailbox)
    if not isinstance(mailbox, str):
        raise TypeError(f"mailbox is a {type(mailbox).__name__}")
    # A bare name is one at the domain that was asked about. It may be any, ``ann bee`` too: it
    # comes from a place of a pattern, more often than not.
    if "@" not in mailbox or _is_from(address, mailbox):
        return key_of(Address.build(mailbox, address.domain))
    return key_of(Address.parse(mailbox))


def _is_from(address: Address, text: str) -> bool:
    """Whether the peer may have written it: ``"ann@other.test"@shop.test`` has an address in its
    local-part, which ``{user:any}`` takes out, and which must not become anybody elsewhere. Who
    means it returns an ``Address``."""
    return text.casefold() in key_of(address).rpartition("@")[0]


def _forward(asked: Address, forward: Any) -> tuple[Address, ...]:
    if forward is None:
        return ()
    if isinstance(forward, str | Address):
        forward = [forward]
    if not isinstance(forward, list | tuple | set | frozenset):
        raise TypeError(f"forward is a {type(forward).__name__}")
    if len(forward) > _MOST_FORWARDS:
        raise ValueError(f"forward has {len(forward)} addresses")
    found = {}
    for each in forward:
        if not isinstance(each, str | Address):
            raise TypeError(f"forward has a {type(each).__name__} in it")
        target = each if isinstance(each, Address) else _target(asked, each)
        found[key_of(target)] = target
    return tuple(found.values())


def _target(asked: Address, text: str) -> Address:
    if _is_from(asked, text):
        return Address.build(text, asked.domain)
    return Address.parse(text if "@" in text else f"{text}@{asked.domain}")


def _quota(quota: Any) -> int | None:
    if quota is None:
        return None
    if isinstance(quota, str):
        return parse_size(quota)
    if not isinstance(quota, int) or isinstance(quota, bool) or not 0 <= quota < 1 << 63:
        raise ValueError(f"a quota of {quota!r}")
    return quota


def _folder(folder: Any) -> str:
    return "" if folder is None else must_be_folder(folder)
