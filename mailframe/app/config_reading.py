"""From the tables of a TOML file to a section, with every problem at once.

What is asked for is what the annotations say (``config_section``). Nothing is converted
silently: ``true`` is no number, and ``"5"`` is none. Unknown keys are problems, but where a field
is for the ``Rest``: sections of plug-ins are read there as ours are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from mailframe.app.config_lines import Path
from mailframe.app.config_problems import did_you_mean
from mailframe.app.config_section import (
    Checked,
    Declaration,
    Parsed,
    Place,
    Section,
    declared,
    is_section,
    rest_of,
    taken_apart,
)

S = TypeVar("S", bound=Section)

_WORDS = {
    bool: "must be true or false",
    int: "must be a whole number",
    str: "must be a string",
}


ForeignSection = Callable[[Path, Mapping[str, Any]], type[Section] | None]
"""Whose settings are at that path, where the file has such a table: their section, or None where
nobody is to look at them. ValueError where that cannot be found out."""


class Reader:
    """Reads once; what it found wrong is in ``problems``."""

    def __init__(self, place: Place, foreign: ForeignSection | None = None) -> None:
        """``foreign``: what reads settings of others; without it nobody looks at them."""
        self._place = place
        self._foreign = foreign
        self.looks_at_code = foreign is not None
        self.problems: list[tuple[Path, str]] = []
        """Key path and message. Paths have no index into a list: the file has one line for it,
        and the message quotes the value."""

    def section(self, kind: type[S], raw: Any, path: Path) -> S | None:
        """None where something is wrong with it."""
        if not isinstance(raw, dict):
            self.problems.append((path, "must be a table"))
            return None
        rest = rest_of(kind)
        known = {key: one for key, one in declared(kind).items() if one is not rest}
        unknown = {key: value for key, value in raw.items() if key not in known}
        before = len(self.problems)
        values: dict[str, Any] = {}
        if rest is not None:
            unknown = self._rest(kind, rest, raw, path, values)
        for key in unknown:
            self.problems.append(((*path, key), f"unknown key{did_you_mean(key, known)}"))
        for key, setting in known.items():
            if key in raw:
                values[setting.name] = self._value(setting.kind, raw[key], (*path, key))
            elif setting.is_required:
                self.problems.append(((*path, key), "is missing"))
        if len(self.problems) > before:
            return None
        made = kind(**values)
        self.problems += [((*path, key) if key else path, m) for key, m in made.contradictions()]
        return made

    def _rest(
        self,
        kind: type[Section],
        rest: Declaration,
        given: dict[str, Any],
        path: Path,
        values: dict[str, Any],
    ) -> dict[str, Any]:
        """Read it into ``values``; returns what is still unknown."""
        known = declared(kind)
        raw = {key: value for key, value in given.items() if key not in known or key == rest.key}
        plain, _ = taken_apart(rest.kind)
        if get_origin(plain) is dict:
            tables = {key: value for key, value in raw.items() if isinstance(value, dict)}
            values[rest.name] = self._table(get_args(plain), tables, path)
            return {key: value for key, value in raw.items() if key not in tables}
        section = self._foreign_section(given, path)
        if section is not None:
            try:
                values[rest.name] = self.section(section, raw, path)
            except Exception as error:  # noqa: BLE001 - its checks are somebody else's code
                words = f"{type(error).__name__}: {error}"
                self.problems.append((path, f"its settings cannot be checked: {words}"))
        return {}

    def _foreign_section(self, raw: dict[str, Any], path: Path) -> type[Section] | None:
        try:
            return self._foreign(path, raw) if self._foreign is not None else None
        except ValueError as error:
            self.problems.append((path, str(error)))
            return None

    def _value(self, kind: Any, raw: Any, path: Path) -> Any:
        """Whatever it may be where there is a problem."""
        plain, marks = taken_apart(kind)
        before = len(self.problems)
        parsed = next((mark for mark in marks if isinstance(mark, Parsed)), None)
        if parsed is not None:
            value = self._asked(parsed.read, raw, path)
        else:
            value = self._of_type(plain, raw, path)
        for mark in marks:
            if isinstance(mark, Checked) and len(self.problems) == before:
                value = self._asked(mark.check, value, path)
        return value

    def _asked(self, read: Callable[[Any, Place], Any], value: Any, path: Path) -> Any:
        try:
            return read(value, self._place)
        except ValueError as error:
            self.problems.append((path, str(error)))
            return None

    def _of_type(self, plain: Any, raw: Any, path: Path) -> Any:
        if is_section(plain):
            return self.section(plain, raw, path)
        shape = get_origin(plain)
        if shape is tuple:
            return self._list(get_args(plain)[0], raw, path)
        if shape is dict:
            return self._table(get_args(plain), raw, path)
        if shape is Literal:
            return self._choice(get_args(plain), raw, path)
        if type(raw) is not plain:  # a bool is an int to isinstance
            self.problems.append((path, _WORDS[plain]))
        return raw

    def _list(self, kind: Any, raw: Any, path: Path) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            self.problems.append((path, "must be a list"))
            return ()
        return tuple(self._value(kind, item, path) for item in raw)

    def _table(self, kinds: tuple[Any, ...], raw: Any, path: Path) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.problems.append((path, "must be a table"))
            return {}
        key_kind, kind = kinds
        return {
            self._value(key_kind, key, (*path, key)): self._value(kind, item, (*path, key))
            for key, item in raw.items()
        }

    def _choice(self, choices: tuple[str, ...], raw: Any, path: Path) -> Any:
        if raw not in choices:
            hint = did_you_mean(raw, choices) if isinstance(raw, str) else ""
            self.problems.append((path, f"must be one of {', '.join(choices)}{hint}"))
        return raw
