"""Keys: making them, and their records.

Everything here blocks: drawing an RSA key takes up to a second, reading one half a millisecond.
Private keys are PKCS #8 in DER.
"""

from __future__ import annotations

import base64
import functools

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

_RSA_BITS = 2048  # RFC 8301 section 3.2: at least; more does not fit everybody's DNS
_RSA_EXPONENT = 65_537
_MOST_READY = 500  # parsed keys kept; two for each domain that sends much
_PROBE = b"whether the key can sign"
_TYPES = {"rsa-sha256": RSAPrivateKey, "ed25519-sha256": Ed25519PrivateKey}

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


def generate(algorithm: str) -> bytes:
    """A fresh private key for ``rsa-sha256`` or ``ed25519-sha256``. ValueError for others."""
    key: PrivateKey
    if algorithm == "rsa-sha256":
        key = generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    elif algorithm == "ed25519-sha256":
        key = Ed25519PrivateKey.generate()
    else:
        raise ValueError(f"there is no signing algorithm {algorithm!r}")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def key_record(private: bytes) -> str:
    """The text of the TXT record that verifiers need (RFC 6376 section 3.6.1). ValueError for
    what is no such key."""
    key = private_key(private)
    if isinstance(key, RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    # RFC 8463 section 4: the key itself, without ASN.1 around it
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def is_usable(private: bytes, algorithm: str) -> bool:
    """Whether ``private`` can be read, and is a key for ``algorithm``."""
    try:
        key = private_key(private)
    except ValueError:
        return False
    return algorithm in _TYPES and isinstance(key, _TYPES[algorithm])


@functools.lru_cache(maxsize=_MOST_READY)
def private_key(private: bytes) -> PrivateKey:
    """The last ones are kept ready. ValueError for what is neither RSA nor Ed25519, or does not
    sign as it should."""
    try:
        # The library's own check of an RSA key takes 30 ms, in which no other thread runs. A key
        # whose signature verifies is as good: it has all that signing goes by.
        key = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPrivateKey):
            signature = key.sign(_PROBE, PKCS1v15(), SHA256())
            key.public_key().verify(signature, _PROBE, PKCS1v15(), SHA256())
    except (TypeError, UnsupportedAlgorithm, InvalidSignature, InternalError) as error:
        # TypeError: it is encrypted
        raise ValueError("the private key cannot be used") from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("neither an RSA nor an Ed25519 key")
    return key
