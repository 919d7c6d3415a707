"""Sealing (RFC 8617 section 5.1): one more set on top of a message that goes on to elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from mailframe.core.authentication import ArcResult, Result
from mailframe.interfaces import IWorkers
from mailframe.mailauth.arc.chain import (
    MESSAGE_SIGNATURE,
    MOST_SETS,
    RESULTS,
    SEAL,
    ArcSet,
    has_chain,
    read_chain,
    standing,
)
from mailframe.mailauth.dkim.canonical import canonical_field
from mailframe.mailauth.dkim.hashing import BodyPass, OpenBody, SignedFields, hash_body
from mailframe.mailauth.dkim.signing import (
    SigningKey,
    folded,
    names_to_sign,
    signature_of,
    wrapped,
)

_CRLF = b"\r\n"
Tags = list[tuple[str, str]]


async def seal_arc(
    header: bytes,
    open_body: OpenBody,
    workers: IWorkers,
    key: SigningKey,
    authserv_id: str,
    results: str,
    arc: ArcResult,
    *,
    now: float,
    names: Sequence[bytes] | None = None,
) -> bytes:
    """The three fields in wire format, the seal on top.

    ``results`` is the value of Authentication-Results, folded or not; empty: nothing was checked.
    ``arc`` is what ``verify_arc`` said of this very header. ``names`` are the fields to sign, in
    place of our choice. Empty where there is nothing to be sealed: a chain that somebody declared
    failed already, one of 50 sets, one that nobody validated. ValueError for a key that is none.
    """
    sets: tuple[ArcSet, ...] = ()
    last = await workers.run(standing, header)
    if arc.result is Result.NONE and has_chain(header):
        return b""
    # RFC 8617 section 5.1.2, and 4.2.1 for the most there may be
    if last.is_given_up or last.highest >= MOST_SETS:
        return b""
    if arc:
        sets = await workers.run(read_chain, header)
    body = BodyPass(relaxed=True)
    body.want("sha256", None)
    await hash_body([body], open_body, workers)
    return bytes(
        await workers.run(
            _sealed,
            header,
            names,
            body.digest("sha256", None),
            key,
            f"{RESULTS}: i={last.highest + 1}; {results or f'{authserv_id}; none'}\r\n".encode(),
            sets,
            last.highest + 1,
            arc.result.value,
            str(int(now)),
        )
    )


def _sealed(
    header: bytes,
    names: Sequence[bytes] | None,
    body_hash: bytes,
    key: SigningKey,
    results: bytes,
    sets: Sequence[ArcSet],
    instance: int,
    validation: str,
    now: str,
) -> bytes:
    """Blocks."""
    common: Tags = [
        ("a", key.algorithm), ("b", ""), ("d", key.domain), ("i", str(instance)),
        ("s", key.selector), ("t", now),
    ]  # fmt: skip
    signature = _message_signature(header, names, body_hash, key, common)
    covered = hashlib.sha256()
    # RFC 8617 section 5.1.1; of a failed chain only the new set (section 5.1.2)
    for each in sets:
        for field in (each.results_field, each.signature_field, each.seal_field):
            covered.update(canonical_field(field.raw, relaxed=True) + _CRLF)
    for raw in (results, signature):
        covered.update(canonical_field(raw, relaxed=True) + _CRLF)
    seal = _signed(SEAL, [*common, ("cv", validation)], covered, key)
    return seal + signature + results


def _message_signature(
    header: bytes,
    names: Sequence[bytes] | None,
    body_hash: bytes,
    key: SigningKey,
    common: Tags,
) -> bytes:
    fields = SignedFields(header)
    if names is None:
        # RFC 8617 section 4.1.2: DKIM-Signatures too, neither results nor ARC's own fields
        names = [*names_to_sign(fields), *[b"dkim-signature"] * fields.count(b"dkim-signature")]
    digest = hashlib.sha256()
    fields.update(digest, names, relaxed=True)
    tags = [
        *common, ("bh", base64.b64encode(body_hash).decode()), ("c", "relaxed/relaxed"),
        ("h", ":".join(name.decode() for name in names)),
    ]  # fmt: skip
    return _signed(MESSAGE_SIGNATURE, tags, digest, key)


def _signed(name: str, tags: Tags, covered: hashlib._Hash, key: SigningKey) -> bytes:
    """The field, its tags in the alphabet's order, signed after what is ``covered``."""
    unsigned = folded(name, sorted(tags)).replace(b" b=; ", b" b=;\r\n ", 1)
    covered = covered.copy()
    covered.update(canonical_field(unsigned, relaxed=True))
    value = wrapped(base64.b64encode(signature_of(key, covered.digest())).decode())
    return unsigned.replace(b" b=;", b" b=" + value + b";", 1) + _CRLF
