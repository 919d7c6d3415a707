"""Whose address is it where others keep accounts, too: the resolver beside the directory's.

What an address is, first match wins: what an application takes (``first``); what the directory
names; what a source names; what the directory gives to names that nobody set up (a catch-all, the
eldest user as postmaster); the postmaster of this server, for the role names of RFC 2142. A
domain of a source is ours, so an address there that nobody has is refused and never relayed.

Forwarding is followed to the end, from one to another of them. A name met a second time on the way
is the mailbox of that name, which keeps a copy and ends a loop. Where one that had to be asked
cannot be, the whole is put off: half of an alias is no answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.accounts.expansion import DISABLED, NO_SUCH_USER, ROLES, TOO_MANY, ends_at
from mailframe.accounts.sources import (
    UNUSABLE,
    Found,
    Sources,
    canonical,
    key_of,
    without_detail,
)
from mailframe.core.address import Address
from mailframe.core.resolution import (
    Elsewhere,
    Expanded,
    Local,
    Moved,
    Refused,
    Resolution,
    Target,
)
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IRecipientResolver
from mailframe.interfaces.accounts import Entry
from mailframe.runtime.aio import as_deferred, result_of

_MOST_QUESTIONS = 1_000  # for one address; a list larger than this belongs to list software
_MOST_SAID = 1_000  # dead targets that were logged, and are not again

Named = Callable[[Address], Awaitable[bool]]
Exists = Callable[[str], bool | Awaitable[bool]]
_Answer = Found | Resolution


class Owning(Protocol):
    async def owns(self, account: str, address: Address) -> bool: ...


async def _names_nobody(address: Address) -> bool:
    return False


def _everybody(account: str) -> bool:
    return True


@implementer(IRecipientResolver)
class SourcedResolver:
    """
    base
        Knows everybody else.
    first
        Asked before it; ``sources`` after it.
    named
        Whether ``base`` has exactly that address, and not only something that takes the mail of
        whatever nobody set up.
    exists
        Whether an account has a mailbox here, whoever keeps it.
    """

    log = Logger()

    def __init__(
        self,
        base: IRecipientResolver,
        *,
        first: Sources,
        sources: Sources,
        named: Named = _names_nobody,
        exists: Exists = _everybody,
        separator: str = "+",
    ) -> None:
        self._base = base
        self._first = first
        self._sources = sources
        self._named = named
        self._exists = exists
        self._separator = separator
        self._said: set[str] = set()

    def resolve(self, address: Address) -> Deferred[Resolution]:
        return as_deferred(self._resolve(address))

    async def owns(self, account: str, address: Address) -> bool:
        """Whether mail from ``address`` may be written by ``account``: its own addresses, with a
        detail too, and aliases (not lists) that end at it. That somebody with a mailbox of his own
        forwards his mail to the account gives it nothing."""
        answer = await self._step(address)
        entry = answer.entry if isinstance(answer, Found) else None
        if entry is not None and entry.has_mailbox:
            if entry.account == account:
                return entry.is_enabled
        elif ends_at(account, await self._whole(address, answer)):
            return True
        plain = canonical(address)
        if plain is None:
            return False
        return await self._first.gives(account, plain) or await self._sources.gives(account, plain)

    async def _resolve(self, address: Address) -> Resolution:
        return await self._whole(address, await self._step(address))

    async def _whole(self, address: Address, answer: _Answer) -> Resolution:
        """``answer``: what the address is by itself."""
        if isinstance(answer, Found):
            entry = answer.entry
            if not entry.is_enabled:
                return Refused(DISABLED)
            if not entry.forward:
                return mailbox_of(entry) or Refused(NO_SUCH_USER)
        elif not isinstance(answer, Expanded) or not await self._leads_on(answer):
            return answer
        following = _Following(self._step)
        resolution = await following.expand(address, answer)
        self._say(address, following.dead)
        return resolution

    async def _leads_on(self, answer: Expanded) -> bool:
        """Whether a target that is not here, for the base, is at a domain of a source."""
        for target in answer.targets:
            plain = canonical(target.address) if target.mailbox is None else None
            if plain is not None and await self._may_know(plain.domain):
                return True
        return False

    async def _may_know(self, domain: str) -> bool:
        return await self._first.may_know(domain) or await self._sources.may_know(domain)

    async def _holds(self, domain: str) -> bool:
        return await self._first.holds(domain) or await self._sources.holds(domain)

    async def _step(self, address: Address) -> _Answer:
        """What the address is by itself, forwarding not followed but where the base does."""
        plain = canonical(address)
        try:
            if plain is None:
                return await result_of(self._base.resolve(address))
            return await self._first_that_knows(address, plain)
        except PermanentFailure as error:  # a source's own word that it takes no mail
            return Refused(error.reply)

    async def _first_that_knows(self, address: Address, plain: Address) -> _Answer:
        found = await self._first.near(plain)
        if found is not None:
            await self._must_exist(found, plain)
            return found
        answer: Resolution = await result_of(self._base.resolve(address))
        if not await self._holds(plain.domain):
            return answer
        if not isinstance(answer, Elsewhere) and await self._is_named(plain):
            return answer
        found = await self._sources.near(plain)
        if found is not None:
            return found
        if not isinstance(answer, Elsewhere):
            return answer
        if plain.local_part in ROLES:
            # RFC 5321 section 4.5.1: a domain that takes mail takes it for its postmaster.
            return await result_of(self._base.resolve(Address("postmaster", "")))
        return Refused(NO_SUCH_USER)

    async def _must_exist(self, found: Found, asked: Address) -> None:
        """An application may lead to any account here; one that is not here would be found missing
        when the mail is to be put there, and the mail bounced."""
        entry = found.entry
        is_other = entry.account != f"{asked.local_part}@{asked.domain}"
        if entry.courier or not entry.has_mailbox or not is_other:
            return
        if not await result_of(self._exists(entry.account)):
            why = f"{found.source.name} leads {asked} to {entry.account}, which is not here"
            self.log.error("{why}", why=why)
            raise TransientFailure(UNUSABLE, why)

    async def _is_named(self, plain: Address) -> bool:
        base = without_detail(plain, self._separator)
        return await self._named(plain) or (base is not None and await self._named(base))

    def _say(self, address: Address, dead: list[str]) -> None:
        key = key_of(address)
        if not dead or key in self._said:
            return
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        self._said.add(key)
        self.log.warn(
            "{address} leads to targets that take no mail: {dead}",
            address=str(address),
            dead=dead,
        )


def mailbox_of(entry: Entry) -> Local | None:
    if not entry.has_mailbox and not entry.courier:
        return None
    return Local(entry.account, entry.folder, courier=entry.courier)


@dataclass(slots=True)
class _Following:
    """Of one address; make a new one each time. ``step`` says what one is by itself."""

    step: Callable[[Address], Awaitable[_Answer]]
    dead: list[str] = field(default_factory=list)
    """Targets of ours that take no mail; they are left out."""
    _met: set[str] = field(default_factory=set)
    _targets: dict[str, Target] = field(default_factory=dict)
    _waiting: deque[Address] = field(default_factory=deque)

    async def expand(self, address: Address, answer: _Answer) -> Resolution:
        self._take(address, answer)
        questions = 0
        while self._waiting:
            questions += 1
            if questions > _MOST_QUESTIONS:
                return Refused(TOO_MANY)
            target = self._waiting.popleft()
            self._take(target, await self.step(target))
        if not self._targets:
            return Refused(NO_SUCH_USER)
        is_list = answer.entry.is_list if isinstance(answer, Found) else _is_list(answer)
        return Expanded(tuple(self._targets.values()), is_list)

    def _take(self, address: Address, answer: _Answer) -> None:
        """Note a final target, or what it stands for."""
        key = key_of(address)
        is_known = key in self._met
        if isinstance(answer, Found):
            self._met.add(key)
            self._take_entry(address, answer.entry, is_known=is_known)
        elif isinstance(answer, Local):
            self._add(address, answer)
        elif isinstance(answer, Elsewhere):
            self._targets.setdefault(key, Target(address, None))
        elif isinstance(answer, Expanded):
            self._met.add(key)
            if not is_known:
                self._take_expanded(answer)
        elif isinstance(answer, Moved):
            self._met.add(key)
            if not is_known:
                self._waiting.append(answer.to)
        elif answer.reply.is_transient:
            raise TransientFailure(answer.reply, f"of {address}")
        else:
            self.dead.append(str(address))

    def _take_expanded(self, answer: Expanded) -> None:
        for target in answer.targets:
            if target.mailbox is not None:
                self._add(target.address, target.mailbox)
            else:
                self._waiting.append(target.address)

    def _take_entry(self, address: Address, entry: Entry, *, is_known: bool) -> None:
        if not entry.is_enabled:
            self.dead.append(str(address))
            return
        goes_on = bool(entry.forward) and not is_known
        if goes_on:
            self._waiting.extend(entry.forward)
        if not goes_on or entry.keeps_copy:
            mailbox = mailbox_of(entry)
            if mailbox is not None:
                self._add(address, mailbox)
            elif not entry.forward:
                self.dead.append(str(address))

    def _add(self, address: Address, mailbox: Local) -> None:
        self._targets.setdefault(f"{mailbox.courier}:{mailbox.account}", Target(address, mailbox))


def _is_list(answer: Resolution) -> bool:
    return isinstance(answer, Expanded) and answer.is_list
