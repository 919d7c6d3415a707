"""Tag lists (RFC 6376 section 3.2), read strictly: ``v=1; d=example.org``."""

from __future__ import annotations

import re

# RFC 6376 section 3.2: tval is VALCHAR, blanks only inside; RFC 8616 section 4: UTF-8 too
_SPEC = re.compile(
    rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*)"
)
_STRAY_LINE_END = re.compile(rb"\r(?!\n[ \t])|(?<!\r)\n")
_MOST_TAGS = 100


class TagError(ValueError):
    """No tag list; the text says why."""


def parse_tags(value: bytes) -> dict[str, bytes]:
    """Names (case matters) and values, without the blanks around them. Raises TagError."""
    text = value.strip(b" \t\r\n")
    if _STRAY_LINE_END.search(text):
        raise TagError("line end inside a tag list")
    specs = text.split(b";", _MOST_TAGS + 1)
    if not specs[-1].strip(b" \t\r\n"):
        specs.pop()  # one semicolon may close the list
    if len(specs) > _MOST_TAGS:
        raise TagError("too many tags")
    tags: dict[str, bytes] = {}
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise TagError("no tag list")
        name = match[1].decode("ascii")
        if name in tags:
            # RFC 6376 section 3.2: tags with duplicate names make the whole list invalid
            raise TagError(f"tag {name} twice")
        tags[name] = match[2].strip(b" \t\r\n")
    return tags


def without_signature(raw: bytes) -> bytes:
    """The field with the value of ``b=`` removed (RFC 6376 section 3.5), nothing else changed."""
    name, colon, value = raw.partition(b":")
    specs = value.split(b";")
    for place, spec in enumerate(specs):
        tag, equals, _ = spec.partition(b"=")
        if equals and tag.strip(b" \t\r\n") == b"b":
            specs[place] = tag + equals
            break
    return name + colon + b";".join(specs)
