"""Every setting is read by somebody: one that nothing reads promises what is not kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest

from mailframe import app
from mailframe.app.config_schema import Config
from mailframe.app.config_section import Section, declared, is_section, taken_apart


def settings(section: type[Section], path: str = "") -> Iterator[str]:
    for one in declared(section).values():
        name = "" if one.is_rest else one.name
        kind, _ = taken_apart(one.kind)
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        if is_section(kind):
            yield from settings(kind, f"{path}{name}." if name else path)
        else:
            yield f"{path}{one.name}"


def attributes_read() -> set[tuple[str, str]]:
    """``a.b`` anywhere in the room but where settings are defined or only checked, as (a's last
    name, b)."""
    found = set()
    for file in Path(app.__path__[0]).rglob("*.py"):
        if file.name in ("config_types.py", "config_settings.py", "config_policy_checks.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = getattr(owner, "attr", getattr(owner, "id", ""))
                found.add((name, node.attr))
    return found


READ = attributes_read()


@pytest.mark.parametrize("setting", sorted(set(settings(Config))))
def test_a_setting_is_read(setting: str) -> None:
    *path, name = setting.split(".")
    # ``[plugins.NAME]`` is one plugin; who is handed a section as such calls it so.
    owner = path[-1] if path else "config"
    owners = {owner, owner.removesuffix("s"), "section", "self"}
    assert READ & {(owner, name) for owner in owners}
