"""What is looked for in a message's HTML: its links, and the images that came with it.

A scanner for tests and people, not a sanitizer: nothing of what it returns is trusted. What
keeps the HTML harmless is the sandbox it is shown in (``safety``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import unescape

from mailframe.web.reading import Part

MAX_LINKS = 200
_MAX_IMAGES = 8 << 20  # octets of one, and characters of all that are put in, twice that
# A tag at a time, none of them twice: a text of "<a <a <a" is read once.
_ANCHOR = re.compile(r"<a\b([^<>]{0,3000})", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_CID = re.compile(r"""cid:([^\s"'<>)]{1,200})""", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s<>\"'\]]{1,2000}", re.IGNORECASE)
# Pictures of dots: the browser decodes them, and no script can be in them.
_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def links(html: str, text: str) -> list[str]:
    """The addresses on the web that it leads to, each once, those of the HTML first."""
    hrefs = (_HREF.search(tag[1]) for tag in _ANCHOR.finditer(html))
    found = [unescape(next(filter(None, href.groups()), "")) for href in hrefs if href]
    found += [word.rstrip(".,;:!?)") for word in _WEB.findall(text)]
    web = (link.strip() for link in found)
    return list(dict.fromkeys(link for link in web if _WEB.fullmatch(link)))[:MAX_LINKS]


def with_images(html: str, parts: Sequence[Part]) -> str:
    """The images that came along put in place of ``cid:`` links, as far as they are small."""
    images: dict[str, str] = {}
    for part in parts:
        if part.content_id and part.media_type in _IMAGES and len(part.content) <= _MAX_IMAGES:
            encoded = base64.b64encode(part.content).decode()
            images.setdefault(part.content_id, f"data:{part.media_type};base64,{encoded}")
    left = 2 * _MAX_IMAGES

    def put(link: re.Match[str]) -> str:
        nonlocal left
        image = images.get(unescape(link[1]), link[0])
        left -= len(image)
        return image if left >= 0 else link[0]

    return _CID.sub(put, html) if images else html
