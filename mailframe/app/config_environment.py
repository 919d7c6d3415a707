"""Settings from the environment: ``MAILFRAME_`` and the path joined by ``__``.

``MAILFRAME_LIMITS__MESSAGE_SIZE=50M`` sets ``limits.message_size``. Any single value can be
set; lists and tables belong in the file. A variable with ``__`` in its name that is no setting
is a problem; one without (``MAILFRAME_CONFIG``, or somebody else's) is only one if it looks
like a misspelt setting.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from mailframe.app.config_lines import Path
from mailframe.app.config_problems import nearest
from mailframe.app.config_reading import ForeignSection
from mailframe.app.config_schema import Config
from mailframe.app.config_section import declared, is_section, rest_of, taken_apart

PREFIX = "MAILFRAME_"


@dataclass(slots=True)
class Overrides:
    """Which keys the environment set, and what was wrong with them."""

    paths: dict[Path, str] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def variable_of(self, key: Path) -> str:
        """The variable that set the key or something below it; empty when the file did."""
        return self.paths.get(key, "")


def apply_environment(
    data: dict[str, Any], environ: Mapping[str, str], foreign: ForeignSection | None = None
) -> Overrides:
    """Put what the environment says into ``data``. ``foreign`` as of ``Reader``."""
    overrides = Overrides()
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        path = _as_in_file(tuple(variable.removeprefix(PREFIX).lower().split("__")), data)
        if len(path) == 1 and not _is_meant(path[0]):
            continue
        overrides.paths[path] = variable
        try:
            _put(data, path, _convert(_annotation(path, foreign), environ[variable]))
        except ValueError as error:
            overrides.problems.append((path, str(error)))
    return overrides


def _is_meant(name: str) -> bool:
    known = declared(Config)
    return name in known or bool(nearest(name, known, likeness=0.8))


def _as_in_file(path: Path, data: Mapping[str, Any]) -> Path:
    """A variable cannot have the ``-`` that the name of a plug-in may have."""
    tables = data.get("plugins")
    if path[0] != "plugins" or len(path) < 2 or not isinstance(tables, dict) or path[1] in tables:
        return path
    same = (name for name in tables if name.lower().replace("-", "_") == path[1])
    return path[0], next(same, path[1]), *path[2:]


def _annotation(path: Path, foreign: ForeignSection | None) -> Any:
    """The type of the setting. Raises ValueError when there is none."""
    kind: Any = Config
    for depth, name in enumerate(path):
        if is_section(kind):
            known = declared(kind)
            rest = rest_of(kind)
            if rest is not None and (name not in known or known[name] is rest):
                # Whatever one of them it is: they are of one kind.
                kind, _ = taken_apart(rest.kind)
                if get_origin(kind) is dict:
                    kind = get_args(kind)[1]
                    continue
                section = foreign(path[:depth], {}) if foreign is not None else None
                if section is None:
                    return str  # nobody looks at it
                kind, known = section, declared(section)
            if name not in known:
                raise ValueError(_unknown(name, path[:depth], known))
            kind = known[name].kind
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            raise ValueError("is not a setting")
        kind, _ = taken_apart(kind)
    if get_origin(kind) in (dict, tuple) or is_section(kind):
        raise ValueError("is not a single value; set it in the file")
    return kind


def _unknown(name: str, before: Path, known: Iterable[str]) -> str:
    close = nearest(name, known)
    if not close:
        return "is not a setting"
    return f"is not a setting (did you mean {PREFIX}{'__'.join([*before, close]).upper()}?)"


def _convert(kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"
    if kind is float:
        with contextlib.suppress(ValueError):  # told of as if it stood in the file
            return float(text)
    if int in (kind, *get_args(kind)) and text.isascii() and text.isdigit():
        return int(text)
    return text


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # the file has something else there, which is reported as such
        data = inner
    data[path[-1]] = value
