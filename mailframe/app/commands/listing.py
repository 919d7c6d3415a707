"""Printing lists: a table on a terminal, aligned text in a pipe, JSON Lines on request."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click

T = TypeVar("T")
_MEASURED = 500


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    title: str
    cell: Callable[[T], str]
    right: bool = False
    """For numbers."""


def show(
    items: Iterable[T],
    columns: Sequence[Column[T]],
    as_object: Callable[[T], dict[str, Any]],
    as_json: bool,
) -> None:
    """Print ``items`` in the way that suits where the output goes."""
    if as_json:
        for item in items:
            click.echo(json.dumps(as_object(item), ensure_ascii=False))
        return
    rows = ([printable(column.cell(item)) for column in columns] for item in items)
    # Widths come from the first rows, so that a list of any length begins at once.
    first = list(itertools.islice(rows, _MEASURED))
    if sys.stdout.isatty() and len(first) < _MEASURED:
        _table(first, columns)
    else:
        _plain(first, rows, columns)


def printable(text: str) -> str:
    """Remote words may colour or clear a terminal; nothing unprintable gets through."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(number: int, thing: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def is_terminal() -> bool:
    """Whether a person watches the output."""
    return sys.stdout.isatty()


def _table(rows: list[list[str]], columns: Sequence[Column[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _plain(
    first: list[list[str]], rest: Iterable[list[str]], columns: Sequence[Column[Any]]
) -> None:
    lines = [[column.title for column in columns], *first]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in itertools.chain(lines, rest):
        cells = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())
