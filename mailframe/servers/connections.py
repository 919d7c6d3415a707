"""How many connections there are, in all and from each address."""

from __future__ import annotations

from collections import Counter


class ConnectionCounter:
    """Shared by the listeners that share a limit; 0 means no limit."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._count = 0

    def allow(self, total: int, per_address: int) -> None:
        """Other limits from now on; connections that are open stay."""
        self._total = total
        self._per_address = per_address

    def enter(self, address: str) -> bool:
        """Count a new connection in; False when it is one too many (then do not ``leave``)."""
        if self._total and self._count >= self._total:
            return False
        if self._per_address and address and self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        self._count += 1
        return True

    def leave(self, address: str) -> None:
        self._count -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def __len__(self) -> int:
        return self._count
