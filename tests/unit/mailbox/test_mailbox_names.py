from __future__ import annotations

import re

import pytest

from mailframe.mailbox.names import FileName, host_part, key_of, new_name, uid_of, with_sizes


def test_our_own_name_says_everything() -> None:
    unique = new_name(1_700_000_000.9, 250_000, key_of("Q1/a@b"), "mx.example.org")
    name = FileName.parse(with_sizes(unique, 100, 105) + ":2,FS")
    assert (name.size, name.wire_size) == (100, 105)
    assert (name.received, name.micros) == (1_700_000_000, 250_000)
    assert name.flags == "FS"
    assert name.unique == unique
    assert name.uid == unique


@pytest.mark.parametrize(
    ("full", "size", "wire", "received", "micros", "flags"),
    [
        # Dovecot
        ("1700000000.M5P42.host,S=7,W=9:2,Sab", 7, 9, 1_700_000_000, 5, "Sab"),
        # Courier
        (
            "1043068716.M31415P3031V00FCI2E_0.host,S=3450:2,RS",
            3450,
            None,
            1_043_068_716,
            31415,
            "RS",
        ),
        # procmail, maildrop, qmail
        ("1037126383.25731_0.host", None, None, 1_037_126_383, 0, ""),
        # offlineimap
        ("1234567890_0.99.host,U=12,FMD5=7e33:2,S", None, None, 1_234_567_890, 0, "S"),
        # a copy made by hand
        ("letter.eml", None, None, None, 0, ""),
        ("", None, None, None, 0, ""),
        ("99999999999999.1.host", None, None, None, 0, ""),
        ("0.1.host,S=,W=x", None, None, None, 0, ""),
        ("1.2.host,S=12x,XS=5,S=6", 6, None, 1, 0, ""),
        ("1.M2.host,S=5,S=6,W=7", 5, 7, 1, 2, ""),
        ("1.2.host,S=" + "9" * 400, None, None, 1, 0, ""),
        ("1.2.host:1,experimental", None, None, 1, 0, ""),
    ],
)
def test_names_of_others(
    full: str, size: int | None, wire: int | None, received: int | None, micros: int, flags: str
) -> None:
    name = FileName.parse(full)
    assert (name.size, name.wire_size) == (size, wire)
    assert (name.received, name.micros, name.flags) == (received, micros, flags)


def test_the_uid_ignores_flags_and_sizes() -> None:
    names = ["1.2.host", "1.2.host:2,S", "1.2.host,S=5,W=6:2,RS", "1.2.host,S=5"]
    assert {FileName.parse(name).uid for name in names} == {"1.2.host"}


@pytest.mark.parametrize("text", ["", "a b", "ü.1.host", "x" * 71, "a\x7fb", "\udcff.1.h"])
def test_what_pop3_forbids_becomes_a_digest(text: str) -> None:
    assert re.fullmatch(r"[\x21-\x7e]{1,70}", uid_of(text))
    assert uid_of(text) == uid_of(text) != uid_of(text + "x")


def test_keys_are_short_and_differ_by_case() -> None:
    assert re.fullmatch(r"[A-Z2-7]{16}", key_of("Q1/Ann@b"))
    assert key_of("Q1/Ann@b") != key_of("Q1/ann@b")
    assert key_of("\udcff")


@pytest.mark.parametrize(
    ("hostname", "part"),
    [
        ("mx.example.org", "mx.example.org"),
        ("a/b:c,d", "a\\057b\\072c\\054d"),
        ("ü x", "__x"),
        ("", "localhost"),
        ("h" * 300, "h" * 60),
    ],
)
def test_host_part(hostname: str, part: str) -> None:
    assert host_part(hostname) == part


def test_the_longest_name_of_ours_fits_a_file_name() -> None:
    unique = new_name(9_999_999_999, 0, key_of("x"), host_part("h" * 300))
    assert (
        len(with_sizes(unique, 10**14, 10**14) + ":2,DFPRST" + "abcdefghijklmnopqrstuvwxyz") < 255
    )
