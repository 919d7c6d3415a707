"""Fields that pretend to be ours, taken out of a header section (RFC 8601 section 5)."""

from __future__ import annotations

import re

from mailframe.mailauth.results.lexical import as_host, unquoted, without_comments
from mailframe.message.headers import unfolded

OUR_FILTER_FIELDS = (
    "X-Spam-Status",
    "X-Spam-Flag",
    "X-Spam-Score",
    "X-Spam-Report",
    "X-Spam-Level",
)
"""What our own filter writes: whoever files by them must not be told by the sender."""

_RESULTS = b"authentication-results"
_RESULTS_LINE = b"\n" + _RESULTS
_FILTER_LINE = b"\nx-spam-"
_FIELD = re.compile(
    rb"^(" + b"|".join([_RESULTS, *(name.encode() for name in OUR_FILTER_FIELDS)]) + rb")"
    rb"[ \t]*:(.*(?:\n[ \t].*)*\n?)",
    re.MULTILINE | re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NOT_PLAIN = re.compile(rb"[^\t\r\n -~]")
_COMMENT = re.compile(rb"\([^()]*\)")
_NO_LETTER = re.compile(rb"[^a-z0-9.-]")
_MAX_VALUE = 65_536
_MOST_READ = 50
"""Fields whose names are read, on the reactor thread; no way of a message is that long."""
# RFC 8601 section 2.2: authserv-id [ CFWS authres-version ]
_HEAD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s;="()<>@,\\/]+)(?:\s+[0-9]+)?\s*(?=;|$)')


def without_forged(header: bytes, authserv_id: str, *, filters: bool = True) -> bytes:
    """``header`` without Authentication-Results that claim to be ours, cannot be read, or stand
    below dozens of others; where our filter is at work (``filters``) without the fields of
    ``OUR_FILTER_FIELDS``, too. The same object where there are none."""
    lowered = b"\n" + header.lower()
    if _RESULTS_LINE not in lowered and not (filters and _FILTER_LINE in lowered):
        return header
    ours = as_host(authserv_id)
    kept: list[bytes] = []
    at = read = 0
    for field in _FIELD.finditer(header):
        is_results = field[1].lower() == _RESULTS
        if not is_results and not filters:
            continue
        if is_results and read < _MOST_READ:
            read += 1
            if not _claims(field[2], ours):
                continue
        kept.append(header[at : field.start()])
        at = field.end()
    return b"".join([*kept, header[at:]]) if at else header


def _claims(value: bytes, ours: str) -> bool:
    """Whether a reader may take it for ours. What cannot be read may be read otherwise by the
    next program, so that it counts as ours (RFC 8601 section 5) unless our name is nowhere in it:
    some large senders write no name at all."""
    if len(value) > _MAX_VALUE:
        return True
    try:
        text = without_comments(unfolded(value).decode("utf-8"))
    except ValueError:  # UnicodeDecodeError is one
        return _may_name(value, ours)
    # what one reader shows as nothing is a letter of the name for the next
    if _CONTROL.search(text) is not None:
        return True
    head = _HEAD.match(text)
    return _may_name(value, ours) if head is None else as_host(unquoted(head[1])) == ours


def _may_name(value: bytes, ours: str) -> bool:
    """Whether our name can be found in it by any reader; of what is no plain ASCII nobody knows."""
    if _NOT_PLAIN.search(value):
        return True
    bare = _NO_LETTER.sub(b"", _COMMENT.sub(b"", value.lower()))
    whole = _NO_LETTER.sub(b"", value.lower())
    name = _NO_LETTER.sub(b"", ours.encode())
    return name in bare or name in whole
