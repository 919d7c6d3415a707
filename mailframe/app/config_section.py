"""What every section of the configuration is, and what is said about the settings in it.

A section is a frozen dataclass. The annotations of its fields are the grammar of the file
(``config_reading`` goes by them): plain types, ``Literal``, tuples, tables, other sections, and
``Annotated`` with ``Parsed`` and ``Checked`` where a type alone does not say enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    TypeGuard,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Section:
    """A table of the configuration. Whoever derives from it gets a frozen dataclass whose fields
    are its settings."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Key and message of what cannot be together, the key empty for the section as a whole.
        Asked once every single setting is right."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a configuration comes from."""

    directory: str
    """What relative paths in it begin with."""
    environ: Mapping[str, str]
    """The environment."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """How the value is made of what is in the file, instead of being of the plain type. The words
    of a ValueError go to the person who wrote the file."""

    read: Callable[[Any, Place], Any]
    """``read(value, place)``: of what TOML has, the value."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What becomes of the value once it is of its type; it raises ValueError, whose words go to the
    person who wrote the file."""

    check: Callable[[Any, Place], Any]
    """``check(value, place)`` returns the value."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The field has what the section does not know: of a ``dict[str, X]`` tables by their names,
    else the settings of somebody else's section (``Reader.foreign``), None where there is none."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A setting, as its section has it."""

    name: str
    """The attribute."""
    kind: Any
    """The annotation."""
    default: Any
    """MISSING where the file must have it."""

    @property
    def key(self) -> str:
        """As the file calls it: a keyword of Python's has an underscore behind it here."""
        return self.name.rstrip("_")

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    @property
    def is_rest(self) -> bool:
        return any(isinstance(mark, Rest) for mark in taken_apart(self.kind)[1])


_KEPT = "__declared"


def declared(section: type[Section]) -> Mapping[str, Declaration]:
    """Key -> declaration, in the order of the section."""
    # Kept in the class itself: those of plug-ins must be forgotten with their module.
    found: dict[str, Declaration] | None = section.__dict__.get(_KEPT)
    if found is None:
        found = {one.key: one for one in _declarations(section)}
        setattr(section, _KEPT, found)
    return found


def rest_of(section: type[Section]) -> Declaration | None:
    """The field that takes what the section does not know."""
    return next((one for one in declared(section).values() if one.is_rest), None)


def _declarations(section: type[Any]) -> Iterator[Declaration]:
    kinds = get_type_hints(section, include_extras=True)
    for field in fields(section):
        made = field.default_factory
        default = field.default if made is MISSING else made()
        yield Declaration(field.name, kinds[field.name], default)


def taken_apart(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """The plain type of an annotation, and its marks in their order. ``X | None`` is X: no TOML
    file can say None."""
    if get_origin(kind) is Annotated:
        plain, marks = taken_apart(kind.__origin__)
        return plain, (*marks, *kind.__metadata__)
    if get_origin(kind) in (Union, UnionType):
        others = [other for other in get_args(kind) if other is not NoneType]
        if len(others) == 1:
            return taken_apart(others[0])
    return kind, ()


def is_section(kind: Any) -> TypeGuard[type[Section]]:
    return isinstance(kind, type) and issubclass(kind, Section)
