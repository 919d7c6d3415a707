"""Delivery status notifications: what became of a message, for its sender.

``build_dsn`` makes the whole ``multipart/report`` (RFC 6522) in wire format: a text for
people, ``message/delivery-status`` for programs (RFC 3464), and the original message or its
header. It decides nothing: who is to be told of what is the queue's affair.

Promises
    The result is MIME that a strict parser accepts, whatever the original and the remote's
    words contain: no line of theirs can become a field or a boundary of ours. The remote's
    words come through verbatim but for characters that a field cannot hold. Lines are at
    most 998 octets. Where the original was SMTPUTF8, or an address needs it, RFC 6533 holds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient, Return
from mailframe.core.reply import Reply
from mailframe.message.dsn_fields import (
    DeliveryFields,
    clean,
    fold,
    status_fields,
)
from mailframe.message.dsn_text import explanation, subject

__all__ = [
    "Action",
    "Notification",
    "Original",
    "ReportedRecipient",
    "build_dsn",
    "needs_smtputf8",
    "wants_full",
]

FULL_LIMIT = 50 * 1024
"""The whole original comes back up to this size when the sender did not say (octets)."""


class Action(enum.Enum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One recipient's part of the notification; times are seconds since the epoch."""

    recipient: Recipient
    action: Action
    reply: Reply
    """The remote's words, or ours where ``remote`` is empty."""
    remote: str = ""
    status: str = ""
    """The enhanced status where it is not the reply's (``4.4.7`` when time ran out)."""
    attempted: float | None = None
    retry_until: float | None = None
    """For DELAYED: when it will be given up."""


@dataclass(frozen=True, slots=True)
class Original:
    """What is known of the message that the notification is about."""

    queue_id: str
    envelope: Envelope
    arrived: float
    """Seconds since the epoch."""
    message_id: str
    """With its angle brackets; empty if it had none."""
    content: bytes
    """The message from its start, trace fields included: all of it, or as much as was read."""
    is_whole: bool
    """Whether ``content`` is all of it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One report: about one message, to its sender, all recipients with the same action."""

    message_id: str
    """Of the notification itself, with angle brackets."""
    hostname: str
    to: Address
    date: float
    recipients: tuple[ReportedRecipient, ...]
    original: Original


def wants_full(envelope: Envelope, action: Action, size: int, limit: int) -> bool:
    """Whether the whole original is to be returned, given its ``size`` in octets.

    ``limit`` bounds what an explicit RET=FULL can ask for.
    """
    # RFC 3461 section 4.3: RET applies to failures only; other reports return the header.
    if action is not Action.FAILED or envelope.ret is Return.HEADERS:
        return False
    return size <= (limit if envelope.ret is Return.FULL else min(limit, FULL_LIMIT))


def needs_smtputf8(notification: Notification) -> bool:
    """Whether the notification can only travel by SMTPUTF8 (RFC 6533 section 3)."""
    return notification.original.envelope.smtputf8 or notification.to.needs_utf8


def build_dsn(notification: Notification) -> bytes:
    """The notification in wire format, header included."""
    utf8 = needs_smtputf8(notification)
    original = notification.original
    action = notification.recipients[0].action
    parts = [
        _text_part(notification, action),
        _status_part(notification, utf8),
        _returned_part(original, utf8),
    ]
    boundary = _boundary(original.queue_id, parts)
    is_8bit = any(not part.isascii() for part in parts)
    header = _header(notification, action, boundary, is_8bit)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return header + b"\r\n" + body + b"--%s--\r\n" % boundary


def _header(notification: Notification, action: Action, boundary: bytes, is_8bit: bool) -> bytes:
    host = notification.hostname
    fields = [
        f"Date: {formatdate(notification.date)}",
        # RFC 3464 section 2: from an address that takes mail, to the envelope's sender
        f"From: Mail Delivery System <MAILER-DAEMON@{host}>",
        f"To: <{notification.to}>",
        f"Subject: {subject(action.value)}",
        f"Message-ID: {notification.message_id}",
        # RFC 3834 section 5
        "Auto-Submitted: auto-replied",
    ]
    if _MESSAGE_ID.fullmatch(notification.original.message_id):
        fields.append(f"In-Reply-To: {notification.original.message_id}")
        fields.append(f"References: {notification.original.message_id}")
    fields += [
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        f'\tboundary="{boundary.decode()}"',
        f"Content-Transfer-Encoding: {'8bit' if is_8bit else '7bit'}",
    ]
    return "".join(f"{field}\r\n" for field in fields).encode()


# RFC 5322 section 3.6.4, loosely: what is certain not to break our own header
_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")


def _text_part(notification: Notification, action: Action) -> bytes:
    text = explanation(
        action.value,
        notification.hostname,
        notification.original.queue_id,
        [_lines_about(reported) for reported in notification.recipients],
        _latest(notification.recipients),
    )
    body = text.replace("\n", "\r\n").encode()
    label = ("us-ascii", "7bit") if body.isascii() else ("utf-8", "8bit")
    return (
        b"Content-Description: Notification\r\n"
        b"Content-Type: text/plain; charset=%s\r\n"
        b"Content-Transfer-Encoding: %s\r\n\r\n" % (label[0].encode(), label[1].encode())
    ) + body


def _lines_about(reported: ReportedRecipient) -> tuple[str, str, str]:
    recipient = reported.recipient
    asked = recipient.original or recipient.address
    words = " ".join(clean(line, utf8=True) for line in str(reported.reply).splitlines())
    return f"<{asked}>", clean(reported.remote, utf8=True), words


def _latest(recipients: Sequence[ReportedRecipient]) -> str:
    times = [reported.retry_until for reported in recipients if reported.retry_until is not None]
    return formatdate(max(times)) if times else ""


def _status_part(notification: Notification, utf8: bool) -> bytes:
    original = notification.original
    groups = status_fields(
        hostname=notification.hostname,
        envid=original.envelope.envid,
        queue_id=original.queue_id,
        arrived=original.arrived,
        recipients=[_fields_about(reported) for reported in notification.recipients],
        utf8=utf8,
    )
    # RFC 6533 section 3
    kind = "message/global-delivery-status" if utf8 else "message/delivery-status"
    header = f"Content-Description: Delivery report\r\nContent-Type: {kind}\r\n"
    body = "\r\n".join("".join(fold(field) for field in group) for group in groups)
    if not body.isascii():
        header += "Content-Transfer-Encoding: 8bit\r\n"
    return f"{header}\r\n{body}".encode()


def _fields_about(reported: ReportedRecipient) -> DeliveryFields:
    return DeliveryFields(
        recipient=reported.recipient,
        action=reported.action.value,
        status=reported.status or _status_of(reported),
        reply=reported.reply,
        remote=reported.remote,
        attempted=reported.attempted,
        retry_until=reported.retry_until,
    )


def _status_of(reported: ReportedRecipient) -> str:
    """The class digit must agree with the action (RFC 3464 section 2.3.4)."""
    own = {Action.FAILED: "5", Action.DELAYED: "4"}.get(reported.action, "2")
    enhanced = reported.reply.enhanced
    # A failure may well carry a 4.x.x: it was transient until time ran out.
    if enhanced[0] == own or (own == "5" and enhanced[0] == "4"):
        return enhanced
    return f"{own}.0.0"


def _returned_part(original: Original, utf8: bool) -> bytes:
    if original.is_whole and _is_plain(original.content):
        kind = b"message/global" if utf8 else b"message/rfc822"
        encoding = b"7bit" if original.content.isascii() else b"8bit"
        description = b"Undelivered message"
        content = original.content
    else:
        kind = b"message/global-headers" if utf8 else b"text/rfc822-headers"
        description = b"Header of the message"
        content, encoding = _readable(_header_of(original.content))
        if not original.content:
            description = b"The message itself could not be read any more"
    return (
        b"Content-Description: %s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n"
        % (description, kind, encoding)
    ) + content


def _header_of(content: bytes) -> bytes:
    """The header section; of one that was cut off, the whole lines."""
    end = content.find(b"\r\n\r\n")
    if end >= 0:
        return content[: end + 2]
    return content[: content.rfind(b"\r\n") + 2] if b"\r\n" in content else b""


_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_LONG_LINE = re.compile(rb"[^\r\n]{999}")


def _is_plain(content: bytes) -> bool:
    """Whether 7bit or 8bit can carry it (RFC 2045 sections 2.7 and 2.8)."""
    return not _BARE.search(content) and not _LONG_LINE.search(content)


def _readable(header: bytes) -> tuple[bytes, bytes]:
    """The header and its transfer encoding."""
    if _is_plain(header):
        return header, b"7bit" if header.isascii() else b"8bit"
    lines = header.split(b"\r\n")
    return b"\r\n".join(map(_quoted_printable, lines)), b"quoted-printable"


def _quoted_printable(line: bytes) -> bytes:
    """RFC 2045 section 6.7, one line, with soft breaks before column 76."""
    coded = [
        bytes([octet]) if (33 <= octet <= 126 and octet != 61) or octet == 32 else b"=%02X" % octet
        for octet in line
    ]
    if coded and coded[-1] == b" ":
        coded[-1] = b"=20"
    rows, row = [], b""
    for piece in coded:
        if len(row) + len(piece) > 75:
            rows.append(row + b"=")
            row = b""
        row += piece
    return b"\r\n".join([*rows, row])


def _boundary(queue_id: str, parts: Sequence[bytes]) -> bytes:
    """A boundary that occurs in no part."""
    number = 0
    while True:
        boundary = f"=_{queue_id}.{number}".encode()
        if not any(boundary in part for part in parts):
            return boundary
        number += 1
