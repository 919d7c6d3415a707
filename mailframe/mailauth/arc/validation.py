"""Validating a chain (RFC 8617 section 5.2): none, pass or fail.

Seals are checked before the signature of the message, so that the body is read only for a chain
that holds without it. Whatever goes wrong is a failure, the DNS included: section 5.2.1, "All
Failures Are Permanent". That is about what a seal says of those before it; where nothing but a key
that could not be had is wrong, the result says so, and a receiver may ask for the message again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from twisted.internet.interfaces import IReactorTime

from mailframe.core.authentication import ArcResult, Result
from mailframe.interfaces import IResolver, IWorkers
from mailframe.mailauth.arc.chain import (
    MESSAGE_SIGNATURE,
    MOST_SETS,
    SEAL,
    ArcSet,
    ChainError,
    has_chain,
    message_signatures,
    read_chain,
)
from mailframe.mailauth.arc.trust import with_trust
from mailframe.mailauth.dkim.canonical import canonical_field
from mailframe.mailauth.dkim.hashing import BodyPass, OpenBody, SignedFields, hash_body
from mailframe.mailauth.dkim.records import PublicKey, RecordError, parse_record
from mailframe.mailauth.dkim.signature import Signature
from mailframe.mailauth.dkim.tags import without_signature
from mailframe.mailauth.dkim.verification import (
    Refusal,
    fetch_keys,
    hash_name,
    is_signature,
    unfit,
)


@dataclass(frozen=True, slots=True)
class ArcLimits:
    max_sets: int = MOST_SETS
    """A chain with more fails; RFC 8617 section 4.2.1 allows for 50."""
    min_key_bits: int = 1024
    """A chain with a shorter RSA key fails (RFC 8301 section 3.2)."""
    max_key_bits: int = 4096
    timeout: float = 15.0
    """Seconds for all keys; only with a clock."""


async def verify_arc(
    resolver: IResolver,
    header: bytes,
    open_body: OpenBody,
    workers: IWorkers,
    *,
    now: float,
    limits: ArcLimits = ArcLimits(),
    clock: IReactorTime | None = None,
    trusted: Collection[str] = (),
) -> ArcResult:
    """``trusted`` are the domains of sealers whose word we take. ``now`` in seconds since the
    epoch. A message without ARC fields is NONE, its body not read."""
    if not has_chain(header):
        return ArcResult(Result.NONE)
    sealers: tuple[str, ...] = ()
    chain: tuple[ArcSet, ...] = ()
    try:
        chain = await workers.run(read_chain, header, limits.max_sets)
        sealers = tuple(each.seal.domain for each in reversed(chain))
        signatures = message_signatures(chain[-1])
        signature = signatures[0]
        if signature.expires is not None and signature.expires < now:
            raise ChainError(f"{MESSAGE_SIGNATURE} expired")
        names = {signature.key_name, *(each.seal.key_name for each in chain)}
        keys = _Keys(await fetch_keys(resolver, names, limits.timeout, clock), limits)
        await workers.run(_check_seals, chain, keys)
        key = keys.of(signature.key_name, signature.algorithm, MESSAGE_SIGNATURE)
        bodies = [_body_pass(each) for each in signatures]
        await hash_body(bodies, open_body, workers)
        readings = list(zip(signatures, bodies, strict=True))
        await workers.run(_check_message, chain[-1], readings, key, header)
    except _NoAnswer as error:
        unproved = with_trust(ArcResult(Result.FAIL, sealers, str(error)), chain, header, trusted)
        return replace(unproved, is_unproved=True)
    except ChainError as error:
        return ArcResult(Result.FAIL, sealers, str(error))
    return with_trust(ArcResult(Result.PASS, sealers), chain, header, trusted)


class _NoAnswer(ChainError):
    """The DNS did not tell a key."""


class _Keys:
    """The keys of one message, fit for use."""

    def __init__(self, records: Mapping[str, bytes | Refusal], limits: ArcLimits) -> None:
        self._records = records
        self._limits = limits

    def of(self, name: str, algorithm: str, where: str) -> PublicKey:
        """Raises ChainError."""
        text = self._records[name]
        if isinstance(text, Refusal):
            kind = _NoAnswer if text.result is Result.TEMPERROR else ChainError
            raise kind(f"{where}: {text.reason}")
        try:
            record = parse_record(text)
            key = record.public_key(max_bits=self._limits.max_key_bits)
        except RecordError as error:
            raise ChainError(f"{where}: {error}") from None
        if reason := unfit(record, algorithm):
            raise ChainError(f"{where}: {reason}")
        if isinstance(key, RSAPublicKey) and key.key_size < self._limits.min_key_bits:
            raise ChainError(f"{where}: key of {key.key_size} bits is too short")
        return key


def _check_seals(chain: Sequence[ArcSet], keys: _Keys) -> None:
    """Blocks. Raises ChainError."""
    covered = hashlib.sha256()
    for each in chain:
        where = f"{SEAL} i={each.instance}"
        key = keys.of(each.seal.key_name, each.seal.algorithm, where)
        # RFC 8617 section 5.1.1: all sets up to this one, in order, the seal itself last
        for field in (each.results_field, each.signature_field):
            covered.update(canonical_field(field.raw, relaxed=True) + b"\r\n")
        own = covered.copy()
        own.update(canonical_field(without_signature(each.seal_field.raw), relaxed=True))
        if not is_signature(key, own.digest(), each.seal.value, "sha256"):
            raise ChainError(f"{where} does not match")
        covered.update(canonical_field(each.seal_field.raw, relaxed=True) + b"\r\n")


def _body_pass(signature: Signature) -> BodyPass:
    body = BodyPass(relaxed=signature.relaxed_body)
    body.want(hash_name(signature.algorithm), signature.length)
    return body


def _check_message(
    latest: ArcSet,
    readings: Sequence[tuple[Signature, BodyPass]],
    key: PublicKey,
    header: bytes,
) -> None:
    """Blocks. Raises ChainError."""
    fields = SignedFields(header)
    wrong = [_wrong(latest, signature, body, key, fields) for signature, body in readings]
    if all(wrong):
        raise ChainError(f"{MESSAGE_SIGNATURE} i={latest.instance}: {wrong[0]}")


def _wrong(
    latest: ArcSet, signature: Signature, body: BodyPass, key: PublicKey, fields: SignedFields
) -> str:
    """What is wrong; empty if it is right."""
    name = hash_name(signature.algorithm)
    if signature.length is not None and signature.length != body.size:
        return "only a part of the body is signed"
    if body.digest(name, signature.length) != signature.body_hash:
        return "body hash does not match"
    digest = hashlib.new(name)
    fields.update(digest, signature.names, relaxed=signature.relaxed_header)
    own = without_signature(latest.signature_field.raw)
    digest.update(canonical_field(own, relaxed=signature.relaxed_header))
    if not is_signature(key, digest.digest(), signature.value, name):
        return "signature does not match"
    return ""
