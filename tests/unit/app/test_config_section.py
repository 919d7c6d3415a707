"""What is said about settings is all that the reader of a file understands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest

from mailframe.app.config_reading import Reader
from mailframe.app.config_schema import Config
from mailframe.app.config_section import Parsed, Place, Section, declared, is_section, taken_apart

PLACE = Place("/", {})


def kinds(section: type[Section], path: str = "") -> Iterator[tuple[str, Any]]:
    """Of all values that stand by themselves, in lists and tables too."""
    for key, one in declared(section).items():
        yield from _kinds(f"{path}{key}", one.kind)


def _kinds(path: str, kind: Any) -> Iterator[tuple[str, Any]]:
    plain, marks = taken_apart(kind)
    is_parsed = any(isinstance(mark, Parsed) for mark in marks)
    if is_parsed or plain is Any or get_origin(plain) is Literal:
        return
    if is_section(plain):
        yield from kinds(plain, f"{path}.")
    elif get_origin(plain) in (tuple, dict):
        for inner in get_args(plain):
            if inner is not ...:
                yield from _kinds(path, inner)
    else:
        yield path, plain


@pytest.mark.parametrize(("setting", "kind"), list(kinds(Config)))
def test_a_wrong_value_of_every_kind_can_be_told(setting: str, kind: type) -> None:
    # A float, for one, has no words: it is ``Points``, which takes whole numbers too.
    alone: type[Section] = type("Alone", (Section,), {"__annotations__": {"value": kind}})
    reader = Reader(PLACE)
    reader.section(alone, {"value": object()}, ())
    assert len(reader.problems) == 1, setting


def test_unknown_keys_are_told_in_the_order_of_the_file() -> None:
    class Empty(Section):
        pass

    keys = [f"key{number * 7 % 20}" for number in range(20)]
    reader = Reader(PLACE)
    assert reader.section(Empty, dict.fromkeys(keys, 1), ()) is None
    assert [path for path, _ in reader.problems] == [(key,) for key in keys]
