"""Password hashes that other mail systems made: verified here, never made here.

Understands what Dovecot writes (``{SCHEME}hash``, with ``.b64`` or ``.hex`` after the scheme),
what ``htpasswd`` writes, and bare ``crypt`` strings. Pure functions that may take long: they
run on a worker thread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from mailframe.core.scram import ScramVerifier

_SCHEME = re.compile(r"\{([A-Z0-9-]+)(?:\.(B64|BASE64|HEX))?\}", re.IGNORECASE)
_BCRYPT_OCTETS = 72  # bcrypt never looked at more; the library refuses what others cut off


def verify_foreign(stored: str, password: bytes) -> bool:
    """Whether the password is the one behind ``stored``; False for a hash nobody knows."""
    match = _SCHEME.match(stored)
    try:
        if match is None:
            return _verify_crypt(stored, password)
        check = _SCHEMES.get(match[1].upper())
        return check is not None and check(_decoded(stored[match.end() :], match[2]), password)
    except (ValueError, TypeError, binascii.Error, Argon2Error, InvalidHashError):
        return False  # a hash that is cut off or garbled matches no password


def parse_scram(stored: str) -> ScramVerifier | None:
    """The verifier in ``[{SCRAM-SHA-256}]iterations,salt,stored key,server key``, or None."""
    text = stored.removeprefix("{SCRAM-SHA-256}")
    try:
        iterations, *keys = text.split(",")
        salt, stored_key, server_key = (base64.b64decode(key, validate=True) for key in keys)
        verifier = ScramVerifier(salt, int(iterations), stored_key, server_key)
    except ValueError:
        return None
    whole = len(stored_key) == len(server_key) == 32 and verifier.iterations > 0
    return verifier if whole else None


def format_scram(verifier: ScramVerifier) -> str:
    keys = (verifier.salt, verifier.stored_key, verifier.server_key)
    encoded = ",".join(base64.b64encode(key).decode() for key in keys)
    return f"{verifier.iterations},{encoded}"


def _decoded(text: str, encoding: str | None) -> str:
    """Undo ``{SCHEME.b64}`` and ``{SCHEME.hex}`` for schemes that are text inside."""
    if encoding is None:
        return text
    raw = bytes.fromhex(text) if encoding.upper() == "HEX" else base64.b64decode(text)
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()  # a digest: its usual spelling


def _plain(text: str, password: bytes) -> bool:
    return bool(text) and hmac.compare_digest(text.encode(), password)


def _digest(algorithm: str, salted: bool) -> Callable[[str, bytes], bool]:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def verify(text: str, password: bytes) -> bool:
        raw = bytes.fromhex(text) if len(text) == 2 * size else base64.b64decode(text)
        digest, salt = raw[:size], raw[size:]
        if len(digest) != size or bool(salt) != salted:
            return False
        found = hashlib.new(algorithm, password + salt, usedforsecurity=False).digest()
        return hmac.compare_digest(found, digest)

    return verify


def _pbkdf2(text: str, password: bytes) -> bool:
    """Dovecot's: ``$1$salt$rounds$hex`` of PBKDF2-HMAC-SHA1."""
    empty, version, salt, rounds, digest = text.split("$")
    expected = bytes.fromhex(digest)
    if empty or version != "1" or len(expected) != 20:
        return False
    found = hashlib.pbkdf2_hmac("sha1", password, salt.encode(), int(rounds), len(expected))
    return hmac.compare_digest(found, expected)


def _scram(text: str, password: bytes) -> bool:
    kept = parse_scram(text)
    if kept is None:
        return False
    found = ScramVerifier.derive(password, kept.salt, kept.iterations)
    return hmac.compare_digest(found.stored_key, kept.stored_key)


def _bcrypt(text: str, password: bytes) -> bool:
    if text.startswith("$2y$"):  # PHP's and Apache's name of $2b$
        text = "$2b$" + text[4:]
    return bcrypt.checkpw(password[:_BCRYPT_OCTETS], text.encode("ascii"))


def _argon2(text: str, password: bytes) -> bool:
    return PasswordHasher().verify(text, password)  # the parameters are in the text


def _passlib(name: str) -> Callable[[str, bytes], bool]:
    def verify(text: str, password: bytes) -> bool:
        from passlib import hash as crypts  # a megabyte that few servers need

        return bool(getattr(crypts, name).verify(password, text))

    return verify


_CRYPTS: dict[str, Callable[[str, bytes], bool]] = {
    "$1$": _passlib("md5_crypt"),
    "$apr1$": _passlib("apr_md5_crypt"),
    "$2": _bcrypt,
    "$5$": _passlib("sha256_crypt"),
    "$6$": _passlib("sha512_crypt"),
    "$argon2": _argon2,
}


def _verify_crypt(text: str, password: bytes) -> bool:
    """A ``crypt`` string by its prefix; what does not look like one matches nothing."""
    for prefix, check in _CRYPTS.items():
        if text.startswith(prefix):
            return check(text, password)
    return False


_SCHEMES: dict[str, Callable[[str, bytes], bool]] = {
    "PLAIN": _plain,
    "CLEAR": _plain,
    "CLEARTEXT": _plain,
    "PLAIN-MD5": _digest("md5", salted=False),
    "LDAP-MD5": _digest("md5", salted=False),
    "SMD5": _digest("md5", salted=True),
    "SHA": _digest("sha1", salted=False),
    "SHA1": _digest("sha1", salted=False),
    "SHA256": _digest("sha256", salted=False),
    "SHA512": _digest("sha512", salted=False),
    "SSHA": _digest("sha1", salted=True),
    "SSHA256": _digest("sha256", salted=True),
    "SSHA512": _digest("sha512", salted=True),
    "MD5": _verify_crypt,
    "MD5-CRYPT": _verify_crypt,
    "SHA256-CRYPT": _verify_crypt,
    "SHA512-CRYPT": _verify_crypt,
    "BLF-CRYPT": _verify_crypt,
    "CRYPT": _verify_crypt,
    "ARGON2I": _verify_crypt,
    "ARGON2ID": _verify_crypt,
    "PBKDF2": _pbkdf2,
    "SCRAM-SHA-256": _scram,
}
