"""Messages as JSON objects with the members that users of Mailpit's API know.

Of the members nothing is left out, so that typed clients can read them. What differs: sizes are
those of the message as the first recipient has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mailframe.message.headers import fields, first
from mailframe.web.catalogue import Message
from mailframe.web.reading import Part, Reading
from mailframe.web.search import Candidate
from mailframe.web.summaries import Person, Summary, people
from mailframe.web.words import header_text

_LINK = re.compile(r"<((?:https?|mailto):[^<>\s]{1,2000})>", re.IGNORECASE)
_MAX_VALUE = 200  # octets of a Date


def summary_object(candidate: Candidate, username: str) -> dict[str, Any]:
    message, summary = candidate.message, candidate.summary
    return {
        "ID": message.id,
        "MessageID": summary.message_id,
        "Read": candidate.is_read,
        "From": _person(summary.sender),
        "To": _people(summary.to),
        "Cc": _people(summary.cc),
        "Bcc": _people(candidate.bcc),
        "ReplyTo": _people(summary.reply_to),
        "Subject": summary.subject,
        "Created": created(message.created),
        "Username": username,
        "Tags": list(candidate.tags),
        "Size": message.size,
        "Attachments": summary.attachments,
        "Snippet": summary.snippet,
    }


def message_object(
    candidate: Candidate, reading: Reading, header: bytes, username: str
) -> dict[str, Any]:
    message, summary = candidate.message, candidate.summary
    parts = reading.attachments
    return {
        "ID": message.id,
        "MessageID": summary.message_id,
        # Whoever asks has read it. Newer servers leave it out, older clients demand it.
        "Read": True,
        "From": _person(summary.sender),
        "To": _people(summary.to),
        "Cc": _people(summary.cc),
        "Bcc": _people(candidate.bcc),
        "ReplyTo": _people(summary.reply_to),
        "ReturnPath": message.reverse_path or (summary.sender.address if summary.sender else ""),
        "Subject": summary.subject,
        "ListUnsubscribe": _list_unsubscribe(header),
        "Date": _date(header, message.created),
        "Tags": list(candidate.tags),
        "Username": username,
        "Text": reading.all_text,
        "HTML": reading.all_html,
        "Size": message.size,
        "Inline": [part_object(part) for part in parts if part.is_inline],
        "Attachments": [part_object(part) for part in parts if not part.is_inline],
    }


def part_object(part: Part) -> dict[str, Any]:
    return {
        "PartID": part.id,
        "FileName": part.name or part.content_id,
        "ContentType": part.media_type,
        "ContentID": part.content_id,
        "Size": len(part.content),
        "Checksums": {
            "MD5": hashlib.md5(part.content, usedforsecurity=False).hexdigest(),
            "SHA1": hashlib.sha1(part.content, usedforsecurity=False).hexdigest(),
            "SHA256": hashlib.sha256(part.content).hexdigest(),
        },
    }


def headers_object(header: bytes) -> dict[str, list[str]]:
    """Values by name, names written as Go's net/textproto has them: ``Message-Id``."""
    found: dict[str, list[str]] = {}
    for field in fields(header):
        name = "-".join(word[:1].upper() + word[1:].lower() for word in field.name.split("-"))
        found.setdefault(name, []).append(field.text)
    return dict(sorted(found.items()))


def hidden(message: Message, summary: Summary) -> tuple[Person, ...]:
    """Recipients of the envelope who are in no field, behind those of Bcc."""
    shown = {
        person.address.casefold()
        for persons in (summary.to, summary.cc, summary.bcc)
        for person in persons
    }
    others = [each for each in message.recipients if each.casefold() not in shown]
    return (*summary.bcc, *(Person("", each) for each in others))


def created(seconds: float) -> str:
    """RFC 3339, with milliseconds."""
    when = datetime.fromtimestamp(round(seconds, 3), UTC)
    text = when.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _date(header: bytes, otherwise: float) -> str:
    """Of the Date field, in its own zone."""
    field = first(header, "Date")
    if field is None:
        return created(otherwise)
    try:
        when = parsedate_to_datetime(field.value[:_MAX_VALUE].decode("latin-1").strip())
        # "-0000" says that the zone is not known
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return when.isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, TypeError, IndexError, OverflowError):
        return created(otherwise)


def _list_unsubscribe(header: bytes) -> dict[str, Any]:
    field, post = first(header, "List-Unsubscribe"), first(header, "List-Unsubscribe-Post")
    value = header_text(field.value) if field else ""
    links = _LINK.findall(value)
    return {
        "Header": value,
        "Links": links,
        "Errors": "no link in angle brackets" if value and not links else "",
        "HeaderPost": header_text(post.value) if post else "",
    }


def _person(person: Person | None) -> dict[str, str]:
    name, address = (person.name, person.address) if person is not None else ("", "")
    return {"Name": name, "Address": address}


def _people(persons: Iterable[Person]) -> list[dict[str, str]]:
    return [_person(person) for person in persons]


def sender_of(header: bytes) -> str:
    """Whom a released message is from: Sender, else the first author."""
    for name in ("Sender", "From"):
        if found := people(header, name):
            return found[0].address
    return ""
