"""The settings seen from outside: what is in force, and the page that documents them.

``docs/settings.md`` is the output of ``python -m mailframe.app.config_settings``; a test holds
the two equal, so a setting cannot be added without its documentation.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mailframe.app.config import dotted
from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config
from mailframe.app.config_types import Duration, Secret, Size

_URL_PASSWORD = re.compile(r"(?<=://)([^/?#:]*):[^/?#]*@")
_DURATION, _SIZE = Duration.__metadata__[0], Size.__metadata__[0]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in force."""

    key: str
    value: Any
    """As JSON: sizes in octets, durations in seconds, secrets hidden."""
    text: str
    """The value as the file would have it."""
    is_default: bool


def settings_of(config: Config) -> Iterator[Setting]:
    """Every setting, in the order of the documentation."""
    yield from _settings(config, ())


def _settings(section: BaseModel, path: Path) -> Iterator[Setting]:
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        key = (*path, info.alias or name)
        if isinstance(value, BaseModel):
            yield from _settings(value, key)
        elif isinstance(value, dict):
            for inner, item in value.items():
                if isinstance(item, BaseModel):
                    yield from _settings(item, (*key, inner))
                else:
                    yield _setting((*key, inner), item, info, False)
        else:
            default = not info.is_required() and value == info.get_default()
            yield _setting(key, value, info, default)


def _setting(key: Path, value: Any, info: FieldInfo, is_default: bool) -> Setting:
    shown = redacted(value)
    return Setting(dotted(key), shown, _as_written(shown, info), is_default)


def redacted(value: Any) -> Any:
    """The value without any password in it."""
    if isinstance(value, Secret):
        return "[hidden]" if value.origin == "text" else f"[{value.origin}]"
    if isinstance(value, tuple):
        return [redacted(item) for item in value]
    return _URL_PASSWORD.sub(r"\1:[hidden]@", value) if isinstance(value, str) else value


def _as_written(value: Any, info: FieldInfo) -> str:
    if value is None:
        return "-"
    kinds = (*info.metadata, *_inner_metadata(info.annotation))
    if _SIZE in kinds and value:
        return json.dumps(_exact_size(value))
    if _DURATION in kinds:
        if isinstance(value, int):
            return json.dumps(_exact_duration(value))
        return json.dumps([_exact_duration(item) for item in value])
    return json.dumps(value, ensure_ascii=False)


def _inner_metadata(annotation: Any) -> tuple[Any, ...]:
    """What is said about the elements of a tuple."""
    arguments = get_args(annotation)
    return getattr(arguments[0], "__metadata__", ()) if arguments else ()


def _exact_size(octets: int) -> str:
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if octets % factor == 0:
            return f"{octets // factor}{unit}"
    return str(octets)


def _exact_duration(seconds: int) -> str:
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % factor == 0:
            return f"{seconds // factor}{unit}"
    return f"{seconds}s"


def document() -> str:
    """``docs/settings.md``."""
    parts = [_INTRODUCTION, *_section(Config, ""), ""]
    return "\n".join(parts)


def _section(model: type[BaseModel], name: str) -> Iterator[str]:
    inner: list[tuple[str, type[BaseModel]]] = []
    yield f"\n## {f'`[{name}]`' if name else 'At the top of the file'}\n"
    if model is not Config:
        yield _flat(model.__doc__ or "") + "\n"
    for key, info in model.model_fields.items():
        key = info.alias or key
        path = f"{name}.{key}" if name else key
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((path, kind))
        elif get_origin(kind) is dict:
            value = get_args(kind)[1]
            if isinstance(value, type) and issubclass(value, BaseModel):
                inner.append((f"{path}.NAME", value))
            else:
                inner.append((path, _table(info)))
        else:
            yield _entry(key, info)
    for path, section in inner:
        yield from _section(section, path)


def _table(info: FieldInfo) -> type[BaseModel]:
    """A table of free keys, shown like a section without settings of its own."""
    return type("Table", (BaseModel,), {"__doc__": info.description})


def _entry(key: str, info: FieldInfo) -> str:
    text = _flat(info.description or "")
    if not text:
        raise ValueError(f"the setting {key} has no documentation")
    default = "required" if info.is_required() else _default(info)
    body = textwrap.fill(
        f"{text} ({default})",
        96,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return f"- **`{key}`**\n{body}"


def _default(info: FieldInfo) -> str:
    value = info.get_default()
    return (
        "not set" if value in (None, "", ()) else f"default: `{_as_written(redacted(value), info)}`"
    )


def _flat(text: str) -> str:
    return " ".join(text.split())


_INTRODUCTION = """\
# Every setting

The configuration is one TOML file, named by `--config FILE` or by `MAILFRAME_CONFIG`. The server
never writes it. Relative paths are relative to the file. `mailframe config check` names every
problem with its file and line; `mailframe config show` prints what is in force.

- Sizes are written `500M` or `2G` (K, M, G, T are powers of 1024) or as a number of octets,
  durations `30s`, `15m`, `4h`, `5d` or `1h30m`.
- Any single value can also come from the environment: `MAILFRAME_` and the path joined by `__`, as
  in `MAILFRAME_LIMITS__MESSAGE_SIZE=50M`. It wins over the file.
- `mailframe reload` or SIGHUP reads the file again. A file with a problem changes nothing.

This page is made from `mailframe/app/config_schema.py`."""


if __name__ == "__main__":
    print(document(), end="")
