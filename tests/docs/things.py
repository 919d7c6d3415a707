"""What is documented: names, their signatures, their members; and what can be said of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.docs.source import Module


@dataclass(frozen=True)
class Parameter:
    name: str
    """With its stars."""
    kind: str
    """The annotation as written; empty where there is none."""
    default: str
    """As written; empty where it has none."""

    def __str__(self) -> str:
        kind = f": {self.kind}" if self.kind else ""
        equals = (" = " if self.kind else "=") + self.default if self.default else ""
        return f"{self.name}{kind}{equals}"


@dataclass(frozen=True)
class Thing:
    """A public name, or a member of one."""

    name: str
    kind: str
    """``class``, ``interface``, ``exception``, ``enum``, ``dataclass``, ``function``, ``fixture``,
    ``constant``; of members ``method``, ``attribute``, ``value``."""
    module: Module = field(repr=False)
    doc: str = ""
    type: str = ""
    """Of a constant or attribute: its type as written, or what an alias stands for."""
    value: str = ""
    """As written; empty for none, or one that says nothing."""
    parameters: tuple[Parameter, ...] = ()
    is_bare: bool = False
    """A class whose constructor has nothing to say."""
    returns: str = ""
    bases: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    members: tuple[Thing, ...] = ()
    start: str = ""
    """The docstring of a class's ``__init__``."""


def said_by(thing: Thing, member: Thing) -> str:
    """The interface or base class that describes it; empty for none."""
    implements = (re.match(r"implementer\((.*)\)", each) for each in thing.decorators)
    told = [name for found in implements if found for name in found[1].split(", ")]
    for name in (*told, *thing.bases):
        other = thing.module.find(name.partition("[")[0])
        if other is not None and any(each.name == member.name for each in other.members):
            return name
    return ""


def is_test(thing: Thing) -> bool:
    return thing.kind == "method" and thing.name.startswith("test_")


def says_all(thing: Thing) -> bool:
    """A constant that needs no words: its name and its value have them."""
    if thing.kind != "constant" or thing.doc:
        return False
    return bool(re.fullmatch(r'"[^"]*"|Status\(\d+, \d+\)|[A-Z][A-Za-z]*\(\)', thing.value))
