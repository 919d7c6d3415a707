"""The code blocks of a page, and what each is: told by its language and what stands behind it.

    ```sh                      commands, run one after the other
    ```python                  a program, run; with ``def test_`` in it, a test for pytest
    ```python file=shop.py     a file of that name, which later blocks use; run or tested as well
    ```toml                    settings: put into a complete configuration and checked
    ```toml file=NAME          a complete configuration of that name
    ```text                    what a program printed, or a drawing: not run

A block that cannot be run here says so on the line above it: ``<!-- not run: needs systemd -->``.
Its syntax is checked all the same. What the text takes for granted stands there, too:
``<!-- reader: mailframe stop && rm -r state -->`` is done before the block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n+)?"
    r"(?:^<!-- reader: (?!server )(?P<before>[^\n]+) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    file: str
    """Its name in the reader's directory; empty for none."""
    text: str
    why_not: str
    """Why it is not run."""
    before: str
    """Commands that come first."""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        rest = found["rest"].strip()
        yield Block(
            page=str(page.relative_to(ROOT)),
            line=text[: found.start("language")].count("\n") + 1,
            language=found["language"],
            file=rest.removeprefix("file=") if rest.startswith("file=") else "",
            text=_without(found["indent"], found["text"]),
            why_not=found["why"] or "",
            before=found["before"] or "",
        )


def _without(indent: str, text: str) -> str:
    return re.sub(f"^{indent}", "", text, flags=re.MULTILINE) if indent else text
