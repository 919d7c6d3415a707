"""Hashing and checking passwords, off the reactor thread, at one price for all.

Ours are argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane: about 25 ms; the
library's defaults take 185). Every check that fails has computed exactly one argon2id hash,
for an unknown user too; a check against a cheaper foreign hash computes one beside it, which
is the renewed hash when it succeeds.

A password that was right lately is remembered, as an HMAC over the account, the stored hash
and the password under a key of this process, so that a mail program that polls every minute
does not cost a hash each time. As the stored hash is part of it, a changed password counts at
once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from twisted.internet.interfaces import IReactorTime

from mailframe.accounts.errors import InvalidEntry
from mailframe.accounts.foreign_hashes import verify_foreign
from mailframe.core.scram import ScramVerifier
from mailframe.interfaces import IWorkers
from mailframe.protocols.sasl import prepared_password

MAX_PASSWORD = 1024
"""Octets. Longer ones never match: they would only feed the slower foreign hashes."""
SCRAM_ITERATIONS = 20_000
"""RFC 7677 section 4 wants at least 4096. Whoever steals the directory attacks this, not
argon2, so more is better; a client pays it on every login: here about 6 ms."""
SCRAM_SALT = 16
_REMEMBER = 900.0  # seconds; mail programs poll every one to ten minutes
_REMEMBER_MOST = 10_000

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# What an unknown user's password is checked against: nobody will find what hashes to zeros.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGxpdmVzIGhlcg$" + "A" * 43


def check_new_password(password: bytes) -> None:
    """Raises InvalidEntry for a password that no protocol could carry."""
    if not password:
        raise InvalidEntry("the password is empty")
    if len(password) > MAX_PASSWORD:
        raise InvalidEntry(f"the password is longer than {MAX_PASSWORD} octets")
    if any(octet < 0x20 or octet == 0x7F for octet in password):
        raise InvalidEntry("the password contains a control character")
    try:
        password.decode()
    except UnicodeDecodeError:
        raise InvalidEntry("the password is not UTF-8") from None


def hash_password(password: bytes) -> str:
    """``$argon2id$...``. Blocks for about 25 ms."""
    return _HASHER.hash(prepared_password(password))


def scram_verifier_for(password: bytes, salt: bytes) -> ScramVerifier:
    """Blocks for about 6 ms."""
    return ScramVerifier.derive(prepared_password(password), salt, SCRAM_ITERATIONS)


def is_current(stored: str) -> bool:
    """Whether the hash is argon2id of the parameters used now, spelt without a scheme."""
    try:
        return not _HASHER.check_needs_rehash(stored)
    except InvalidHashError:
        return False


def check_password(stored: str | None, password: bytes) -> tuple[bool, str | None]:
    """Whether it matches, and the hash to keep from now on where the old one is outdated.

    ``stored`` None is a user that does not exist. Blocks.
    """
    if stored is None or not stored or len(password) > MAX_PASSWORD:
        _matches(_NOBODY, password[:MAX_PASSWORD])
        return False, None
    ours = stored.removeprefix("{ARGON2ID}")
    if is_current(ours):
        return _matches(ours, password), None
    right = verify_foreign(stored, password)
    if not right and prepared_password(password) != password:
        right = verify_foreign(stored, prepared_password(password))
    if right:
        return True, hash_password(password)
    _matches(_NOBODY, password)
    return False, None


def _matches(stored: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored, prepared_password(password))
    except VerifyMismatchError:
        return False


@dataclass(frozen=True, slots=True)
class Checked:
    right: bool
    renewed: str | None = None
    """The hash that should replace the stored one."""


class Passwords:
    """Checks passwords on ``workers`` and remembers the right ones.

    ``secret`` keys what is remembered: 32 random octets that live as long as the process.
    """

    def __init__(self, workers: IWorkers, clock: IReactorTime, secret: bytes) -> None:
        self._workers = workers
        self._clock = clock
        self._secret = secret
        self._remembered: OrderedDict[bytes, float] = OrderedDict()

    async def check(self, account: str, stored: str | None, password: bytes) -> Checked:
        """``stored`` None is a user that does not exist. Raises TransientFailure when the
        pool is full."""
        if self.remembers(account, stored, password):
            return Checked(True)
        right, renewed = await self._workers.run(check_password, stored, password)
        if right:
            self._keep(self._key(account, stored, password))
        return Checked(right, renewed)

    async def is_right(self, account: str, stored: str | None, password: bytes) -> bool:
        """As ``check``, of a hash that is not ours to renew."""
        return (await self.check(account, stored, password)).right

    def remembers(self, account: str, stored: str | None, password: bytes) -> bool:
        """Whether it was right a while ago."""
        until = self._remembered.get(self._key(account, stored, password))
        return until is not None and self._clock.seconds() < until

    async def scram_verifier(self, password: bytes, salt: bytes) -> ScramVerifier:
        verifier: ScramVerifier = await self._workers.run(scram_verifier_for, password, salt)
        return verifier

    def _key(self, account: str, stored: str | None, password: bytes) -> bytes:
        known = hashlib.sha256(f"{account}\0{stored}".encode()).digest()
        return hmac.digest(self._secret, known + password, "sha256")

    def _keep(self, key: bytes) -> None:
        self._remembered[key] = self._clock.seconds() + _REMEMBER
        self._remembered.move_to_end(key)
        while len(self._remembered) > _REMEMBER_MOST:
            self._remembered.popitem(last=False)
