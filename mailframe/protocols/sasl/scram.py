"""What both sides of SCRAM-SHA-256 share: the messages' grammar and signatures.

RFC 5802 section 5 (attributes) and 7 (grammar), RFC 7677. Messages are parsed strictly and in
the order of the grammar: a message that is not exactly one is refused, because both sides
sign the text and must mean the same by it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from mailframe.errors import RemoteProtocolError

# Real messages have some hundred octets; the longest field is the user's name.
MAX_MESSAGE = 4096
# Strongest first: RFC 9266 section 3 for TLS 1.3, RFC 5929 for what lies behind older ones.
BINDING_PREFERENCE = ("tls-exporter", "tls-server-end-point")
# RFC 5802 section 7: printable = %x21-2B / %x2D-7E
_PRINTABLE = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


def decode_message(octets: bytes) -> str:
    if len(octets) > MAX_MESSAGE:
        raise RemoteProtocolError(f"a SCRAM message is longer than {MAX_MESSAGE} octets")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise RemoteProtocolError("a SCRAM message is UTF-8") from None
    if "\0" in text:
        raise RemoteProtocolError("a SCRAM message holds no NUL")
    return text


def attribute(field: str, name: str) -> str:
    """The value of ``name=value``."""
    if not field.startswith(f"{name}="):
        raise RemoteProtocolError(f"the SCRAM attribute {name}= is missing or out of order")
    return field[2:]


def nonce_attribute(field: str) -> str:
    nonce = attribute(field, "r")
    if not is_nonce(nonce):
        raise RemoteProtocolError("the SCRAM nonce is malformed")
    return nonce


def is_nonce(text: str) -> bool:
    return _PRINTABLE.fullmatch(text) is not None


def base64_attribute(field: str, name: str) -> bytes:
    try:
        return base64.b64decode(attribute(field, name), validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError(f"the SCRAM attribute {name}= is not base64") from None


def refuse_mandatory_extension(field: str) -> None:
    # RFC 5802 section 5.1: an unknown mandatory extension ends the exchange.
    if field.startswith("m="):
        raise RemoteProtocolError("a mandatory SCRAM extension that is not supported")


def encode_name(name: str) -> str:
    """RFC 5802 section 5.1, ``saslname``."""
    return name.replace("=", "=3D").replace(",", "=2C")


def decode_name(encoded: str) -> str:
    if re.search("=(?!2C|3D)", encoded):
        raise RemoteProtocolError("the SCRAM name has a bare '='")
    return encoded.replace("=2C", ",").replace("=3D", "=")


def binding_input(gs2_header: str, data: bytes) -> str:
    """The value of ``c=`` (RFC 5802 section 5.1)."""
    return base64.b64encode(gs2_header.encode() + data).decode()


def signature(key: bytes, auth_message: str) -> bytes:
    return hmac.digest(key, auth_message.encode(), "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
