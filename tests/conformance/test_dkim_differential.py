"""Ours beside dkimpy: messages made from seeds, signed by either, then bent; same opinion.

Known differences are kept out of what is made: dkimpy takes a lone LF for a line end, lets ``l=``
pass (so do we here), keeps blanks at the end of a last line that has no line end, and knows no
field whose name has a blank before its colon (RFC 5322 section 4.5.8).
"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as s

from mailframe.core.authentication import DkimResult
from mailframe.mailauth.dkim import DkimLimits, SigningKey, generate
from mailframe.mailauth.dkim.keys import private_key
from mailframe.message.headers import named, split_message
from tests.unit.mailauth.dkim.dkim_world import (
    ED,
    NOW,
    RSA,
    Keys,
    hand_signed,
    record_of,
    signed,
    verified_message,
)

dkim = pytest.importorskip("dkim", reason="dkimpy is the oracle")
nacl = pytest.importorskip("nacl", reason="dkimpy needs PyNaCl for Ed25519")

CASES = 300
LATER = 4_000_000_000  # dkimpy dates signatures by the real clock
LIMITS = DkimLimits(max_signatures=20, allow_partial=True)
OTHER = SigningKey("example.org", "other", "rsa-sha256", generate("rsa-sha256"))
KNOWN = {
    # RFC 6376 section 3.5: l= "MUST NOT be larger than the actual number of octets" of the body
    "l= is beyond the body",
    # section 3.6.1, t=s: "any DKIM-Signature header fields using the "i=" tag MUST have the same
    # domain value on the right-hand side of the "@" in the "i=" tag and the value of the "d=" tag"
    "the key is not for subdomains",
}
FORMS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"]
NAMES = [
    "To", "Cc", "Subject", "SUBJECT", "Date", "Message-ID", "List-Id", "X-A", "x-b", "Received",
]  # fmt: skip
TEXT = [
    "a", "b", "=", ";", ":", " ", "  ", "\t", " \t ", "\r\n ", "\r\n\t", "\r\n  ", "word", "\u00e4",
]  # fmt: skip
BODY = [
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"  ",
    b"a",
    b"line",
    b".",
    b"\xff",
    b"- \r\n",
    b"\r\n \r\n",
]
RECORDS: list[dict[str, str]] = [
    {"t": "s"}, {"t": "y"}, {"h": "sha256"}, {"h": "sha1:sha256"}, {"p": ""}, {"s": "email"},
    {"s": "*"}, {"n": "a note"}, {"v": "DKIM1"},
]  # fmt: skip


def from_pem(key: SigningKey) -> bytes:
    """What dkimpy signs with."""
    private: Any = private_key(key.private)
    if key is ED:
        raw = private.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption())
        return base64.b64encode(raw)
    pem = s.PrivateFormat.TraditionalOpenSSL
    return bytes(private.private_bytes(s.Encoding.PEM, pem, s.NoEncryption()))


def made_header(draw: random.Random) -> bytes:
    rows = [f"From: {'bob' if draw.random() < 0.8 else 'Bob '} <bob@example.org>\r\n"]
    for _ in range(draw.randrange(8)):
        value = "".join(draw.choices(TEXT, k=draw.randrange(10))).rstrip() or "x"
        # RFC 5322 section 2.2.3: no line of blanks only
        value = "\r\n".join(line for line in value.split("\r\n") if line.strip()) or "x"
        rows.append(f"{draw.choice(NAMES)}:{draw.choice([' ', '', '  '])}{value}\r\n")
    draw.shuffle(rows)
    return "".join(rows).encode()


def made_body(draw: random.Random) -> bytes:
    return ended(b"".join(draw.choices(BODY, k=draw.randrange(20))))


def ended(body: bytes) -> bytes:
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def names_for(draw: random.Random) -> str:
    names = ["from", *draw.choices([*NAMES, "From", "Reply-To"], k=draw.randrange(7))]
    draw.shuffle(names)
    return draw.choice([":", " : ", ":"]).join(names)


def with_signature(draw: random.Random, header: bytes, body: bytes) -> bytes:
    way = draw.random()
    key = draw.choice([RSA, ED])
    if way < 0.15:
        return signed(header, body, [RSA, ED])
    if way < 0.3:
        algorithm, form = key.algorithm.encode(), draw.choice(FORMS).encode().split(b"/")
        signature = dkim.sign(
            header + b"\r\n" + body, key.selector.encode(), b"example.org", from_pem(key),
            canonicalize=tuple(form), signature_algorithm=algorithm, length=draw.random() < 0.1,
        )  # fmt: skip
        return bytes(signature) + header
    tags: dict[str, str] = {}
    if draw.random() < 0.2:
        tags["i"] = draw.choice(["bob@example.org", "@sub.example.org", "@example.net"])
    if draw.random() < 0.1:
        tags["t"] = str(NOW - 100)
    if draw.random() < 0.1:
        tags["q"] = "dns/txt"
    if draw.random() < 0.15:
        tags["length"] = str(draw.randrange(len(body) + 3))
    return hand_signed(header, body, key, c=draw.choice(FORMS), h=names_for(draw), **tags)


def bent(draw: random.Random, header: bytes, body: bytes) -> tuple[bytes, bytes]:
    way = draw.randrange(9)
    if way == 0 and body:
        place = draw.randrange(len(body))
        if body[place : place + 1].isalpha():
            body = body[:place] + b"z" + body[place + 1 :]
    elif way == 1:
        body += draw.choice([b"\r\n", b" \r\n", b"x", b" "])
    elif way == 2:
        body = body.replace(b"  ", b" ")
    elif way == 3:
        header += f"{draw.choice(NAMES)}: new\r\n".encode()
    elif way == 4:
        header = f"{draw.choice(NAMES)}: new\r\n".encode() + header
    elif way == 5:
        header = header.replace(b"\r\n ", b"  ")
    elif way == 6:
        header = header.replace(b"Subject:", b"sUBJECT:")
    elif way == 7:
        header = header.replace(b"bob@", b"rob@", 1)
    return header, ended(body)


def made(seed: int) -> tuple[bytes, dict[str, bytes]]:
    draw = random.Random(seed)
    header, body = made_header(draw), made_body(draw)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        header = with_signature(draw, header, body)
    for _ in range(draw.choice([0, 0, 1, 2])):
        header, body = bent(draw, header, body)
    records = {}
    for key in (RSA, ED):
        chosen = draw.choice(RECORDS) if draw.random() < 0.2 else {}
        owner = OTHER if key is RSA and draw.random() < 0.05 else key
        if draw.random() > 0.03:
            records[f"{key.selector}._domainkey.example.org"] = record_of(owner, **chosen)
    return header + b"\r\n" + body, records


def theirs(message: bytes, records: dict[str, bytes]) -> list[bool]:
    def answer(name: bytes, timeout: float = 5) -> bytes | None:
        return records.get(name.decode().rstrip("."))

    found = []
    header, _ = split_message(message)
    for place in range(sum(1 for _ in named(header, "DKIM-Signature"))):
        try:
            found.append(bool(dkim.DKIM(message).verify(place, dnsfunc=answer)))
        except dkim.DKIMException:
            found.append(False)
    return found


def ours(message: bytes, records: dict[str, bytes]) -> list[DkimResult]:
    return list(verified_message(message, Keys(records), limits=LIMITS, now=LATER))


def disagreement(seed: int) -> str:
    message, records = made(seed)
    mine, other = ours(message, records), theirs(message, records)
    pairs = zip(mine, other, strict=True)
    if all(bool(each) == good for each, good in pairs if each.reason not in KNOWN):
        return ""
    return f"seed {seed}: ours {mine}, dkimpy {other}\n{message!r}\n{records}"


@pytest.mark.parametrize("start", range(0, CASES, 50))
def test_same_opinion(start: int) -> None:
    assert [text for text in map(disagreement, range(start, start + 50)) if text] == []


def test_both_opinions_are_among_them() -> None:
    found = [each for seed in range(60) for each in map(bool, ours(*made(seed)))]
    assert found.count(True) > 20
    assert found.count(False) > 10
