"""Signing (RFC 6376 section 5; RFC 8301, 8463)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from mailframe.interfaces import IWorkers
from mailframe.mailauth.dkim.canonical import canonical_field
from mailframe.mailauth.dkim.hashing import BodyPass, OpenBody, SignedFields, hash_body
from mailframe.mailauth.dkim.keys import private_key

# RFC 6376 section 5.4.1, and what mail programs show or go by. Named once more than they are
# there, so that nobody can add another (section 8.15).
OVERSIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"sender",
    b"in-reply-to", b"references", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"content-disposition", b"content-id", b"content-description",
)  # fmt: skip
# signed where they are there; lists and resenders may add theirs
SIGNED = (
    b"resent-from", b"resent-to", b"resent-cc", b"resent-date", b"resent-message-id",
    b"resent-sender", b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post",
    b"list-subscribe", b"list-post", b"list-owner", b"list-archive",
    b"autocrypt", b"auto-submitted",
)  # fmt: skip
_MOST_NAMES = 500  # in h=; verifiers have limits, ours has one for the whole field
_LINE = 72


@dataclass(frozen=True, slots=True)
class SigningKey:
    domain: str
    """A-labels."""
    selector: str
    algorithm: str
    """``rsa-sha256`` or ``ed25519-sha256``."""
    private: bytes = field(repr=False)
    """PKCS #8, DER."""


async def sign_dkim(
    header: bytes, open_body: OpenBody, workers: IWorkers, keys: Sequence[SigningKey], *, now: float
) -> bytes:
    """DKIM-Signature fields in wire format, one for each key, in their order; relaxed/relaxed.
    Nothing where there are too many fields to sign. ValueError for a key that is none.
    """
    if not keys:
        return b""
    signed = await workers.run(SignedFields, header)
    if len(names_to_sign(signed)) > _MOST_NAMES:
        return b""
    body = BodyPass(relaxed=True)
    body.want("sha256", None)
    await hash_body([body], open_body, workers)
    body_hash = body.digest("sha256", None)
    return b"".join([await workers.run(_sign, signed, body_hash, key, int(now)) for key in keys])


def names_to_sign(signed: SignedFields) -> list[bytes]:
    names = []
    for name in OVERSIGNED:
        names += [name] * (signed.count(name) + 1)
    for name in SIGNED:
        names += [name] * signed.count(name)
    return names


def _sign(signed: SignedFields, body_hash: bytes, key: SigningKey, now: int) -> bytes:
    """Blocks."""
    names = names_to_sign(signed)
    tags = [
        ("v", "1"), ("a", key.algorithm), ("c", "relaxed/relaxed"), ("d", key.domain),
        ("s", key.selector), ("t", str(now)),
        ("h", ":".join(name.decode() for name in names)),
        ("bh", base64.b64encode(body_hash).decode()),
    ]  # fmt: skip
    return signed_field("DKIM-Signature", tags, signed, names, key)


def signed_field(
    field_name: str,
    tags: Sequence[tuple[str, str]],
    signed: SignedFields,
    names: Sequence[bytes],
    key: SigningKey,
) -> bytes:
    """The field with ``b=`` over the named fields and itself. Blocks."""
    unsigned = folded(field_name, [*tags, ("b", "")])
    digest = hashlib.sha256()
    signed.update(digest, names, relaxed=True)
    digest.update(canonical_field(unsigned, relaxed=True))
    value = base64.b64encode(signature_of(key, digest.digest())).decode()
    return unsigned + wrapped(value) + b"\r\n"


def signature_of(key: SigningKey, digest: bytes) -> bytes:
    """Blocks. ValueError for a key that is none."""
    private = private_key(key.private)
    if isinstance(private, Ed25519PrivateKey):
        # RFC 8463 section 3: what is signed is the hash
        return private.sign(digest)
    return private.sign(digest, PKCS1v15(), Prehashed(hashes.SHA256()))


def folded(name: str, tags: Sequence[tuple[str, str]]) -> bytes:
    """A field up to its last value, without a line end; lists may be folded at their colons."""
    lines, line = [], f"{name}:"
    for place, (tag, value) in enumerate(tags):
        end = ";" if place < len(tags) - 1 else ""
        pieces = value.split(":") if tag == "h" else [value]
        for number, piece in enumerate(pieces):
            text = f" {tag}=" if number == 0 else ""
            text += piece + (":" if number < len(pieces) - 1 else end)
            if len(line) + len(text) > _LINE and line.strip():
                lines.append(line)
                line = " " + text.lstrip(" ") if number == 0 else " " + text
            else:
                line += text
    return "\r\n".join([*lines, line]).encode()


def wrapped(value: str) -> bytes:
    pieces = [value[start : start + _LINE] for start in range(0, len(value), _LINE)]
    return b"".join(b"\r\n " + piece.encode() for piece in pieces)
