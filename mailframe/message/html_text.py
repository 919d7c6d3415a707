"""What a reader sees of an HTML text, for searching: no tags, no scripts, entities as letters.

A scanner, not a parser: it never raises, takes linear time, and knows just enough of HTML
to keep ``wo<b>r</b>d`` together and two table cells apart. Attributes are not text.
"""

from __future__ import annotations

import html
import re

_BLANKS = re.compile(r"[ \t\r\n\f]+")
_BLANK_RUN = re.compile("  +")
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*)")
# The tags between which a word goes on; all others end a line.
_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|o|q|s|samp|small"
    "|span|strike|strong|sub|sup|tt|u|var|wbr"
).fullmatch
_UNSEEN = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "template")}
# html.unescape makes numbers of them, of which Python refuses long ones.
_LONG_NUMBER = re.compile(r"&#([0-9]{8,})")
_MAX_DIGITS = 8  # no code point has as many


def html_text(markup: str) -> str:
    """One line for each block, runs of blanks as one."""
    pieces: list[str] = []
    at = 0
    while (start := markup.find("<", at)) >= 0:
        pieces.append(_BLANKS.sub(" ", markup[at:start]))
        at, shown = _after_tag(markup, start)
        pieces.append(shown)
    pieces.append(_BLANKS.sub(" ", markup[at:]))
    # once more: blanks on both sides of a tag that is not shown
    text = _BLANK_RUN.sub(" ", "".join(pieces))
    if "&" not in text:
        return text
    return html.unescape(_LONG_NUMBER.sub(_shortened, text))


def _shortened(number: re.Match[str]) -> str:
    """Without leading zeros; what is too large for a code point stays too large."""
    return "&#" + (number[1].lstrip("0")[:_MAX_DIGITS] or "0")


def _after_tag(markup: str, start: int) -> tuple[int, str]:
    """Where the text goes on behind what begins with ``<``, and what is shown of that."""
    if markup.startswith("<!--", start):
        return _after(markup, "-->", start), ""
    name = _NAME.match(markup, start + 1)
    if name is None:
        if markup.startswith(("<!", "<?"), start):
            return _after(markup, ">", start), ""
        return start + 1, "<"
    tag = name[1].lower()
    end = _after(markup, ">", name.end())
    if tag in _UNSEEN and markup[start + 1] != "/":
        closing = _UNSEEN[tag].search(markup, end)
        end = _after(markup, ">", closing.end()) if closing else len(markup)
    return end, "" if _INLINE(tag) else "\n"


def _after(markup: str, ending: str, at: int) -> int:
    """Behind the next ``ending``; what is not closed goes to the end."""
    found = markup.find(ending, at)
    return len(markup) if found < 0 else found + len(ending)
