"""Verifying (RFC 6376 section 6): one result for each signature, the topmost first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.core.authentication import DkimResult, Result
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, IWorkers
from mailframe.mailauth.dkim.canonical import canonical_field
from mailframe.mailauth.dkim.hashing import BodyPass, OpenBody, SignedFields, hash_body
from mailframe.mailauth.dkim.records import (
    PublicKey,
    PublicKeyRecord,
    RecordError,
    parse_record,
)
from mailframe.mailauth.dkim.signature import (
    Signature,
    SignatureError,
    parse_signature,
    tags_of,
)
from mailframe.mailauth.dkim.tags import without_signature
from mailframe.message.headers import Field, named
from mailframe.runtime.aio import as_deferred

_MOST_RECORDS = 5  # TXT records looked at under one name
_SKEW = 300  # seconds that a signer's clock may be ahead
_LONGEST_FIELD = 1 << 15  # octets; one with three RSA-4096 values in it has 3 KiB
_BLANKS = re.compile(rb"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class DkimLimits:
    max_signatures: int = 10
    """Looked at; what is below them is POLICY."""
    min_key_bits: int = 1024
    """RSA keys below are POLICY (RFC 8301 section 3.2)."""
    max_key_bits: int = 4096
    timeout: float = 15.0
    """Seconds for all keys; only with a clock."""
    allow_sha1: bool = False
    """RFC 8301 section 3.1 forbids to; for the signatures of old."""
    allow_partial: bool = False
    """Whether a signature passes that leaves out the end of the body (``l=``)."""


class Refusal(Exception):
    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


async def verify_dkim(
    resolver: IResolver,
    header: bytes,
    open_body: OpenBody,
    workers: IWorkers,
    *,
    now: float,
    limits: DkimLimits = DkimLimits(),
    clock: IReactorTime | None = None,
) -> tuple[DkimResult, ...]:
    """A single NONE for a message without signatures. ``now`` in seconds since the epoch."""
    found = list(islice(named(header, "DKIM-Signature"), limits.max_signatures + 1))
    if not found:
        return (DkimResult(Result.NONE),)
    signed = await workers.run(SignedFields, header)
    jobs = [_Job(field) for field in found[: limits.max_signatures]]
    for job in jobs:
        await workers.run(job.read, now, limits)
    open_jobs = [job for job in jobs if job.signature is not None]
    names = {job.signature.key_name for job in open_jobs if job.signature}
    keys = await fetch_keys(resolver, names, limits.timeout, clock)
    passes: dict[bool, BodyPass] = {}
    for job in open_jobs:
        await workers.run(job.take_key, keys, limits)
        if job.signature is not None:
            body = passes.setdefault(
                job.signature.relaxed_body, BodyPass(relaxed=job.signature.relaxed_body)
            )
            body.want(hash_name(job.signature.algorithm), job.signature.length)
    await hash_body(list(passes.values()), open_body, workers)
    for job in open_jobs:
        if job.signature is not None:
            await workers.run(job.check, passes[job.signature.relaxed_body], signed, limits)
    results = [job.result for job in jobs]
    if len(found) > len(jobs):
        results.append(DkimResult(Result.POLICY, reason="too many signatures"))
    return tuple(results)


class _Job:
    """One signature on its way to a result; ``signature`` is None once that is known."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.signature: Signature | None = None
        self.result = DkimResult(Result.NEUTRAL)
        self._key: PublicKey | None = None

    def read(self, now: float, limits: DkimLimits) -> None:
        """Blocks: hostile fields take some milliseconds."""
        if len(self._field.raw) > _LONGEST_FIELD:
            self._end(Result.PERMERROR, "the signature is too long")
            return
        try:
            tags = tags_of(self._field.value)
            self.result = _described(tags)
            signature = parse_signature(tags)
        except SignatureError as error:
            self._end(Result.PERMERROR, str(error))
            return
        self.signature = signature
        self.result = replace(
            self.result, domain=signature.domain, selector=signature.selector,
            algorithm=signature.algorithm, identity=signature.identity,
        )  # fmt: skip
        if signature.algorithm == "rsa-sha1" and not limits.allow_sha1:
            # RFC 8301 section 3.1: verifiers must not consider them valid
            self._end(Result.PERMERROR, "rsa-sha1 is not secure")
        elif signature.expires is not None and signature.expires < now:
            self._end(Result.FAIL, "expired")
        elif signature.signed_at is not None and signature.signed_at > now + _SKEW:
            self._end(Result.POLICY, "signed in the future")

    def take_key(self, keys: dict[str, bytes | Refusal], limits: DkimLimits) -> None:
        """Blocks, as does ``read``."""
        signature = self.signature
        if signature is None:
            return
        text = keys[signature.key_name]
        if isinstance(text, Refusal):
            self._end(text.result, text.reason)
            return
        try:
            record = parse_record(text)
            key = record.public_key(max_bits=limits.max_key_bits)
        except RecordError as error:
            self._end(Result.PERMERROR, str(error))
            return
        self._key = key
        bits = 256 if isinstance(key, Ed25519PublicKey) else key.key_size
        self.result = replace(self.result, is_testing=record.is_testing, key_bits=bits)
        if reason := unfit(record, signature.algorithm):
            self._end(Result.PERMERROR, reason)
        elif record.is_strict and signature.identity_domain != signature.domain:
            # RFC 6376 section 3.6.1, t=s
            self._end(Result.PERMERROR, "the key is not for subdomains")
        elif record.key_type == "rsa" and bits < limits.min_key_bits:
            self._end(Result.POLICY, f"key of {bits} bits is too short")

    def check(self, body: BodyPass, signed: SignedFields, limits: DkimLimits) -> None:
        """Blocks."""
        signature, key = self.signature, self._key
        assert signature is not None
        assert key is not None
        name = hash_name(signature.algorithm)
        if signature.length is not None and signature.length > body.size:
            # RFC 6376 section 3.5, l=
            self._end(Result.PERMERROR, "l= is beyond the body")
        elif body.digest(name, signature.length) != signature.body_hash:
            self._end(Result.FAIL, "body hash does not match")
        elif not is_signature(key, self._digest(signature, signed), signature.value, name):
            self._end(Result.FAIL, "signature does not match")
        elif signed.count(b"from") != 1:
            # RFC 6376 section 8.15: one author was signed, readers are shown the other
            self._end(Result.POLICY, "more than one From")
        elif signature.length is not None and signature.length < body.size:
            reason = f"only {signature.length} of {body.size} octets of the body are signed"
            self._end(Result.PASS if limits.allow_partial else Result.POLICY, reason)
        else:
            self._end(Result.PASS)

    def _digest(self, signature: Signature, signed: SignedFields) -> bytes:
        digest = hashlib.new(hash_name(signature.algorithm))
        # RFC 6376 section 5.4: h= can only name signatures that were there before this one
        signed.update(digest, signature.names, relaxed=signature.relaxed_header, own=self._field)
        own = without_signature(self._field.raw)
        digest.update(canonical_field(own, relaxed=signature.relaxed_header))
        return digest.digest()

    def _end(self, result: Result, reason: str = "") -> None:
        self.signature = None
        self.result = replace(self.result, result=result, reason=reason)


def _described(tags: dict[str, bytes]) -> DkimResult:
    """What a signature says of itself, right or wrong."""

    def text(name: str) -> str:
        return _BLANKS.sub(b"", tags.get(name, b"")).decode("utf-8", "replace")[:253]

    return DkimResult(Result.NEUTRAL, text("d"), text("s"), text("a"), text("i"), text("b")[:8])


def unfit(record: PublicKeyRecord, algorithm: str) -> str:
    """Why the key is not for signatures of that algorithm; empty if it is."""
    key_type, _, name = algorithm.partition("-")
    if record.key_type != key_type:
        return "the key is for another algorithm"
    if record.hashes is not None and name not in record.hashes:
        return "the key is not for this hash"
    return "" if record.is_for_mail else "the key is not for mail"


def hash_name(algorithm: str) -> str:
    return algorithm.partition("-")[2]


def is_signature(key: PublicKey, digest: bytes, value: bytes, name: str) -> bool:
    """Blocks."""
    try:
        if isinstance(key, Ed25519PublicKey):
            # RFC 8463 section 3: what is signed is the hash
            key.verify(value, digest)
        else:
            chosen = hashes.SHA1() if name == "sha1" else hashes.SHA256()
            key.verify(value, digest, PKCS1v15(), Prehashed(chosen))
    except (InvalidSignature, ValueError):
        return False
    return True


async def fetch_keys(
    resolver: IResolver, names: Iterable[str], timeout: float, clock: IReactorTime | None
) -> dict[str, bytes | Refusal]:
    """The key records of all names, asked for at the same time."""
    asked = {name: as_deferred(_fetch(resolver, name)) for name in names}
    late = clock.callLater(timeout, _cancel, asked.values()) if clock and asked else None
    try:
        return {name: await answer for name, answer in asked.items()}
    finally:
        if late is not None and late.active():
            late.cancel()


def _cancel(asked: Iterable[Deferred[bytes | Refusal]]) -> None:
    for each in asked:
        each.cancel()


async def _fetch(resolver: IResolver, name: str) -> bytes | Refusal:
    try:
        records = await resolver.txt(name)
    except NoSuchDomain:
        return Refusal(Result.PERMERROR, "no key")
    except (DnsTemporary, CancelledError):
        return Refusal(Result.TEMPERROR, "no answer from the DNS")
    if not records:
        return Refusal(Result.PERMERROR, "no key")
    # RFC 6376 section 3.6.2.2: several records are undefined; take what looks like a key
    keys = [text for text in records[:_MOST_RECORDS] if b"p=" in _BLANKS.sub(b"", text)]
    return keys[0] if keys else records[0]
