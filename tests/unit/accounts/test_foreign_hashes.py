"""Hashes of other mail systems; made once by them of the password ``secret``."""

from __future__ import annotations

import argon2
import pytest

from mailframe.accounts import passwords
from mailframe.accounts.foreign_hashes import format_scram, parse_scram, verify_foreign
from mailframe.accounts.passwords import (
    check_password,
    hash_password,
    is_current,
    scram_verifier_for,
)

BY_DOVECOT = """
{PLAIN}secret
{CLEARTEXT}secret
{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69
{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==
{SMD5}z+X3BEgBfSO603Gt/4ggfBaNg00=
{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=
{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=
{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==
{SSHA}dd15WC3JHD7mcCpzTn3OFnSTjEI8HfYf
{SSHA256}SQsBIXXJfOsfQVejDBU5PMTud9vCxGOkgGm0c7r/RiNbn2D4
{SSHA512}v0eeMz450nUA0F2SZvnqTXFzBcKsCXw00B0dBfRmlZ5b0ztd/NYd3gBGKowvWPU8hB7iV2egEsb6bS09AHKWrptKbBA=
{MD5-CRYPT}$1$SeZ9G/zz$cSKpXMeQCpp2BKEi/lHWc/
{SHA256-CRYPT}$5$lMm4pIO0KzI2IBLq$lmA3af5G7M4xOcuuXro/cQvNzH7O1jhSnTuPmnNy006
{SHA512-CRYPT}$6$XbX26xC37WCqAdvd$mP3ypvmvVxm48.K0jSzIUh7VawCDb/foUdG1diJJRvRIcL.di.jUFAwCz8.BFaTdE.aRwe39dPrpTWp71gTWZ0
{BLF-CRYPT}$2y$05$9THpNSwG8QrOTJlm0kko4O6CxmXkmvUGirT3PBhkr6nH/ujSPlIeG
{CRYPT}$2y$05$6ElXSVdCjK8nLICb0ULUz.EDDT0mEpHgSJb9TSAXfDMJUudkxqYeK
{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$p3yoGhwjHRvl/4u7Q5nO8w$5dRkHQli/JiXno1ybRotvoNMUHBsHFX8JfFnL+Z4UqA
{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$7ke7Zof3Lz4pA6vwIB6WpQ$VM1tYHDGf/9e9+TZuZgXtNqQyfbJPdw6qi5r6q+mgXw
{PBKDF2}$1$ctkhb.DjwATlK7Fm$5000$5a4819f924ee0828656a1f92602b7137f965a497
{SCRAM-SHA-256}4096,PCWicUQnZt/mG3zZjg8XKQ==,2wnSOGfmDkfAlMJyf7HO4C0ui8DeKe9m+Xp/kIUxH2s=,xHwaPcRZF3OU3ZulF1pinKAR5gS9gprm2j0fNA1mDZQ=
{SSHA.HEX}fee3ca179a996f96d9f31c442ba37752af814d009189abed
{SHA512.HEX}bd2b1aaf7ef4f09be9f52ce2d8d599674d81aa9d6a4421696dc4d93dd0619d682ce56b4d64a9ef097761ced99e0f67265b5f76085e5b0ee7ca4696b2ad6fe2b2
{SHA512-CRYPT.B64}JDYkUFUvRHhVLmR5aWdZWkk5eSRmcGF0a3k3Sk1UaUxXWVF2ZjRTc0FPWUNldU5ydDg1RmJaamZRR2dray96cWlDQUs1MHIyU3ZFbTdEZ1dNcUh5dFZaNEFGem5kRjdScGZUR3NyWjlMMQ==
{SSHA512.B64}AjtO7NRP7HOIqxSZTUh2LNUFq9SqWs25S5KYWM6oy9i1eziE/LxgxS1Vt5AFHRIAXPcstK6NdILh2GgCQrAxwQHFXRA=
"""
HTPASSWD = [
    "$apr1$zCe4gKTu$W5sH07ZiTn/YL4LsScL1N1",
]
STORED = [*BY_DOVECOT.split(), *HTPASSWD]


@pytest.mark.parametrize("stored", STORED, ids=lambda text: text[:22])
def test_the_right_password_and_a_wrong_one(stored: str) -> None:
    assert verify_foreign(stored, b"secret")
    wrong_ones = [b"Secret", b"secret ", b"", b"secre", b"x" * 1024, b"\0", b"\xff"]
    dear = "ARGON2" in stored  # with the parameters Dovecot chose
    for wrong in wrong_ones[:2] if dear else wrong_ones:
        assert not verify_foreign(stored, wrong)


@pytest.mark.parametrize("stored", STORED, ids=lambda text: text[:22])
def test_a_hash_cut_off_anywhere_matches_nothing(stored: str) -> None:
    if stored.startswith(("{PLAIN}", "{CLEAR")):
        return
    for end in range(0, len(stored) - 1, 7):
        assert not verify_foreign(stored[:end], b"secret")
        assert not verify_foreign(stored[:end], b"")


@pytest.mark.parametrize(
    "stored",
    ["", "secret", "{}secret", "{NTLM}x", "{PLAIN}", "!", "*", "x", "{SHA}", "{SSHA}é", "$9$x$y"],
)
def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    for password in (b"secret", b"", b"x", stored.encode()):
        assert not verify_foreign(stored, password)


def test_bcrypt_looks_at_72_octets_as_it_always_did() -> None:
    stored = "{BLF-CRYPT}$2y$05$D0uEH.6l4ZsLg1HVGt9z7OTihSPeTpLeur5kx39/meV3QL.R8wZNa"
    assert verify_foreign(stored, b"x" * 100)


def test_ours_is_argon2id_of_owasp() -> None:
    stored = hash_password("λέξη".encode())
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_current(stored)
    assert is_current(passwords._NOBODY)
    assert check_password(stored, "λέξη".encode()) == (True, None)
    assert check_password("{ARGON2ID}" + stored, "λέξη".encode()) == (True, None)
    assert check_password(stored, b"wrong") == (False, None)
    assert check_password(None, b"") == (False, None)


def test_weaker_parameters_are_renewed() -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=256, parallelism=1).hash("secret")
    right, renewed = check_password(weak, b"secret")
    assert right
    assert renewed is not None
    assert is_current(renewed)


@pytest.mark.parametrize("stored", ["{PLAIN}café", "{PLAIN}cafe\u0301"])
def test_a_foreign_hash_may_be_of_either_spelling(stored: str) -> None:
    composed = stored.endswith("caf\u00e9")
    assert check_password(stored, "caf\u00e9".encode())[0] is composed
    assert check_password(stored, "cafe\u0301".encode())[0]


def test_a_verifier_survives_its_text_form() -> None:
    verifier = scram_verifier_for(b"secret", b"s" * 16)
    assert parse_scram(format_scram(verifier)) == verifier


@pytest.mark.parametrize(
    "text", ["", "x", "1,2,3", "0,QQ==,QQ==,QQ==", "x,QQ==,QQ==,QQ==", "1,é,,"]
)
def test_what_is_no_verifier(text: str) -> None:
    assert parse_scram(text) is None
