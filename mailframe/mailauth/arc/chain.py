"""The ARC fields of a header section as values, and the structure that they must have.

Nothing is computed here but what stands in the header: ``read_chain`` is the structure of RFC 8617
section 5.2, ``standing`` is what a sealer needs to know of a chain, be it whole or broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from mailframe.mailauth.dkim.signature import (
    Signature,
    SignatureError,
    algorithm,
    decoded,
    host,
    number,
    parse_signature,
    tags_of,
)
from mailframe.message.headers import Field, first, named

MOST_SETS = 50  # RFC 8617 section 4.2.1
RESULTS, MESSAGE_SIGNATURE, SEAL = (
    "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal",
)  # fmt: skip
KINDS = (RESULTS, MESSAGE_SIGNATURE, SEAL)
"""In the order in which a seal covers them (RFC 8617 section 5.1.1)."""

_CFWS = rb"(?:[ \t\r\n]|\([^()\\]*\))*+"
# RFC 8617 section 4.1.1
_RESULTS_INSTANCE = re.compile(
    _CFWS + rb"i" + _CFWS + b"=" + _CFWS + rb"([0-9]{1,2})" + _CFWS + b";"
)
_INSTANCE = re.compile(rb"[0-9]{1,2}")
_VALIDATIONS = (b"none", b"pass", b"fail")
_SEAL_TAGS = ("a", "b", "cv", "d", "s")


class ChainError(ValueError):
    """The chain fails; the text says why."""


@dataclass(frozen=True, slots=True)
class Seal:
    """RFC 8617 section 4.1.3."""

    algorithm: str
    value: bytes
    validation: str
    """``cv=``: ``none``, ``pass`` or ``fail``."""
    domain: str
    """A-labels, lower case."""
    key_name: str


@dataclass(frozen=True, slots=True)
class ArcSet:
    """What one handler added."""

    instance: int
    results_field: Field
    signature_field: Field
    seal_field: Field
    seal: Seal


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a chain has come, as far as it can be read."""

    highest: int
    """0 where there is no instance."""
    is_given_up: bool
    """Its latest seal says ``cv=fail``."""


def has_chain(header: bytes) -> bool:
    return any(first(header, kind) is not None for kind in KINDS)


def read_chain(header: bytes, most: int = MOST_SETS) -> tuple[ArcSet, ...]:
    """All sets, the first one first; empty where there are none. Raises ChainError for more than
    ``most``, and where the structure is not as RFC 8617 section 5.2 has it."""
    by_kind = {kind: _by_instance(header, kind, most) for kind in KINDS}
    highest = max((max(found, default=0) for found in by_kind.values()), default=0)
    sets = []
    # RFC 8617 section 5.2, step 3: 1 to N, without gaps, one of each
    for instance in range(1, highest + 1):
        for kind in KINDS:
            if instance not in by_kind[kind]:
                raise ChainError(f"no {kind} i={instance}")
        results, signature, seal = (by_kind[kind][instance] for kind in KINDS)
        sets.append(ArcSet(instance, results, signature, seal, _seal(seal, instance)))
    return tuple(sets)


def message_signatures(each: ArcSet) -> tuple[Signature, ...]:
    """The ways to read it, of which one must be right. Raises ChainError."""
    try:
        tags = tags_of(each.signature_field.value)
        # RFC 8617 section 4.1.2: a DKIM-Signature without a version, whose i= is something else
        tags["v"] = b"1"
        del tags["i"]
        tags["h"] = _without_empty_names(tags.get("h", b""))
        signature = parse_signature(tags)
    except SignatureError as error:
        raise ChainError(f"{MESSAGE_SIGNATURE} i={each.instance}: {error}") from None
    if signature.algorithm == "rsa-sha1":
        # RFC 8301 section 3.1
        raise ChainError(f"{MESSAGE_SIGNATURE} i={each.instance}: rsa-sha1 is not secure")
    if SEAL.lower().encode() in signature.names:
        # RFC 8617 section 4.1.2; the other two are forbidden as well, but many sign them
        raise ChainError(f"{MESSAGE_SIGNATURE} i={each.instance}: signs {SEAL}")
    if "c" in tags:
        return (signature,)
    # RFC 6376 section 3.5 has simple for a default; in the drafts of ARC relaxed was all there was
    return signature, replace(signature, relaxed_header=True, relaxed_body=True)


def standing(header: bytes) -> Standing:
    highest = 0
    is_given_up = False
    for kind in KINDS:
        for field in islice(named(header, kind), MOST_SETS + 1):
            try:
                instance = _instance(field)
            except ChainError:
                continue
            if instance > highest:
                highest, is_given_up = instance, False
            if kind == SEAL and instance == highest:
                is_given_up |= tags_of(field.value).get("cv") == b"fail"
    return Standing(highest, is_given_up)


def _by_instance(header: bytes, kind: str, most: int) -> dict[int, Field]:
    found: dict[int, Field] = {}
    for field in _at_most(named(header, kind), most):
        instance = _instance(field)
        if instance in found:
            raise ChainError(f"{kind} i={instance} twice")
        found[instance] = field
    return found


def _at_most(found: Iterator[Field], most: int) -> list[Field]:
    held = list(islice(found, most + 1))
    if len(held) > most:
        # RFC 8617 section 5.2, step 1
        raise ChainError(f"more than {most} sets")
    return held


def _instance(field: Field) -> int:
    """Raises ChainError."""
    value = _results_instance(field) if _is(field, RESULTS) else _tagged_instance(field)
    instance = int(value)
    if not 1 <= instance <= MOST_SETS:
        raise ChainError(f"{field.name} with i={instance}")
    return instance


def _results_instance(field: Field) -> bytes:
    match = _RESULTS_INSTANCE.match(field.value)
    if match is None:
        raise ChainError(f"{field.name} without i=")
    return match[1]


def _tagged_instance(field: Field) -> bytes:
    try:
        value = tags_of(field.value).get("i", b"")
    except SignatureError as error:
        raise ChainError(f"{field.name}: {error}") from None
    if not _INSTANCE.fullmatch(value):
        raise ChainError(f"{field.name} without i=")
    return value


def _seal(field: Field, instance: int) -> Seal:
    where = f"{SEAL} i={instance}"
    try:
        tags = tags_of(field.value)
        if missing := [name for name in _SEAL_TAGS if name not in tags]:
            raise ChainError(f"{where}: no {missing[0]}=")
        if "h" in tags:
            # RFC 8617 section 4.1.3: a seal with h= fails the chain
            raise ChainError(f"{where} has h=")
        number(tags, "t")
        seal = Seal(
            algorithm(tags["a"]), decoded(tags["b"], "b"), _validation(tags["cv"], instance),
            host(tags["d"]), f"{host(tags['s'])}._domainkey.{host(tags['d'])}",
        )  # fmt: skip
    except SignatureError as error:
        raise ChainError(f"{where}: {error}") from None
    if seal.algorithm == "rsa-sha1":
        raise ChainError(f"{where}: rsa-sha1 is not secure")
    return seal


def _without_empty_names(value: bytes) -> bytes:
    """``from::to`` signs what ``from:to`` does, and is seen."""
    return b":".join(filter(None, (name.strip(b" \t\r\n") for name in value.split(b":"))))


def _validation(value: bytes, instance: int) -> str:
    if value not in _VALIDATIONS:
        raise SignatureError("unknown cv=")
    text = value.decode("ascii")
    # RFC 8617 section 5.2, step 3: never fail; none in the first set and pass in all others
    if text != ("none" if instance == 1 else "pass"):
        raise SignatureError(f"cv={text}")
    return text


def _is(field: Field, kind: str) -> bool:
    return field.name.lower() == kind.lower()
