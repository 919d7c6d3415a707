"""The maildrop of one session: a numbered snapshot and its deletion marks (RFC 1939 section 5).

Numbers run from 1 and keep their meaning for the whole session; what arrives meanwhile is
for the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mailframe.protocols.pop3.replies import Refusal

_MOST_DIGITS = 10  # short enough never to be a big integer


class Entry(Protocol):
    @property
    def uid(self) -> str: ...

    @property
    def size(self) -> int:
        """Octets of the message as RETR sends it, without dot-stuffing."""
        ...


class Maildrop:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._deleted: set[int] = set()
        self._all_octets = sum(entry.size for entry in entries)
        self._deleted_octets = 0

    @property
    def count(self) -> int:
        """Messages that are not marked as deleted."""
        return len(self._entries) - len(self._deleted)

    @property
    def octets(self) -> int:
        return self._all_octets - self._deleted_octets

    def entry(self, argument: bytes) -> tuple[int, Entry]:
        """The message of that number. Refuses what is no number, no message, or deleted."""
        number = parse_number(argument)
        if not 1 <= number <= len(self._entries):
            raise Refusal("No such message", counts=False)
        if number in self._deleted:
            raise Refusal("That message is marked as deleted", counts=False)
        return number, self._entries[number - 1]

    def delete(self, argument: bytes) -> int:
        number, entry = self.entry(argument)
        self._deleted.add(number)
        self._deleted_octets += entry.size
        return number

    def reset(self) -> None:
        self._deleted.clear()
        self._deleted_octets = 0

    def entries(self) -> Iterator[tuple[int, Entry]]:
        for number, entry in enumerate(self._entries, 1):
            if number not in self._deleted:
                yield number, entry

    def deleted_uids(self) -> tuple[str, ...]:
        return tuple(self._entries[number - 1].uid for number in sorted(self._deleted))


def parse_number(argument: bytes) -> int:
    # Of octets ``isdigit`` takes 0 to 9 and nothing else, and no sign.
    if not argument.isdigit() or len(argument) > _MOST_DIGITS:
        raise Refusal("That is not a number")
    return int(argument)
