"""DKIM-Signature fields as values (RFC 6376 section 3.5)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

import idna

from mailframe.mailauth.dkim.tags import TagError, parse_tags

_BLANKS = re.compile(rb"[ \t\r\n]+")
_QUOTED = re.compile(rb"=([0-9A-F]{2})")
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_NUMBER = re.compile(rb"[0-9]{1,76}")
_LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_FIELD_NAME = re.compile(rb"[!-9<-~]+")
_ALGORITHMS = ("rsa-sha256", "ed25519-sha256", "rsa-sha1")
_CANONICALIZATIONS = (b"simple", b"relaxed")
_LONGEST_NAME = 253
_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")


class SignatureError(ValueError):
    """No signature that could be checked; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    algorithm: str
    value: bytes
    body_hash: bytes
    relaxed_header: bool
    relaxed_body: bool
    domain: str
    """A-labels, lower case."""
    selector: str
    identity: str
    """``i=``, or ``@`` and the domain."""
    names: tuple[bytes, ...]
    """``h=``, lower case."""
    length: int | None
    signed_at: int | None
    expires: int | None

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def identity_domain(self) -> str:
        return host(self.identity.rpartition("@")[2].encode())


def parse_signature(tags: dict[str, bytes]) -> Signature:
    """Of the tags of a DKIM-Signature. Raises SignatureError."""
    missing = [name for name in _REQUIRED if name not in tags]
    if missing:
        raise SignatureError(f"no {missing[0]}=")
    if tags["v"] != b"1":
        raise SignatureError("unknown version")
    names = header_names(tags["h"])
    if b"from" not in names:
        # RFC 6376 section 5.4
        raise SignatureError("From is not signed")
    if b"dns/txt" not in tags.get("q", b"dns/txt").replace(b" ", b"").lower().split(b":"):
        raise SignatureError("unknown query method")
    domain = host(tags["d"])
    relaxed_header, relaxed_body = canonicalizations(tags.get("c", b"simple/simple"))
    signed_at, expires = number(tags, "t"), number(tags, "x")
    if signed_at is not None and expires is not None and expires < signed_at:
        raise SignatureError("expires before it was made")
    signature = Signature(
        algorithm(tags["a"]), decoded(tags["b"], "b"), decoded(tags["bh"], "bh"),
        relaxed_header, relaxed_body, domain, host(tags["s"]),
        _identity(tags), names,
        number(tags, "l"), signed_at, expires,
    )  # fmt: skip
    under = signature.identity_domain
    if under != domain and not under.endswith("." + domain):
        raise SignatureError("i= is not within d=")
    return signature


def tags_of(value: bytes) -> dict[str, bytes]:
    """Raises SignatureError."""
    try:
        return parse_tags(value)
    except TagError as error:
        raise SignatureError(str(error)) from None


def algorithm(value: bytes) -> str:
    name = value.decode("ascii", "replace").lower()
    if name not in _ALGORITHMS:
        raise SignatureError("unknown algorithm")
    return name


def canonicalizations(value: bytes) -> tuple[bool, bool]:
    """Whether header and body are relaxed."""
    header, _, body = value.lower().partition(b"/")
    body = body or b"simple"  # RFC 6376 section 3.5: of the body where only one is named
    if header not in _CANONICALIZATIONS or body not in _CANONICALIZATIONS:
        raise SignatureError("unknown canonicalization")
    return header == b"relaxed", body == b"relaxed"


def header_names(value: bytes) -> tuple[bytes, ...]:
    names = tuple(name.strip(b" \t\r\n").lower() for name in value.split(b":"))
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise SignatureError("h= names no fields")
    return names


def decoded(value: bytes, tag: str) -> bytes:
    try:
        octets = base64.b64decode(_BLANKS.sub(b"", value), validate=True)
    except binascii.Error:
        raise SignatureError(f"{tag}= is no base64") from None
    if not octets:
        raise SignatureError(f"{tag}= is empty")
    return octets


def number(tags: dict[str, bytes], name: str) -> int | None:
    if name not in tags:
        return None
    if not _NUMBER.fullmatch(tags[name]):
        raise SignatureError(f"{name}= is no number")
    return int(tags[name])


def _identity(tags: dict[str, bytes]) -> str:
    identity = _BLANKS.sub(b"", tags.get("i", b"@" + tags["d"]))
    # RFC 6376 section 3.5: dkim-quoted-printable
    identity = _QUOTED.sub(lambda match: bytes.fromhex(match[1].decode()), identity)
    # no Local-part has a control character, and whoever prints it should not meet one
    if b"@" not in identity or _CONTROLS.search(identity):
        raise SignatureError("i= is no identity")
    return identity.decode("utf-8", "replace")


def host(value: bytes) -> str:
    """A-labels of a domain or selector (RFC 8616 section 4). Raises SignatureError."""
    text = value.decode("utf-8", "replace").lower()
    # idna takes quadratic time; a U-label is not longer than its A-label by characters
    if len(text) <= _LONGEST_NAME and not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise SignatureError("no domain name") from None
    if (
        len(text) > _LONGEST_NAME
        or not _LABELS.fullmatch(text)
        or any(len(x) > 63 for x in text.split("."))
    ):
        raise SignatureError("no domain name")
    return text
