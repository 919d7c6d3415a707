"""A filter's packets, read: each letter with what its data must be."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.status import Status
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.milter import events as ev
from mailframe.protocols.milter.wire import Action, Answer, number, split_strings

_NAME = re.compile(r"[!-9;-~]{1,76}")
# libmilter sends several lines as an SMTP server would write them
_REPLY_LINE = re.compile(r"([45]\d\d)(?:[ -]|$)(?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?(.*)", re.ASCII)
_MOST_LINES = 32
_LONGEST_LINE = 500
# what a person may see of a filter's words: no control characters, which end lines and fields
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

DECISIONS = {
    Answer.ACCEPT: ev.Decision.ACCEPT,
    Answer.CONTINUE: ev.Decision.CONTINUE,
    Answer.DISCARD: ev.Decision.DISCARD,
    Answer.REJECT: ev.Decision.REJECT,
    Answer.SKIP: ev.Decision.SKIP,
    Answer.TEMPFAIL: ev.Decision.TEMPFAIL,
    Answer.CONNECTION_FAILED: ev.Decision.TEMPFAIL,
    Answer.SHUTDOWN: ev.Decision.SHUTDOWN,
}

NEEDS = {
    Answer.ADD_HEADER: Action.ADD_HEADERS,
    Answer.INSERT_HEADER: Action.ADD_HEADERS,
    Answer.CHANGE_HEADER: Action.CHANGE_HEADERS,
    Answer.ADD_RECIPIENT: Action.ADD_RECIPIENTS,
    Answer.ADD_RECIPIENT_PAR: Action.ADD_RECIPIENTS_PAR,
    Answer.DELETE_RECIPIENT: Action.DELETE_RECIPIENTS,
    Answer.CHANGE_SENDER: Action.CHANGE_SENDER,
    Answer.REPLACE_BODY: Action.CHANGE_BODY,
    Answer.QUARANTINE: Action.QUARANTINE,
}
"""The action that must have been agreed on for each modification."""


def read_modification(answer: Answer, data: bytes) -> ev.Modification:
    """Raises RemoteProtocolError."""
    return _READERS[answer](data)


def read_reply(data: bytes) -> Reply:
    """Of REPLY_CODE: one line or several, as in SMTP. Raises RemoteProtocolError."""
    said = _text(data.rstrip(b"\0"))
    code, found, lines = "", None, []
    for line in said.replace("\r\n", "\n").rstrip("\n").split("\n")[:_MOST_LINES]:
        match = _REPLY_LINE.match(line)
        if match is None:
            raise RemoteProtocolError(f"{line[:80]!r} is no reply that refuses")
        code = code or match[1]
        found = found or Status.parse(match[2] or "")
        # smtp_setreply wants a percent sign doubled
        text = match[3].replace("%%", "%")[:_LONGEST_LINE]
        lines.append(_CONTROL.sub(" ", text).replace("\t", " ").strip())
    # the class of the status comes from the code, whatever the filter wrote
    enhanced = found[1] if found is not None else status.MESSAGE_REFUSED
    return Reply(int(code), enhanced, "\n".join(lines).strip() or "Refused")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _one(data: bytes, what: str) -> str:
    found = split_strings(data)
    if not found or not found[0]:
        raise RemoteProtocolError(f"{what} is missing")
    return _text(found[0])


def _header(data: bytes) -> tuple[str, str]:
    found = split_strings(data)
    if not 1 <= len(found) <= 2:
        raise RemoteProtocolError("a header field needs a name and a value")
    name = _text(found[0])
    if not _NAME.fullmatch(name):
        raise RemoteProtocolError(f"{name[:80]!r} is no field name")
    return name, _folded(_text(found[1])) if len(found) == 2 else ""


def _folded(value: str) -> str:
    """Lines of a value end with LF here; one that does not go on with a blank would end the field,
    and let the filter, or whose words it repeats, write fields of their own."""
    lines = _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n").rstrip()).split("\n")
    kept = [line for index, line in enumerate(lines) if not index or line.strip()]
    rest = (line if line[0] in " \t" else f"\t{line}" for line in kept[1:])
    return "\r\n".join([kept[0].rstrip(), *rest])


def _add_header(data: bytes) -> ev.AddHeader:
    return ev.AddHeader(*_header(data))


def _insert_header(data: bytes) -> ev.InsertHeader:
    index, rest = number(data)
    return ev.InsertHeader(index, *_header(rest))


def _change_header(data: bytes) -> ev.ChangeHeader:
    index, rest = number(data)
    name, value = _header(rest)
    return ev.ChangeHeader(max(1, index), name, value or None)


def _add_recipient(data: bytes) -> ev.AddRecipient:
    return ev.AddRecipient(_one(data, "the recipient"), _parameters(data))


def _change_sender(data: bytes) -> ev.ChangeSender:
    return ev.ChangeSender(_one(data, "the sender"), _parameters(data))


def _parameters(data: bytes) -> str:
    return " ".join(map(_text, split_strings(data)[1:]))


_READERS: dict[Answer, Callable[[bytes], ev.Modification]] = {
    Answer.ADD_HEADER: _add_header,
    Answer.INSERT_HEADER: _insert_header,
    Answer.CHANGE_HEADER: _change_header,
    Answer.ADD_RECIPIENT: _add_recipient,
    Answer.ADD_RECIPIENT_PAR: _add_recipient,
    Answer.DELETE_RECIPIENT: lambda data: ev.DeleteRecipient(_one(data, "the recipient")),
    Answer.CHANGE_SENDER: _change_sender,
    Answer.REPLACE_BODY: ev.ReplaceBody,
    Answer.QUARANTINE: lambda data: ev.Quarantine(
        _CONTROL.sub(" ", _text(data.rstrip(b"\0")))[:_LONGEST_LINE]
    ),
}
