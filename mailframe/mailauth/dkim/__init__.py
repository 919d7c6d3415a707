"""mailauth.dkim: DomainKeys Identified Mail.

What lives here
    ``verification`` and ``signing``; below them ``signature`` and ``records`` (fields and TXT
    records as values), ``tags`` (their common syntax), ``canonical``, ``hashing``; ``keys``
    (making keys, and their records).

May import
    core, errors, message, interfaces, runtime, Twisted, cryptography, idna.

Start reading at
    ``verification``.

Invariants
    The body is read once, however many signatures there are. Hashing and arithmetic happen on
    workers, in pieces. Signatures, tags, key sizes and time are bounded.

RFCs
    6376, 8301 (algorithms), 8463 (Ed25519), 8616 (internationalised mail).
"""

from mailframe.mailauth.dkim.keys import generate, is_usable, key_record
from mailframe.mailauth.dkim.records import PublicKeyRecord, RecordError, parse_record
from mailframe.mailauth.dkim.signing import SigningKey, sign_dkim
from mailframe.mailauth.dkim.verification import DkimLimits, verify_dkim

__all__ = [
    "DkimLimits", "PublicKeyRecord", "RecordError", "SigningKey", "generate", "is_usable",
    "key_record", "parse_record", "sign_dkim", "verify_dkim",
]  # fmt: skip
