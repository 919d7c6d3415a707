"""Addresses on the web and of mailboxes, as tokens: whose, where they lead, how written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_REST = re.compile(r"[^\s\"'<>)\]]{1,2000}")
_SCHEME = re.compile(r"[a-zA-Z]{1,10}\Z")
_HOST = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PATH = re.compile(r"[^\W_]+")
_NUMERIC = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\d{8,10}|0x[0-9a-f.x]+|\[[0-9a-f:.]+\]")
_SHORTENERS = frozenset(
    {
        "bit.ly", "bl.ink", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "qr.ae",
        "rb.gy", "rebrand.ly", "s.id", "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com",
        "v.gd",
    }
)  # fmt: skip


def links(text: str, most: int) -> list[str]:
    """What a reader would take for an address on the web."""
    found: list[str] = []
    for mark in ("://", "www."):
        if mark not in text:
            continue
        pieces = text.split(mark, most)
        for before, after in pairwise(pieces):
            rest = _REST.match(after)
            if rest is None:
                continue
            if mark == "://":
                scheme = _SCHEME.search(before[-10:])
                found.append(f"{scheme[0] if scheme else ''}://{rest[0].rstrip('.,;:')}")
            elif not before.endswith("/"):
                found.append("http://www." + rest[0].rstrip(".,;:"))
    return found[:most]


def link_tokens(link: str) -> Iterator[str]:
    """``link`` with its scheme."""
    scheme, _, rest = link.partition("://")
    whole, _, query = rest.partition("?")
    authority, _, path = whole.partition("/")
    userinfo, _, host = authority.rpartition("@")
    host, _, port = host.lower().partition(":")
    if userinfo:
        yield "url:userinfo"
    if port not in ("", "80", "443"):
        yield f"url:port:{port[:6]}"
    if _NUMERIC.fullmatch(host):
        yield "url:numeric-host"
    if "%" in host:
        yield "url:escaped-host"
    if host in _SHORTENERS:
        yield "url:shortener"
    yield from host_tokens(host, "url:")
    for piece in _PATH.findall(path[:200].lower())[:12]:
        yield f"url:/{piece[:20]}"
    for piece in query[:500].split("&")[:8]:
        yield f"url:?{piece.partition('=')[0].lower()[:20]}"
    if scheme.lower() not in ("http", "https"):
        yield f"url:{scheme.lower()[:10]}"


def link_host(link: str) -> str:
    """In lower case; empty where there is none."""
    match = _HOST.match(link.partition("://")[2].rpartition("@")[2])
    return match[0].lower() if match else ""


def host_tokens(host: str, prefix: str) -> list[str]:
    """The name, and the domains it lies in up to the topmost."""
    labels = host.strip(".").split(".")[-5:]
    return [prefix + ".".join(labels[start:])[:80] for start in range(len(labels))]


def mailbox_hosts(text: str, most: int) -> list[str]:
    """The domains of what looks like a mailbox, in lower case."""
    matches = map(_HOST.match, text.split("@", most)[1:])
    return [match[0].lower() for match in matches if match]
