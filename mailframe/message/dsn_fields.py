"""The fields of ``message/delivery-status`` (RFC 3464 section 2), ready to be written.

Text from remotes and envelopes enters here and leaves harmless: control characters become
``?``, line breaks become folding, long words are split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from mailframe.core import xtext
from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply

_FOLD_AT = 76
# RFC 5322 section 2.1.1, less the CRLF and some room for the folding itself
_LONGEST_WORD = 900


@dataclass(frozen=True, slots=True)
class DeliveryFields:
    """One per-recipient group; times are seconds since the epoch."""

    recipient: Recipient
    action: str
    status: str
    reply: Reply
    remote: str
    attempted: float | None
    retry_until: float | None


def status_fields(
    *,
    hostname: str,
    envid: str | None,
    queue_id: str,
    arrived: float,
    recipients: Sequence[DeliveryFields],
    utf8: bool,
) -> list[list[str]]:
    """Groups of unfolded fields: the message's, then one a recipient."""
    message = [f"Reporting-MTA: dns; {clean(hostname, utf8=utf8)}"]
    # RFC 3464 section 2.2.1. Of one that is all blanks there would be a name without a value.
    if envid and (cleaned := clean(envid, utf8=utf8)).strip(" "):
        message.insert(0, f"Original-Envelope-Id: {cleaned}")
    message.append(f"X-Mailframe-Queue-ID: {clean(queue_id, utf8=False)}")
    message.append(f"Arrival-Date: {formatdate(arrived)}")
    return [message, *(_recipient_fields(fields, utf8) for fields in recipients)]


def _recipient_fields(fields: DeliveryFields, utf8: bool) -> list[str]:
    recipient = fields.recipient
    found = []
    if original := _original_recipient(recipient, utf8):
        found.append(f"Original-Recipient: {original}")
    found.append(f"Final-Recipient: {typed_address(recipient.address, utf8)}")
    found.append(f"Action: {fields.action}")
    found.append(f"Status: {fields.status}")
    if fields.remote:
        # RFC 3464 section 2.3.5
        found.append(f"Remote-MTA: dns; {clean(fields.remote, utf8=utf8)}")
    # RFC 3464 section 2.3.6: of type smtp only where a remote said it
    kind = "smtp" if fields.remote else "x-mailframe"
    found.append(f"Diagnostic-Code: {kind}; {_diagnostic(fields.reply, utf8)}")
    if fields.attempted is not None:
        found.append(f"Last-Attempt-Date: {formatdate(fields.attempted)}")
    if fields.retry_until is not None and fields.action == "delayed":
        found.append(f"Will-Retry-Until: {formatdate(fields.retry_until)}")
    return found


def _original_recipient(recipient: Recipient, utf8: bool) -> str:
    if recipient.orcpt is not None:
        # RFC 3464 section 2.3.1: exactly as given, but a field cannot hold everything
        kind, _, address = recipient.orcpt.partition(";")
        if address.isascii() or utf8:
            return f"{clean(kind, utf8=False)}; {clean(address, utf8=utf8)}"
        return f"utf-8; {xtext.encode_utf8_address(address)}"
    if recipient.original is not None:
        return typed_address(recipient.original, utf8)
    return ""


def typed_address(address: Address, utf8: bool) -> str:
    """``rfc822; a@b``, or the address types of RFC 6533 section 3 where ASCII will not do."""
    text = str(address)
    if not address.needs_utf8:
        return f"rfc822; {text}"
    return f"utf-8; {text if utf8 else xtext.encode_utf8_address(text)}"


def _diagnostic(reply: Reply, utf8: bool) -> str:
    """The reply as it came over the wire, one line below the other."""
    lines = reply.text.split("\n")
    words = f"{reply.enhanced} " if reply.status is not None else ""
    last = len(lines) - 1
    return "\n".join(
        f"{reply.code}{'-' if number < last else ' '}{words}{clean(line, utf8=utf8)}".rstrip()
        for number, line in enumerate(lines)
    )


def clean(text: str, *, utf8: bool) -> str:
    """One line that a field can hold; what it cannot becomes ``?``."""
    text = _CONTROL.sub("?", text.replace("\t", " "))
    if utf8:
        return text.encode("utf-8", "replace").decode()
    return text.encode("ascii", "replace").decode()


# C0 and C1 controls, DEL, and the separators at which str.splitlines breaks
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def fold(field: str) -> str:
    """The field with its CRLF, folded at spaces (RFC 5322 section 2.2.3), so that unfolding
    gives the same words; ``\\n`` in it starts a line of its own, indented. The name never
    stands alone: not every reader takes what follows for its value."""
    rows: list[str] = []
    for number, line in enumerate(field.split("\n")):
        row = "" if number == 0 else "   "
        for word in _words(line):
            has_value = rows or " " in row
            if has_value and row.strip() and len(f"{row} {word}".encode()) > _FOLD_AT:
                rows.append(row)
                row = " "
            row += word if not row.strip() else f" {word}"
        rows.append(row)
    return "".join(f"{row}\r\n" for row in rows if row.strip())


def _words(line: str) -> list[str]:
    """Split at spaces, and words that no line can hold in pieces."""
    words = []
    for word in line.split(" "):
        # Four octets a character at most
        size = _LONGEST_WORD if word.isascii() else _LONGEST_WORD // 4
        words += [word[start : start + size] for start in range(0, len(word), size)]
    return words
