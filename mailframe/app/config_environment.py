"""Settings from the environment: ``MAILFRAME_`` and the path joined by ``__``.

``MAILFRAME_LIMITS__MESSAGE_SIZE=50M`` sets ``limits.message_size``. Any single value can be
set; lists and tables belong in the file. A variable with ``__`` in its name that is no setting
is a problem; one without (``MAILFRAME_CONFIG``, or somebody else's) is only one if it looks
like a misspelt setting.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config

PREFIX = "MAILFRAME_"


@dataclass(slots=True)
class Overrides:
    """Which keys the environment set, and what was wrong with them."""

    paths: dict[Path, str] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def variable_of(self, key: Path) -> str:
        """The variable that set the key or something below it; empty when the file did."""
        return self.paths.get(key, "")


def apply_environment(data: dict[str, Any], environ: Mapping[str, str]) -> Overrides:
    """Put what the environment says into ``data``."""
    overrides = Overrides()
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if len(path) == 1 and not _is_meant(path[0]):
            continue
        overrides.paths[path] = variable
        try:
            _put(data, path, _convert(_annotation(path), environ[variable]))
        except ValueError as error:
            overrides.problems.append((path, str(error)))
    return overrides


def _is_meant(name: str) -> bool:
    known = list(Config.model_fields)
    return name in known or bool(difflib.get_close_matches(name, known, cutoff=0.8))


def _annotation(path: Path) -> Any:
    """The type of the setting. Raises ValueError when there is none."""
    kind: Any = Config
    for depth, name in enumerate(path):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {info.alias or key: info for key, info in kind.model_fields.items()}
            if name not in fields:
                raise ValueError(_unknown(name, path[:depth], fields))
            kind = fields[name].annotation
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            raise ValueError("is not a setting")
        kind = _without_none(kind)
    if get_origin(kind) in (dict, tuple) or (
        isinstance(kind, type) and issubclass(kind, BaseModel)
    ):
        raise ValueError("is not a single value; set it in the file")
    return kind


def _unknown(name: str, before: Path, fields: Mapping[str, FieldInfo]) -> str:
    close = difflib.get_close_matches(name, fields, n=1)
    if not close:
        return "is not a setting"
    return f"is not a setting (did you mean {PREFIX}{'__'.join([*before, close[0]]).upper()}?)"


def _without_none(kind: Any) -> Any:
    """``X | None`` -> ``X``; Annotated is looked through."""
    if hasattr(kind, "__metadata__"):
        return _without_none(kind.__origin__)
    arguments = [argument for argument in get_args(kind) if argument is not type(None)]
    if get_origin(kind) not in (dict, tuple, Literal) and len(arguments) == 1:
        return _without_none(arguments[0])
    return kind


def _convert(kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"
    if int in (kind, *map(_without_none, get_args(kind))) and text.isascii() and text.isdigit():
        return int(text)
    return text


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # the file has something else there, which is reported as such
        data = inner
    data[path[-1]] = value
