"""The tree of a message's parts in few octets, for an index.

A version and then flat JSON: read by C code, and nothing of a damaged index is executed.
"""

from __future__ import annotations

import json
from typing import Any

from mailframe.core.facts import Part

_VERSION = b"1"


def parts_to_bytes(part: Part) -> bytes:
    return _VERSION + json.dumps(_plain(part), separators=(",", ":")).encode("ascii")


def parts_from_bytes(octets: bytes) -> Part:
    """Raises ValueError for another version and for what is damaged: read the message again."""
    if octets[:1] != _VERSION:
        raise ValueError("the parts were written by another version")
    try:
        return _part(json.loads(octets[1:]))
    except (TypeError, RecursionError) as error:
        raise ValueError("the parts are damaged") from error


def _plain(part: Part) -> list[Any]:
    row: list[Any] = [part.header, part.body, part.end, part.media, part.encoding, part.charset]
    if part.parts or part.message is not None:
        row.append([_plain(child) for child in part.parts])
    if part.message is not None:
        row.append(_plain(part.message))
    return row


def _part(row: Any) -> Part:
    if len(row) == 6:
        return Part(*row)
    header, body, end, media, encoding, charset, children, *message = row
    return Part(
        header,
        body,
        end,
        media,
        encoding,
        charset,
        tuple([_part(child) for child in children]),
        _part(message[0]) if message else None,
    )
