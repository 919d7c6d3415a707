"""The beginning of a message's text, as RFC 8970 wants it for lists of messages.

Plain text before HTML, of the message's own parts before an attached message's. What is
quoted from other mail is left out where there is anything else. Only the beginning of a part
is decoded: time does not grow with the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailframe.core.facts import Part
from mailframe.message.charsets import decode_text
from mailframe.message.html_text import html_text
from mailframe.message.sections import UnknownEncoding, undo

MAX_CHARACTERS = 200
_PLAIN_OCTETS = 2048
_MORE_OCTETS = 16_384
# style sheets come first and are long
_HTML_OCTETS = 262_144

_QUOTED = re.compile(r"[ \t]*[>|]")
_ATTRIBUTION = re.compile(r"[ \t]*(?:On|Am|Le|El|Op|Il|Em|Den|Dnia)\b.{4,200}:\s*")
_ORIGINAL = re.compile(r"\s*-{2,}\s*(?:Original Message|Forwarded message|Ursprüngliche Nachricht)")
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u00ad\u034f\u200b-\u200f\u2060\ufeff]+")


def preview(data: bytes, texts: Sequence[Part]) -> str:
    """``texts`` are the text parts that may be shown, in order. At most 200 characters."""
    for wanted in ("text/plain", "text/html"):
        for part in texts:
            if part.media == wanted and (shown := _shown(data, part)):
                return shown
    return ""


def _shown(data: bytes, part: Part) -> str:
    if part.media == "text/html":
        return _squeezed(html_text(_text(data, part, _HTML_OCTETS)))
    shown = _own_words(_text(data, part, _PLAIN_OCTETS))
    if len(shown) < MAX_CHARACTERS and part.end - part.body > _PLAIN_OCTETS:
        text = _text(data, part, _MORE_OCTETS)
        shown = _own_words(text) or _squeezed(text)
    return shown


def _text(data: bytes, part: Part, octets: int) -> str:
    raw = data[part.body : min(part.end, part.body + octets)]
    try:
        text = decode_text(undo(raw, part.encoding), part.charset)
    except UnknownEncoding:
        return ""
    # a letter may have been cut in two
    return text.rstrip("\ufffd") if part.end - part.body > octets else text


def _own_words(text: str) -> str:
    """Without what is quoted; all of it where nothing else is there."""
    if ">" not in text and "--" not in text and "|" not in text:
        return _squeezed(text)
    kept: list[str] = []
    for line in text.splitlines():
        if _QUOTED.match(line):
            while kept and not kept[-1].strip():
                kept.pop()
            if kept and _ATTRIBUTION.fullmatch(kept[-1]):
                kept.pop()
        elif _ORIGINAL.match(line) and any(kept):
            break
        else:
            kept.append(line)
    return _squeezed("\n".join(kept)) or _squeezed(text)


def _squeezed(text: str) -> str:
    """On one line, runs of blanks as one. Invisible characters are fillers."""
    for length in (4 * MAX_CHARACTERS, len(text)):
        shown = " ".join(text[:length].split())[: 2 * MAX_CHARACTERS]
        if _UNSEEN.search(shown):
            shown = " ".join(_UNSEEN.sub("", " ".join(text[:length].split())).split())
        if len(shown) >= MAX_CHARACTERS or length >= len(text):
            break
    return shown[:MAX_CHARACTERS].rstrip()
