"""Docstrings of the house as Markdown.

They are plain text with little in it: paragraphs, ``names`` in double backticks, examples below
``::``, tables between lines of ``=``, terms with what they mean, bullets. What a name leads to is
``link``'s to say.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Callable, Iterator

Link = Callable[[str], str]
"""Where a name is documented; empty where it is not."""

_CODE = re.compile(r"``(.+?)``", re.DOTALL)
_PLAIN_NAME = re.compile(r"(?<![\w.@`/-])([A-Z][a-z]+[A-Z]\w+|I[A-Z][a-z]\w*)(?![\w`/])")
_RULE = re.compile(r"=+(?: +=+)*")
_TERM = re.compile(r"(``.+?``(?:, ``.+?``)*)(?: +|$)")
_FIRST_TERM = re.compile(r"``.+?``(?:, ``.+?``)*  ")
_BEFORE_EXAMPLE = re.compile(r"\s*::$")


def markdown(text: str, link: Link) -> str:
    return "\n\n".join(_blocks(text, link))


def flowing(text: str, link: Link) -> str:
    """Of a text that has one paragraph, or more without anything else in them; on one line."""
    return " ".join(inline(text, link).split())


def inline(text: str, link: Link) -> str:
    parts = _CODE.split(text)
    for number, part in enumerate(parts):
        parts[number] = code(" ".join(part.split()), link) if number % 2 else _plain(part, link)
    return "".join(parts)


def code(text: str, link: Link) -> str:
    fence = "``" if "`" in text else "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    shown = f"{fence}{pad}{text}{pad}{fence}"
    where = link(text)
    return f"[{shown}]({where})" if where else shown


def _plain(text: str, link: Link) -> str:
    def named(found: re.Match[str]) -> str:
        where = link(found[1])
        return f"[{found[1]}]({where})" if where else found[1]

    for mark in "\\*[]<":
        text = text.replace(mark, f"\\{mark}")
    return _PLAIN_NAME.sub(named, text)


# ---- blocks


def _blocks(text: str, link: Link) -> Iterator[str]:
    for piece in re.split(r"\n{2,}(?=\S)", text.strip("\n")):
        if piece:
            yield from _block(piece, link)


def _block(piece: str, link: Link) -> Iterator[str]:
    head, _, rest = piece.partition("\n\n")
    if head.endswith("::") and rest:
        words = _BEFORE_EXAMPLE.sub("", head)
        if words:
            yield inline(f"{words}:", link)
        yield _example(textwrap.dedent(rest))
        return
    lines = piece.splitlines()
    if _RULE.fullmatch(lines[0]):
        yield _table(lines, link)
    elif _FIRST_TERM.match(lines[0]) and all(_TERM.match(each) or each[0] == " " for each in lines):
        yield "\n".join(_terms(lines, link))
    elif lines[0].startswith("- "):
        yield "\n".join(inline(line, link) for line in lines)
    elif len(lines) > 1 and all(not line or line.startswith("    ") for line in lines[1:]):
        yield f"- {inline(lines[0], link)}: " + flowing("\n".join(lines[1:]), link)
    elif any(line.startswith("    ") for line in lines[1:]):
        yield "\n".join(_headed(lines, link))
    else:
        yield inline(piece, link)


def _headed(lines: list[str], link: Link) -> Iterator[str]:
    """Terms without marks, each with what it means indented below it."""
    heads = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    for first, end in itertools.pairwise([*heads, len(lines)]):
        meaning = flowing("\n".join(lines[first + 1 : end]), link)
        yield f"- {inline(lines[first], link)}: {meaning}"


def _terms(lines: list[str], link: Link) -> Iterator[str]:
    told: list[str] = []
    for line in lines:
        if line.startswith(" "):
            told[-1] += " " + line.strip()
        else:
            told.append(line)
    for each in told:
        found = _TERM.match(each)
        assert found is not None
        yield f"- {inline(found[1], link)}: {flowing(each[found.end() :], link)}"


def _example(text: str) -> str:
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return f"```text\n{text}\n```"
    return f"<!-- not run: an excerpt -->\n```python\n{text}\n```"


def _table(lines: list[str], link: Link) -> str:
    starts = [found.start() for found in re.finditer(r"=+", lines[0])]
    spans = list(itertools.pairwise([*starts, 10_000]))
    rules = [number for number, line in enumerate(lines) if _RULE.fullmatch(line)]
    has_head = len(rules) == 3
    rows = _rows(lines, spans, rules)
    if not has_head:
        rows.insert(0, [""] * len(spans))
    rows.insert(1, ["---"] * len(spans))
    return "\n".join(
        "| " + " | ".join(cell if cell == "---" else _cell(cell, link) for cell in row) + " |"
        for row in rows
    )


def _rows(lines: list[str], spans: list[tuple[int, int]], rules: list[int]) -> list[list[str]]:
    rows: list[list[str]] = []
    for number, line in enumerate(lines):
        if number in rules:
            continue
        cells = [line[begin:end].strip() for begin, end in spans]
        # A head may have an empty first cell; in the body that is the row before going on.
        if cells[0] or not rows or (len(rules) == 3 and number - 2 < rules[0]):
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    return rows


def _cell(text: str, link: Link) -> str:
    return flowing(text, link).replace("|", "\\|")
