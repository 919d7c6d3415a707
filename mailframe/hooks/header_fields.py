"""The header of a message as hooks read it: fields by name, and whom From, To and Cc name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailframe.hooks.clean_text import on_one_line
from mailframe.hooks.once import Once
from mailframe.message import headers
from mailframe.message.encoded_words import decode_header

MAX_VALUE = 64 * 1024
"""Octets of one field that are decoded."""


class Correspondent(str):
    """An address of From, To or Cc: a ``str``, ``ann@example.org``, that knows more."""

    name: str
    """The display name, decoded; empty where there is none."""

    def __new__(cls, address: str, name: str = "") -> Correspondent:
        made = super().__new__(cls, address)
        made.name = name
        return made

    @property
    def local_part(self) -> str:
        """What is before the last ``@``."""
        return self.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """In lower case."""
        return self.rpartition("@")[2]

    def __repr__(self) -> str:
        return f"{self.name} <{self}>" if self.name else f"<{self}>"


class Headers(Mapping[str, str]):
    """Header fields by name, whatever its case; values are decoded and on one line.

    ``headers["Subject"]`` is the topmost one, KeyError for none; ``all`` has those of a name.
    Iterating yields each name once, in the order of the message, spelt as there."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._decoded: dict[str, str] = {}

    @Once
    def _fields(self) -> dict[str, list[headers.Field]]:
        found: dict[str, list[headers.Field]] = {}
        for field in headers.fields(self._header):
            found.setdefault(field.name.lower(), []).append(field)
        return found

    def __getitem__(self, name: str) -> str:
        key = name.lower()
        if key not in self._decoded:
            self._decoded[key] = _value(self._fields[key][0])
        return self._decoded[key]

    def all(self, name: str) -> list[str]:
        """Of every field of that name, from the top."""
        return [_value(field) for field in self._fields.get(name.lower(), ())]

    def raw(self, name: str) -> bytes:
        """The topmost one's value as it came, folding included; empty for none."""
        found = self._fields.get(name.lower())
        return found[0].value if found else b""

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Name and value of every field, from the top."""
        for field in headers.fields(self._header):
            yield field.name, _value(field)

    def __iter__(self) -> Iterator[str]:
        return (found[0].name for found in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields


def _value(field: headers.Field) -> str:
    return on_one_line(decode_header(field.value[:MAX_VALUE]))
