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
    """Whoever derives from it gets a frozen dataclass."""

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


@dataclass(frozen=True, slots=True)
class Parsed:
    """How the value is made of what is in the file, instead of being of the plain type. The words
    of a ValueError go to the person who wrote the file."""

    read: Callable[[Any, Place], Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """What becomes of the value once it is of its type; ValueError as above."""

    check: Callable[[Any, Place], Any]


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


_DECLARED: dict[type, dict[str, Declaration]] = {}


def declared(section: type[Section]) -> Mapping[str, Declaration]:
    """Key -> declaration, in the order of the section."""
    # By hand: to mypy a frozen dataclass's class is nothing that ``functools.cache`` could take.
    if section not in _DECLARED:
        _DECLARED[section] = {one.key: one for one in _declarations(section)}
    return _DECLARED[section]


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
