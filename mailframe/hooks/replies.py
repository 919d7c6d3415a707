"""New messages: what ``app.send``, ``msg.reply``, ``msg.forward`` and ``msg.send`` write.

All say that a program wrote them (Auto-Submitted, RFC 3834 section 5). Whatever an argument
contains, a field stays one field: CR, LF and NUL in any that becomes part of a header field are a
ValueError at the call.

Replies are those of a service (RFC 3834 section 1.3). They go to the reverse-path, as section 4
wants it, and name it in To; the author's Reply-To is for people (same section), and who wants the
author names him: ``to=msg.from_``. Their own reverse-path is null (section 3.3): nobody answers it,
and their bounces, which could only come back to the application, are not made. New messages and
forwarded ones have the address that they are from as reverse-path, so that their bounces come
there; only what had the null one itself keeps it (RFC 5321 section 4.5.5).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mailframe.core.address import Address
from mailframe.hooks.automatic import MAX_HOPS, is_same, why_loop
from mailframe.hooks.drafts import (
    OURS,
    Draft,
    Mailbox,
    Person,
    author_of,
    body_of,
    mailbox_or_none,
    people_of,
)
from mailframe.hooks.mail import Message
from mailframe.hooks.outgoing import Dispatch, Letter, Outgoing
from mailframe.hooks.server import Server
from mailframe.mailauth.results.lexical import as_host
from mailframe.message.composing import Part, message_part, multipart, text_part
from mailframe.message.field_writing import tokens_field
from mailframe.message.headers import has_more_than
from mailframe.message.trace import delivered_to_field

MAX_REFERENCES = 20
MAX_SUBJECT = 500
"""Characters of somebody else's subject that are taken over."""

_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,250}>")
# "Re" of some languages; RFC 5322 section 3.6.5 wants it once
_RE = re.compile(r"\s*(?:re|aw|sv|vs|antw|odp|απ|σχετ)\s*(?:\[\d{1,4}\]|\(\d{1,4}\))?\s*:", re.I)
_FWD = re.compile(r"\s*(?:fwd?|wg|tr|πρθ)\s*:", re.I)
_OF_REPLIES = OURS | {"auto-submitted", "in-reply-to", "references", "x-auto-response-suppress"}

# ---- what is asked for


def new_mail(
    server: Server,
    *,
    to: Person | Iterable[Person] = (),
    subject: str = "",
    text: str | None = None,
    html: str | None = None,
    from_: Person | None = None,
    attachments: Any = (),
    cc: Person | Iterable[Person] = (),
    bcc: Person | Iterable[Person] = (),
    reply_to: Person | None = None,
    headers: Mapping[str, str] | None = None,
    message_id: str = "",
) -> Letter:
    """``from_`` None: the postmaster. An attachment is bytes, a path (read at once, which blocks),
    ``(name, bytes)``, ``(name, bytes, type)``, or one of a message's. ``headers`` are further
    fields; Auto-Submitted may be one of them. ValueError and TypeError for what makes no mail,
    OSError for a file that cannot be read."""
    author = author_of(server, from_)
    shown = [("To", people_of(to)), ("Cc", people_of(cc))]
    hidden = people_of(bcc)
    draft = Draft(server, author, [*shown[0][1], *shown[1][1], *hidden])
    draft.reverse_path = author.address
    draft.shown = shown
    draft.subject = subject
    if reply_to is not None:
        draft.reply_to = people_of(reply_to)
    draft.add_fields(headers, OURS)
    if not any(name.lower() == "auto-submitted" for name in headers or ()):
        draft.more.append(tokens_field("Auto-Submitted", ["auto-generated"]))
    draft.body = body_of(text, html, attachments)
    return draft.letter(message_id or f"<{server.ids()}@{as_host(server.hostname)}>")


def answer_to(
    msg: Message,
    outgoing: Outgoing,
    *,
    text: str | None,
    html: str | None,
    attachments: Any,
    to: Person | None,
    from_: Person | None,
    answers: Person | None,
    subject: str | None,
    headers: Mapping[str, str] | None,
    even_automatic: bool,
) -> Dispatch:
    sender = msg.envelope.reverse_path
    asked = people_of(to) if to is not None else []
    if to is not None and len(asked) != 1:
        raise ValueError("a reply goes to one address")
    if sender is None:
        return outgoing.refuse(f"no reply: {msg.why_automatic}")
    addressee = asked[0] if asked else Mailbox(_name_of(msg, sender), sender)
    why = why_loop(msg.header, sender, addressee.address, _own(msg))
    if not why and not even_automatic:
        why = msg.why_automatic
    if why:
        return outgoing.refuse(f"no reply: {why}")
    author = author_of(outgoing.server, msg.address if from_ is None else from_)
    draft = Draft(outgoing.server, author, [addressee])
    draft.shown = [("To", [addressee])]
    if answers is not None:
        draft.reply_to = people_of(answers)
    draft.subject = f"Re: {_stripped(msg.subject, _RE)}".strip() if subject is None else subject
    draft.more += _thread(msg)
    draft.more.append(tokens_field("Auto-Submitted", ["auto-replied"]))
    # Exchange's, which does not always heed the one above
    draft.more.append(tokens_field("X-Auto-Response-Suppress", ["All"]))
    draft.add_fields(headers, _OF_REPLIES)
    draft.body = body_of(text, html, attachments)
    return outgoing.add(draft.letter(outgoing.next_id()))


def forward_of(
    msg: Message,
    outgoing: Outgoing,
    addresses: Iterable[Person],
    *,
    note: str,
    as_attachment: bool,
) -> Dispatch:
    addressees = people_of(list(addresses))
    if not addressees:
        raise ValueError("forward needs an address")
    own = _own(msg)
    passed = msg.headers.all("Delivered-To")
    if why := _why_round(msg, own, passed, addressees):
        return outgoing.refuse(f"not forwarded: {why}")
    draft = Draft(outgoing.server, author_of(outgoing.server, msg.address), addressees)
    if msg.envelope.reverse_path is not None:
        draft.reverse_path = draft.author.address
    draft.shown = [("To", addressees)]
    draft.subject = f"Fwd: {_stripped(msg.subject, _FWD)}".strip()
    if author := mailbox_or_none(msg.from_, msg.from_.name):
        draft.reply_to = [author]
    # What comes back has them still (RFC 9228), and is known by them.
    draft.top = [*map(delivered_to_field, own), *_delivered_to(passed)]
    draft.more = [tokens_field("Auto-Submitted", ["auto-generated"])]
    draft.body = _attached(msg, note) if as_attachment else _inline(msg, note)
    return outgoing.add(draft.letter(outgoing.next_id()))


# ---- what the message says


def _own(msg: Message) -> list[Address]:
    """The addresses that the message came to."""
    if msg.address is not None:
        return [msg.address]
    return [recipient.address for recipient in msg.envelope.recipients]


def _name_of(msg: Message, address: Address) -> str:
    """How its author writes his name, where the address is his."""
    author = mailbox_or_none(msg.from_, msg.from_.name)
    return author.name if author is not None and author.address.key == address.key else ""


def _stripped(subject: str, mark: re.Pattern[str]) -> str:
    """Without the marks at its beginning, however many."""
    at = 0
    while match := mark.match(subject, at):
        at = match.end()
    return subject[at : at + MAX_SUBJECT].strip()


def _thread(msg: Message) -> list[bytes]:
    """RFC 5322 section 3.6.4. The oldest and the latest references are kept: the thread's root is
    what programs look for."""
    ids = _ids(msg.headers.raw("Message-ID"))[:1]
    if not ids:
        return []
    references = _ids(msg.headers.raw("References"))
    if not references and len(before := _ids(msg.headers.raw("In-Reply-To"))) == 1:
        references = before
    references = [each for each in dict.fromkeys(references) if each != ids[0]] + ids
    if len(references) > MAX_REFERENCES:
        references = [references[0], *references[1 - MAX_REFERENCES :]]
    return [tokens_field("In-Reply-To", ids), tokens_field("References", references)]


def _ids(value: bytes) -> list[str]:
    return [match.decode("ascii") for match in _MESSAGE_ID.findall(value)]


def _why_round(
    msg: Message,
    own: Collection[Address],
    passed: Collection[str],
    addressees: Collection[Mailbox],
) -> str:
    """Why it would come round; empty where it would not."""
    if any(is_same(mine, each.address) for mine in own for each in addressees):
        return "it would come to the address that it came to"
    seen = {address.key for address in _parsed(passed)}
    if any(mine.key in seen for mine in own):
        return "it was forwarded from here before, and has come back"
    if len(passed) > MAX_HOPS or has_more_than(MAX_HOPS, msg.header, "Received"):
        return f"it has come over more than {MAX_HOPS} hosts"
    return ""


def _delivered_to(passed: Iterable[str]) -> list[bytes]:
    return [delivered_to_field(address) for address in _parsed(passed)]


def _parsed(texts: Iterable[str]) -> list[Address]:
    found = (mailbox_or_none(text.strip().strip("<>"), "") for text in texts)
    return [each.address for each in found if each is not None]


def _inline(msg: Message, note: str) -> Part:
    about = [
        ("From", msg.headers.get("From", msg.sender)),
        ("Date", msg.headers.get("Date", "")),
        ("Subject", msg.subject),
        ("To", msg.headers.get("To", "")),
        ("Cc", msg.headers.get("Cc", "")),
    ]
    lines = [f"{name}: {value}" for name, value in about if value]
    words = ["---------- Forwarded message ----------", *lines, "", msg.text]
    text = "\n".join([note, "", *words] if note else words)
    return body_of(text, None, msg.attachments)


def _attached(msg: Message, note: str) -> Part:
    name = re.sub(r"[^\w .-]", "_", msg.subject)[:60].strip(" .") or "message"
    return multipart("mixed", [text_part(note), message_part(msg.raw, f"{name}.eml")])
