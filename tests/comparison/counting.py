"""Lines of code, by a rule: those that are left when blank lines, comments and docstrings are
taken away; the same of a configuration file, whose comments begin with ``#``."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path

_NO_CODE = {
    *{tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT},
    *{tokenize.ENCODING, tokenize.ENDMARKER},
}


def code_lines(text: str) -> int:
    """Of a Python program. A statement over three lines counts three."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstrings(ast.parse(text)))


def _docstrings(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def lines_of(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".py":
            total += code_lines(text)
        else:
            kept = (line.strip() for line in text.splitlines())
            total += sum(bool(line) and not line.startswith("#") for line in kept)
    return total
