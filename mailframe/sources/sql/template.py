"""Query templates: SQL with named parameters, ``WHERE address = :address``.

A parameter is bound by the database: whatever it contains, it is a value and never text of the
query. What would paste is refused when the configuration is read: a parameter within quotes, and
the placeholders of other programs (``%s``, ``%(login)s``, ``{login}``, ``%u``, ``?``).

One spelling for every database; ``for_postgres`` makes of it what psycopg reads.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

_TOKENS = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<text> [eE]'(?:[^'\\]|\\.|'')*'
              | '(?:[^']|'')*'
              | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$ )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<cast> :: )
    | (?P<parameter> :[A-Za-z_]\w* )
    | (?P<pasted> %\( | %[A-Za-z](?![A-Za-z0-9_]) | \{ | \? | \$\d | @[A-Za-z_]\w* )
    | (?P<open> ['"] | /\* )
    | (?P<other> [A-Za-z_]\w* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_PARAMETER_IN_TEXT = re.compile(r":([A-Za-z_]\w*)")
_PASTED_IN_TEXT = re.compile(r"%\(|%[A-Za-z](?![A-Za-z0-9_])|\{[a-z_]+\}")


def check_template(text: str, names: Sequence[str]) -> None:
    """Raises ValueError with what to mend. ``names`` are those of the parameters there are."""
    if len(text) > 20_000 or "\0" in text:
        raise ValueError("is too long for a query, or has NUL in it")
    if not re.match(r"\s*\(*\s*(select|with)\b", text, re.IGNORECASE):
        raise ValueError("must begin with SELECT or WITH: nothing is written here")
    parameters = 0
    for kind, token in _tokens(text):
        if kind == "open":
            raise ValueError(f"has a {token} that is never closed")
        if kind == "parameter":
            _check_name(token[1:], names)
            parameters += 1
        if kind == "pasted":
            raise ValueError(f"has {token!r}; write :{names[0]}, which is bound and never pasted")
        if kind in ("text", "name") and _would_paste(token, names):
            raise ValueError(
                f"has a parameter within quotes: {token[:60]}; write :{names[0]} without them "
                f"(to join it with text: '%' || :{names[0]})"
            )
        if kind == "other" and token == ";":
            raise ValueError("must be one query, without a semicolon")
    if not parameters:
        raise ValueError(f"has no parameter: it needs at least one of {_listed(names)}")


def for_postgres(text: str) -> str:
    """As psycopg reads it."""
    return "".join(
        f"%({token[1:]})s" if kind == "parameter" else token.replace("%", "%%")
        for kind, token in _tokens(text)
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup or "other"
        yield ("text" if kind == "tag" else kind), match[0]


def _would_paste(token: str, names: Sequence[str]) -> bool:
    in_text = _PARAMETER_IN_TEXT.findall(token)
    return not set(names).isdisjoint(in_text) or _PASTED_IN_TEXT.search(token) is not None


def _check_name(name: str, names: Sequence[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f" (did you mean :{near[0]}?)" if near else ""
        raise ValueError(f"has :{name}, but there is only {_listed(names)}{hint}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f":{name}" for name in names)
