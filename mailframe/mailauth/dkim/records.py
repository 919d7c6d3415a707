"""Key records (RFC 6376 section 3.6.1; RFC 8463 section 4)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailframe.mailauth.dkim.tags import TagError, parse_tags

PublicKey = RSAPublicKey | Ed25519PublicKey

_MOST_OCTETS = 1200  # of a key in DER: RSA of 8192 bits has 1062
_MOST_EXPONENT_BITS = 64  # everybody's is 65537; one as long as the modulus costs a hundred times
_BLANKS = re.compile(rb"[ \t\r\n]+")


class RecordError(ValueError):
    """No usable key record; the text says why."""


@dataclass(frozen=True, slots=True)
class PublicKeyRecord:
    """What a TXT record says, the key itself still encoded."""

    key_type: str
    key: bytes
    """DER, or 32 octets of Ed25519; empty: revoked."""
    hashes: frozenset[str] | None
    """None: any."""
    is_for_mail: bool
    is_strict: bool
    """``t=s``: ``i=`` must be of the very domain ``d=``."""
    is_testing: bool

    def public_key(self, *, max_bits: int) -> PublicKey:
        """Raises RecordError. An RSA modulus above ``max_bits`` is never computed with."""
        if not self.key:
            raise RecordError("key revoked")
        if self.key_type == "ed25519":
            if len(self.key) != 32:
                raise RecordError("no Ed25519 key")
            return Ed25519PublicKey.from_public_bytes(self.key)
        if len(self.key) > _MOST_OCTETS:
            raise RecordError("key too long")
        return _rsa_key(self.key, max_bits)


def _rsa_key(der: bytes, max_bits: int) -> RSAPublicKey:
    try:
        # takes both: RFC 6376 section 3.6.1 has RSAPublicKey (PKCS #1), everybody publishes
        # SubjectPublicKeyInfo
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise RecordError("no RSA key") from None
    if not isinstance(key, RSAPublicKey):
        raise RecordError("no RSA key")
    if key.key_size > max_bits:
        raise RecordError(f"key of {key.key_size} bits is too long")
    if key.public_numbers().e.bit_length() > _MOST_EXPONENT_BITS:
        raise RecordError("key with a huge exponent")
    return key


def parse_record(text: bytes) -> PublicKeyRecord:
    """Raises RecordError."""
    try:
        tags = parse_tags(text)
    except TagError as error:
        raise RecordError(f"key record: {error}") from None
    # RFC 6376 section 3.6.1: v= must be the first tag where it is there at all
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != b"DKIM1"):
        raise RecordError("key record of another version")
    if "p" not in tags:
        raise RecordError("key record without p=")
    key_type = tags.get("k", b"rsa").decode("utf-8", "replace").lower()
    if key_type not in ("rsa", "ed25519"):
        raise RecordError("key of unknown type")
    try:
        key = base64.b64decode(_BLANKS.sub(b"", tags["p"]), validate=True)
    except binascii.Error:
        raise RecordError("key is no base64") from None
    services = _words(tags.get("s", b"*"))
    flags = _words(tags.get("t", b""))
    hashes = frozenset(_words(tags["h"])) if "h" in tags else None
    return PublicKeyRecord(
        key_type, key, hashes, bool({"*", "email"} & services), "s" in flags, "y" in flags
    )


def _words(value: bytes) -> set[str]:
    return {word.strip(" \t\r\n").lower() for word in value.decode("utf-8", "replace").split(":")}
