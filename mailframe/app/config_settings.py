"""The settings seen from outside: what is in force, and the page that documents them.

``docs/settings.md`` is the output of ``python -m mailframe.app.config_settings``; a test holds
the two equal, so a setting cannot be added without its documentation.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from mailframe.app.config import dotted
from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config
from mailframe.app.config_section import (
    Declaration,
    Section,
    declared,
    is_section,
    taken_apart,
)
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


def _settings(section: Section, path: Path) -> Iterator[Setting]:
    for inner_key, one in declared(type(section)).items():
        value = getattr(section, one.name)
        key = path if one.is_rest else (*path, inner_key)
        if one.is_rest and value is None:
            continue
        if isinstance(value, Section):
            yield from _settings(value, key)
        elif isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, Section):
                    yield from _settings(item, (*key, name))
                else:
                    yield _setting((*key, name), item, one, False)
        else:
            yield _setting(key, value, one, not one.is_required and value == one.default)


def _setting(key: Path, value: Any, one: Declaration, is_default: bool) -> Setting:
    shown = redacted(value)
    return Setting(dotted(key), shown, _as_written(shown, one), is_default)


def redacted(value: Any) -> Any:
    """The value without any password in it."""
    if isinstance(value, Secret):
        return "[hidden]" if value.origin == "text" else f"[{value.origin}]"
    if isinstance(value, tuple):
        return [redacted(item) for item in value]
    return _URL_PASSWORD.sub(r"\1:[hidden]@", value) if isinstance(value, str) else value


def _as_written(value: Any, one: Declaration) -> str:
    if value is None:
        return "-"
    plain, marks = taken_apart(one.kind)
    if get_origin(plain) is tuple:
        marks = taken_apart(get_args(plain)[0])[1]
    if _SIZE in marks and value:
        return json.dumps(_exact_size(value))
    if _DURATION in marks:
        if isinstance(value, int):
            return json.dumps(_exact_duration(value))
        return json.dumps([_exact_duration(item) for item in value])
    return json.dumps(value, ensure_ascii=False)


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
    parts = [_INTRODUCTION, *_heading("", ""), *_settings_in(Config, ""), ""]
    return "\n".join(parts)


def _heading(name: str, text: str) -> Iterator[str]:
    yield f"\n## {f'`[{name}]`' if name else 'At the top of the file'}\n"
    if text:
        yield _flat(text) + "\n"


def _settings_in(section: type[Section], name: str) -> Iterator[str]:
    """Those of the section itself first, then the sections and tables below it."""
    below: list[Iterator[str]] = []
    texts = _texts(section)
    for key, one in declared(section).items():
        path = f"{name}.{key}" if name else key
        plain, _ = taken_apart(one.kind)
        of_table = get_args(plain)[1] if get_origin(plain) is dict else None
        if one.is_rest:
            path = name
            if of_table is None:
                continue  # they are documented where they come from
        if is_section(plain):
            below += [_heading(path, plain.__doc__ or ""), _settings_in(plain, path)]
        elif is_section(of_table):
            path = f"{path}.NAME"
            below += [_heading(path, of_table.__doc__ or ""), _settings_in(of_table, path)]
        elif of_table:
            below.append(_heading(path, texts[one.name]))
        else:
            yield _entry(key, one, texts.get(one.name, ""))
    yield from itertools.chain.from_iterable(below)


def _texts(section: type[Section]) -> dict[str, str]:
    """Field -> the docstring under it, which Python does not keep; inherited ones as well."""
    texts: dict[str, str] = {}
    for one in reversed(section.__mro__):
        if is_section(one) and one is not Section:
            texts |= _own_texts(one)
    return texts


def _own_texts(section: type[Section]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for field, below in itertools.pairwise(definition.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = text
    return texts


def _entry(key: str, one: Declaration, text: str) -> str:
    if not text:
        raise ValueError(f"the setting {key} has no documentation")
    default = "required" if one.is_required else _default(one)
    body = textwrap.fill(
        f"{_flat(text)} ({default})",
        96,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return f"- **`{key}`**\n{body}"


def _default(one: Declaration) -> str:
    if one.default in (None, "", ()):
        return "not set"
    return f"default: `{_as_written(redacted(one.default), one)}`"


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
