"""HTML as it is written: where links lead, how it is dressed, what is kept from the reader.

What the reader sees is ``message.html_text``'s business; this is the other side. A scanner
as that one is: it never raises and takes linear time. Most of what markup says is which
program wrote it. That tells little of spam and drowns the words, so few tokens are made.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from mailframe.spam.features_links import link_host, links

MOST_TAGS = 2_000
_LONGEST_VALUE = 300

_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]{0,15}|!--)([^<>]{0,2000})")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]{2,20})\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
_ANCHOR = re.compile(r"<a\s[^<>]{0,2000}>([^<>]{4,200})</a", re.IGNORECASE)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt)?\s*[;\"'}]"
    r"|opacity\s*:\s*0\s*[;\"'}]|mso-hide\s*:\s*all",
    re.IGNORECASE,
)
_TARGETS = frozenset(("href", "src", "action", "background"))
_VALUED = frozenset(
    {
        "align", "bgcolor", "border", "color", "face", "height", "http-equiv", "method", "size",
        "target", "type", "width",
    }
)  # fmt: skip
_TELLING = frozenset(
    {"!--", "a", "base", "embed", "form", "iframe", "img", "input", "object", "script"}
)


class Markup:
    """``tokens``, and ``targets``: where links, forms and images lead, in order."""

    def __init__(self, markup: str) -> None:
        self.targets: list[str] = []
        self.tokens: list[str] = [*self._tags(markup), *_deceit(markup)]

    def _tags(self, markup: str) -> Iterator[str]:
        tags: Counter[str] = Counter()
        for match in islice(_TAG.finditer(markup), MOST_TAGS):
            tag = match[1].lower()
            if tag in _TELLING:
                tags[tag] += 1
            if match[2] and tag != "!--":
                yield from self._attributes(match[2])
        for tag, count in tags.items():
            yield f"html:{tag}*{count.bit_length()}"

    def _attributes(self, text: str) -> Iterator[str]:
        for name, given in _ATTRIBUTE.findall(text)[:12]:
            name = name.lower()
            value = given.strip("\"'")[:_LONGEST_VALUE].strip()
            if name in _TARGETS:
                self.targets.append(html.unescape(value))
            elif name in _VALUED:
                yield f"html:{name}={value[:30].lower()}"
            elif name.startswith("on"):
                yield "html:script-attribute"


def _deceit(markup: str) -> Iterator[str]:
    """What the reader does not see, or sees differently."""
    if _HIDDEN.search(markup):
        yield "html:hidden"
    if escapes := markup.count("&#"):
        yield f"html:escapes*{escapes.bit_length()}"
    for match in islice(_ANCHOR.finditer(markup), 50):
        shown, leads = links(match[1].strip(), 1), links(match[0].partition(">")[0], 1)
        if shown and leads and link_host(shown[0]) != link_host(leads[0]):
            yield "html:shows-another-host"
