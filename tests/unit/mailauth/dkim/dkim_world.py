"""Keys in a dict, messages in memory, and signers that may do what ours never does."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.core.authentication import DkimResult
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IMessageSource, IResolver, MxHost
from mailframe.mailauth.dkim import (
    DkimLimits,
    SigningKey,
    generate,
    key_record,
    sign_dkim,
    verify_dkim,
)
from mailframe.mailauth.dkim.canonical import CanonicalBody, canonical_field
from mailframe.mailauth.dkim.hashing import SignedFields
from mailframe.mailauth.dkim.signing import signature_of
from mailframe.message.headers import split_message
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers

NOW = 1_795_600_000
RSA = SigningKey("example.org", "r", "rsa-sha256", generate("rsa-sha256"))
ED = SigningKey("example.org", "e", "ed25519-sha256", generate("ed25519-sha256"))
HEADER = (
    b"Received: from a by b; now\r\n"
    b"From: Bob <bob@example.org>\r\n"
    b"To: ann@example.net\r\n"
    b"Subject:  two  words\r\n"
    b"\tand a fold\r\n"
    b"Date: Wed, 25 Nov 2026 21:00:00 +0000\r\n"
)
BODY = b"Hello  there.\r\n \r\n.dot\r\nlast line \r\n\r\n"
NORMAL = DkimLimits()


@implementer(IMessageSource)
class Source:
    """Gives at most ``most`` octets at a time."""

    def __init__(self, data: bytes, most: int = 1 << 20) -> None:
        self.size = len(data)
        self.is_closed = False
        self._data, self._at, self._most = data, 0, most

    async def read(self, octets: int) -> bytes:
        piece = self._data[self._at : self._at + min(octets, self._most)]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self.is_closed = True


def opener(body: bytes, most: int = 1 << 20) -> Callable[[], Awaitable[IMessageSource]]:
    async def open_body() -> Any:
        return Source(body, most)

    return open_body


@implementer(IResolver)
class Keys:
    """TXT records by name; an exception, or a Deferred, in place of an answer."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self.records = {name.lower(): answer for name, answer in records.items()}
        self.asked: list[str] = []

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        self.asked.append(name)
        answer = self.records.get(name.lower(), NoSuchDomain(name))
        if isinstance(answer, Deferred):
            return answer
        if isinstance(answer, Exception):
            return fail(answer)
        return succeed(tuple(answer) if isinstance(answer, list) else (answer,))

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        return fail(NoSuchDomain(domain))

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return fail(NoSuchDomain(host))

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return fail(NoSuchDomain(name))

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return fail(NoSuchDomain(name))

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return fail(NoSuchDomain(ip))


def record_of(key: SigningKey, **tags: str) -> bytes:
    """The key's record with further tags, or others."""
    pairs = dict(spec.strip().split("=", 1) for spec in key_record(key.private).split(";"))
    pairs |= {name.rstrip("_"): value for name, value in tags.items()}
    return "; ".join(f"{name}={value}" for name, value in pairs.items()).encode()


def zone(*keys: SigningKey) -> Keys:
    chosen = keys or (RSA, ED)
    return Keys({f"{k.selector}._domainkey.{k.domain}": record_of(k) for k in chosen})


def signed(
    header: bytes = HEADER, body: bytes = BODY, keys: Sequence[SigningKey] = (RSA,)
) -> bytes:
    """The header with our signatures on top."""
    signing = sign_dkim(header, opener(body), InlineWorkers(), keys, now=NOW)
    return fired(as_deferred(signing)) + header


def verified(
    header: bytes,
    body: bytes = BODY,
    resolver: IResolver | None = None,
    limits: DkimLimits = NORMAL,
    now: float = NOW,
    most: int = 1 << 20,
) -> tuple[DkimResult, ...]:
    resolver = resolver or zone()
    checking = verify_dkim(
        resolver, header, opener(body, most), InlineWorkers(), now=now, limits=limits
    )
    return fired(as_deferred(checking))


def verified_message(message: bytes, resolver: IResolver, **more: Any) -> tuple[DkimResult, ...]:
    header, body = split_message(message)
    return verified(header, body, resolver, **more)


def hand_signed(
    header: bytes = HEADER,
    body: bytes = BODY,
    key: SigningKey = RSA,
    *,
    c: str = "relaxed/relaxed",
    h: str = "from:to:subject",
    body_hash: bytes | None = None,
    **tags: str,
) -> bytes:
    """Another signer: a right signature with whatever tags are asked for (``length`` is ``l=``)."""
    header_form, _, body_form = c.partition("/")
    canonical = CanonicalBody(relaxed=body_form == "relaxed")
    text = b"".join([*canonical.feed(body), *canonical.finish()])
    if "length" in tags:
        tags["l"] = tags.pop("length")
        text = text[: int(tags["l"])]
    digest = body_hash if body_hash is not None else hashlib.sha256(text).digest()
    values = {"v": "1", "a": key.algorithm, "c": c, "d": key.domain, "s": key.selector}
    values |= {"h": h, "bh": base64.b64encode(digest).decode()} | tags
    specs = "; ".join(f"{name}={value}" for name, value in values.items())
    unsigned = f"DKIM-Signature: {specs}; b=".encode()
    relaxed = header_form == "relaxed"
    whole = hashlib.sha256()
    names = [name.strip().lower().encode() for name in h.split(":")]
    SignedFields(header).update(whole, names, relaxed=relaxed)
    whole.update(canonical_field(unsigned, relaxed=relaxed))
    value = base64.b64encode(signature_of(key, whole.digest()))
    return unsigned + value + b"\r\n" + header


__all__ = [
    "BODY", "ED", "HEADER", "NORMAL", "NOW", "RSA", "DnsTemporary", "Keys", "Source",
    "hand_signed", "opener", "record_of", "signed", "verified", "verified_message", "zone",
]  # fmt: skip
