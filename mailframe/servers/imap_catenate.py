"""CATENATE's URLs (RFC 4469): octets of messages that are here already.

Understood are the relative forms of RFC 5092, seen from the selected folder or from the root:
``/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2`` and ``/;UID=20``, with ``;PARTIAL=``.
An absolute URL, even of this very server, and URLAUTH are BADURL.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mailframe.core.facts import Fact, Part
from mailframe.core.folders import INBOX
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap.commands import Section, SectionText
from mailframe.servers import imap_sections
from mailframe.servers.imap_loading import CHUNK, OpenMessage, load, open_message
from mailframe.servers.imap_outcome import Refused

if TYPE_CHECKING:
    from mailframe.servers.imap_conversation import Conversation

# RFC 5092 section 11, of imessagelist and imessagepart what has a UID
_URL = re.compile(
    r"(?:/(?P<mailbox>[^;]*?))?(?:;UIDVALIDITY=(?P<validity>\d{1,10}))?"
    r"/?;UID=(?P<uid>\d{1,10})"
    r"(?:/;SECTION=(?P<section>[^;]*?))?"
    r"(?:/;PARTIAL=(?P<first>\d{1,10})(?:\.(?P<count>\d{1,10}))?)?",
    re.IGNORECASE | re.ASCII,
)
_SECTION = re.compile(
    r"(?P<part>[1-9]\d{0,5}(?:\.[1-9]\d{0,5})*)?\.?"
    r"(?P<text>HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)?"
    r"(?: \((?P<fields>[^()]*)\))?",
    re.IGNORECASE | re.ASCII,
)
_PRINTABLE = re.compile(r"[ -~]{1,1000}")
_TO_THE_END = 2**63


@dataclass(frozen=True, slots=True)
class Reference:
    """What a URL names."""

    mailbox: str
    """Empty: the selected one."""
    uid_validity: int | None
    uid: int
    section: Section


def parse_url(url: str) -> Reference | None:
    """None: it is none that is understood here."""
    found = _URL.fullmatch(url)
    if found is None:
        return None
    section = _parse_section(unquote(found["section"] or ""))
    if section is None:
        return None
    if found["first"] is not None:
        count = int(found["count"]) if found["count"] is not None else _TO_THE_END
        section = Section(
            part=section.part,
            text=section.text,
            fields=section.fields,
            partial=(int(found["first"]), count),
        )
    mailbox = unquote(found["mailbox"] or "")
    validity = int(found["validity"]) if found["validity"] else None
    return Reference(
        INBOX if mailbox.upper() == INBOX else mailbox, validity, int(found["uid"]), section
    )


def _parse_section(text: str) -> Section | None:
    found = _SECTION.fullmatch(text)
    if found is None:
        return None
    part = tuple(int(number) for number in (found["part"] or "").split(".") if number)
    what = SectionText((found["text"] or "").upper())
    fields = tuple((found["fields"] or "").replace('"', "").split())
    has_fields = what in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
    # RFC 9051 section 6.4.5.1: MIME needs a part number
    if has_fields is not bool(fields) or (what is SectionText.MIME and not part):
        return None
    return Section(part=part, text=what, fields=fields, peek=True)


async def copy_url(
    talk: Conversation,
    url: str,
    count: Callable[[int], None],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Write what ``url`` names, once ``count`` has agreed to its size. Raises Refused
    (BADURL)."""
    reference = parse_url(url)
    if reference is None:
        raise _bad(url)
    message = None
    try:
        folder = await _folder(talk, reference)
        message = await open_message(folder, reference.uid)
        if message is None or reference.uid not in folder.messages:
            raise _bad(url)
        parts = await _parts(talk, folder, reference)
        await _copy(reference.section, message, parts, url, count, write)
    except (FolderRefused, MessageGone):
        raise _bad(url) from None
    finally:
        if message is not None:
            message.close()


async def _folder(talk: Conversation, reference: Reference) -> IFolder:
    if reference.mailbox:
        folder = await talk.folder(reference.mailbox)
    else:
        folder = talk.open_folder().folder
    validity = reference.uid_validity
    if "r" not in folder.rights or validity not in (None, folder.uid_validity):
        raise MessageGone("not to be seen, or another message")
    return folder


async def _parts(talk: Conversation, folder: IFolder, reference: Reference) -> Part:
    section = reference.section
    if not section.part and section.text is SectionText.ALL:
        return Part(0, 0, 0, "text/plain", "7bit", "")
    workers = talk.factory.workers
    loaded = await load(folder, [reference.uid], Fact.PARTS, workers, contents=False)
    facts = loaded.facts.get(reference.uid)
    if facts is None or facts.parts is None:
        raise MessageGone("cannot be read")
    return facts.parts


async def _copy(
    section: Section,
    message: OpenMessage,
    parts: Part,
    url: str,
    count: Callable[[int], None],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    place = imap_sections.reach(section, message.size, parts)
    if place is None:
        raise _bad(url)
    first, octets = section.partial or (0, _TO_THE_END)
    if place.is_header:
        data = imap_sections.worked_on(section, place, await message.take(place.start, place.end))
        data = data[first : first + octets]
        count(len(data))
        await write(data)
        return
    start = min(place.start + first, place.end)
    end = min(start + octets, place.end)
    count(end - start)
    await message.reach(start)
    while start < end:
        chunk = await message.read(min(CHUNK, end - start))
        if not chunk:
            raise MessageGone("the message is shorter than it was")
        start += len(chunk)
        await write(chunk)


def _bad(url: str) -> Refused:
    # RFC 4469 section 5: the URL as it came, where a quoted string can hold it
    shown = url if _PRINTABLE.fullmatch(url) else ""
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return Refused("Nothing can be found there", f'BADURL "{escaped}"')
