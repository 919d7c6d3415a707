"""Changing single fields of a header section, everything else left to the octet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mailframe.core.verdict import HeaderChange
from mailframe.message.headers import fields
from mailframe.message.trace import field_line


def amended_header(header: bytes, changes: Iterable[HeaderChange]) -> bytes:
    """``header`` in wire format with its fields changed or removed. A change of a field that is
    not there does nothing; of two of one field the later counts. ValueError for a value that is
    none (see ``trace.field_line``)."""
    wanted = {(change.name.lower(), change.occurrence): change for change in changes}
    seen: Counter[str] = Counter()
    kept, at = [], 0
    for field in fields(header):
        name = field.name.lower()
        seen[name] += 1
        change = wanted.get((name, seen[name]))
        if change is None:
            continue
        kept.append(header[at : field.start])
        at = field.start + len(field.raw)
        if change.value is not None:
            kept.append(field_line(field.name, change.value))
    return b"".join([*kept, header[at:]])
