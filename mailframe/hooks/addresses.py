"""Which hook an address is for: the patterns of all applications, the most exact first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mailframe.core.address import Address
from mailframe.hooks.hook import AppError, Phase
from mailframe.hooks.live import LiveHook
from mailframe.hooks.patterns import Pattern, key_of

Matched = tuple[LiveHook, dict[str, Any]]
"""A hook, and what stands in the places of its pattern."""


class Addresses:
    """Looks at the patterns of the address's own domain, and at those with places in theirs."""

    def __init__(self, hooks: Sequence[LiveHook]) -> None:
        """``hooks`` have patterns; of two that are equally exact, the first is asked first. Raises
        AppError for two that are for the same."""
        self._literal: dict[str, list[tuple[int, LiveHook, Pattern]]] = {}
        self._others: list[tuple[int, LiveHook, Pattern]] = []
        _no_two_alike(hooks)
        for number, hook in enumerate(sorted(hooks, key=_rank)):
            pattern = _pattern(hook)
            entry = (number, hook, pattern)
            if pattern.domain:
                self._literal.setdefault(pattern.domain, []).append(entry)
            else:
                self._others.append(entry)

    @property
    def domains(self) -> frozenset[str]:
        """Those that patterns name, in A-labels."""
        return frozenset(self._literal)

    def holds(self, domain: str) -> bool:
        """Whether a pattern is for that domain, though it does not name it."""
        return any(
            not pattern.is_open and pattern.has_domain(domain) for _, _, pattern in self._others
        )

    def may_know(self, domain: str) -> bool:
        """Whether a pattern may be for that domain as for any other."""
        return any(pattern.is_open and pattern.has_domain(domain) for _, _, pattern in self._others)

    @property
    def has_places(self) -> bool:
        """Whether any pattern has places in its domain, that is, some of it literal."""
        return any(not pattern.is_open for _, _, pattern in self._others)

    @property
    def is_open(self) -> bool:
        """Whether any pattern may be for any domain."""
        return any(pattern.is_open for _, _, pattern in self._others)

    def matching(self, address: Address) -> Iterator[Matched]:
        """The most exact first."""
        key = key_of(address)
        own = self._literal.get(key.rpartition("@")[2], [])
        candidates = sorted((*own, *self._others), key=_number) if self._others else own
        for _, hook, pattern in candidates:
            places = pattern.match_key(key)
            if places is not None:
                yield hook, places

    def find(self, address: Address) -> Matched | None:
        return next(self.matching(address), None)


def address_of(account: str) -> Address:
    """Of an account's canonical name."""
    local_part, _, domain = account.rpartition("@")
    return Address(local_part, domain)


def _number(entry: tuple[int, LiveHook, Pattern]) -> int:
    return entry[0]


def _rank(hook: LiveHook) -> tuple[int, int]:
    return _pattern(hook).rank


def _pattern(hook: LiveHook) -> Pattern:
    pattern = hook.hook.pattern
    if pattern is None:
        raise AppError(f"{hook.name} has no pattern")
    return pattern


def _no_two_alike(hooks: Sequence[LiveHook]) -> None:
    seen: dict[tuple[Phase, tuple[str, str]], LiveHook] = {}
    for hook in hooks:
        pattern = _pattern(hook)
        other = seen.setdefault((hook.hook.phase, pattern.shape), hook)
        if other is not hook:
            raise AppError(f"{other.name} and {hook.name} are both for {pattern.text.casefold()}")
