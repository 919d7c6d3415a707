"""A message from the JSON of ``POST /api/v1/send``. Blocks: attachments are decoded here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from mailframe.core.address import Address, AddressError
from mailframe.message.headers import fields, split_message

MAX_RECIPIENTS = 1_000
_RESTRICTED = {
    *{"to", "from", "cc", "bcc", "reply-to", "date", "subject"},
    *{"content-type", "mime-version", "content-transfer-encoding", "x-tags"},
}
_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")  # RFC 5322 section 2.2
_ASCII_OR_NOT = SMTP.clone(utf8=False)


class CompositionError(ValueError):
    """The JSON makes no message; says why."""


@dataclass(frozen=True, slots=True)
class Composed:
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """In wire format."""


def compose(given: dict[str, Any], date: str, message_id: str) -> Composed:
    """``given``: the object, its names in lower case; ``date`` and ``message_id``: fields for
    it. Raises CompositionError."""
    try:
        return _compose(given, date, message_id)
    except (MessageError, ValueError, TypeError, LookupError) as error:
        raise CompositionError(str(error)) from error


def _compose(given: dict[str, Any], date: str, message_id: str) -> Composed:
    sender = _mailbox(given.get("from"), "From")
    lists = {name: _mailboxes(given.get(name.lower()), name) for name in ("To", "Cc")}
    bcc = [_address(each, "Bcc") for each in _list(given.get("bcc"), "Bcc")]
    recipients = [box.addr_spec for boxes in lists.values() for box in boxes] + bcc
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise CompositionError(f"between 1 and {MAX_RECIPIENTS} recipients are wanted")
    message = EmailMessage(policy=_ASCII_OR_NOT)
    message["From"] = sender
    for name, boxes in lists.items():
        if boxes:
            message[name] = boxes
    if reply_to := _mailboxes(given.get("replyto"), "ReplyTo"):
        message["Reply-To"] = reply_to
    message["Subject"] = _text(given.get("subject"), "Subject")
    message["Date"] = date
    message["Message-ID"] = message_id
    if tags := [_text(tag, "Tags") for tag in _list(given.get("tags"), "Tags")]:
        message["X-Tags"] = ", ".join(tags)
    _add_headers(message, given.get("headers"))
    _add_content(message, given)
    content = message.as_bytes()
    return Composed(sender.addr_spec, tuple(dict.fromkeys(recipients)), content)


def _add_headers(message: EmailMessage, given: object) -> None:
    if given is None:
        return
    if not isinstance(given, dict):
        raise CompositionError("Headers must be an object")
    for name, value in given.items():
        if not _FIELD_NAME.fullmatch(str(name)):
            raise CompositionError(f"{name!r} is no name of a header field")
        if str(name).lower() in _RESTRICTED:
            raise CompositionError(f"Headers cannot have {name}")
        if str(name).lower() == "message-id":
            del message["Message-ID"]
        message[str(name)] = _text(value, "Headers")


def _add_content(message: EmailMessage, given: dict[str, Any]) -> None:
    text, html = _text(given.get("text"), "Text"), _text(given.get("html"), "HTML")
    message.set_content(text)
    attachments = [_lowered(each) for each in _list(given.get("attachments"), "Attachments")]
    inline = [each for each in attachments if each.get("contentid")]
    if html:
        message.add_alternative(html, subtype="html")
        related = message.get_payload(1)
        if not isinstance(related, EmailMessage):
            raise CompositionError("the HTML makes no part")
        for each in inline:
            content, kind, subtype, name = _attachment(each)
            content_id = f"<{_text(each['contentid'], 'ContentID').strip('<>')}>"
            related.add_related(
                content, kind, subtype, cid=content_id, filename=name, disposition="inline"
            )
    for each in attachments:
        if not html or each not in inline:
            content, kind, subtype, name = _attachment(each)
            message.add_attachment(content, kind, subtype, filename=name)


def _attachment(given: dict[str, Any]) -> tuple[bytes, str, str, str]:
    name = _text(given.get("filename"), "Filename") or "attachment"
    # readAsDataURL of browsers puts "data:image/png;base64," before it
    encoded = _text(given.get("content"), "Content").rpartition(",")[2]
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise CompositionError(f"the attachment {name!r} is no base64: {error}") from error
    kind, _, subtype = _text(given.get("contenttype"), "ContentType").partition("/")
    if not kind or not subtype or kind in ("multipart", "message"):
        kind, subtype = "application", "octet-stream"
    return content, kind, subtype.partition(";")[0].strip(), name


def _mailboxes(given: object, name: str) -> list[HeaderAddress]:
    return [_mailbox(each, name) for each in _list(given, name)]


def _mailbox(given: object, name: str) -> HeaderAddress:
    value = _lowered(given) if given is not None else {}
    address = _address(value.get("email"), name)
    return HeaderAddress(_text(value.get("name"), name), addr_spec=address)


def _address(given: object, name: str) -> str:
    try:
        return str(Address.parse(_text(given, name).strip()))
    except AddressError as error:
        raise CompositionError(f"invalid {name} address: {given} ({error})") from error


def _text(given: object, name: str) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise CompositionError(f"{name} must be text")
    return given


def _list(given: object, name: str) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise CompositionError(f"{name} must be a list")
    return given


def _lowered(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise CompositionError("an object is wanted where something else stands")
    return {str(name).lower(): value for name, value in given.items()}


def without_fields(data: bytes, names: Iterable[str]) -> bytes:
    """The message without the header fields of these names."""
    header, _ = split_message(data)
    unwanted = {name.lower() for name in names}
    kept, at = [], 0
    for field in fields(header):
        if field.name.lower() in unwanted:
            kept.append(data[at : field.start])
            at = field.start + len(field.raw)
    return b"".join([*kept, data[at:]])
