"""pydantic's findings in the words of somebody who edits a file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config

_WORDS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be a string",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "too_short": "must not be empty",
}


def explain(error: ValidationError) -> list[tuple[Path, str]]:
    """Key path and message of each finding."""
    return [(_key(finding), _message(finding)) for finding in error.errors(include_url=False)]


def _key(finding: ErrorDetails) -> Path:
    """Without the index into a list: the file has one line for it, and the value is quoted."""
    return tuple(part for part in finding["loc"] if isinstance(part, str) and part != "[key]")


def _message(finding: ErrorDetails) -> str:
    kind = finding["type"]
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(finding['loc'][-1]), _siblings(finding['loc'][:-1]))}"
    context: dict[str, Any] = finding.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _not_a_choice(finding["input"], str(context["expected"]))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = "at least" if kind == "greater_than_equal" else "at most"
        return f"must be {bound} {context.get('ge', context.get('le'))}"
    return _WORDS.get(kind) or finding["msg"]


def _not_a_choice(value: object, expected: str) -> str:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"must be one of {', '.join(choices)}{hint}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)``; empty where nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _siblings(path: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at ``path`` may have."""
    kind: Any = Config
    for part in path:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            fields = {info.alias or name: info for name, info in kind.model_fields.items()}
            kind = fields[str(part)].annotation
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [info.alias or name for name, info in kind.model_fields.items()]
