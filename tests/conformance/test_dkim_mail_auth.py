"""Messages in the form that Stalwart's mail-auth has them: keys on top, then the message, all of
whose signatures pass; and none does when one octet of what is signed is another."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from mailframe.core.authentication import DkimResult
from mailframe.message.headers import fields, split_message
from tests.conformance.dkim_suites import LONG_AGO, SUITES, named_records, results
from tests.unit.mailauth.dkim.dkim_world import Keys

MESSAGES = sorted((SUITES / "02-auth" / "stalwart-mail-auth" / "dkim").glob("*.txt"))
SAMPLES = 40
pytestmark = pytest.mark.skipif(not MESSAGES, reason="the suite is not on this machine")


def parts(path: Path) -> tuple[Keys, bytes]:
    text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    records, _, message = text.partition(b"\r\n\r\n")
    return Keys(named_records(records.decode())), message


def at_the_time(message: bytes, keys: Keys) -> tuple[DkimResult, ...]:
    """Verified when it was signed: some expire."""
    header, _ = split_message(message)
    times = [int(text) for text in re.findall(rb"[; \t]t=([0-9]+);", header)]
    return results(message, keys, now=max(times, default=LONG_AGO))


def letters(text: bytes, start: int, end: int) -> list[int]:
    return [at for at in range(start, end) if text[at : at + 1].isalpha()]


def signed_places(message: bytes) -> list[int]:
    """Letters of the body, and of From, which every signature covers."""
    header, body = split_message(message)
    start = len(message) - len(body)
    (author,) = [field for field in fields(header) if field.name.lower() == "from"]
    value = author.start + len("From:")
    return letters(message, start, len(message)) + letters(
        message, value, author.start + len(author.raw)
    )


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_messages_pass(path: Path) -> None:
    keys, message = parts(path)
    found = at_the_time(message, keys)
    assert all(found), found


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_changed_messages_fail(path: Path) -> None:
    keys, message = parts(path)
    places = signed_places(message)
    chosen = random.Random(path.name).sample(places, min(SAMPLES, len(places)))
    for place in chosen:
        changed = bytearray(message)
        changed[place] ^= 1
        assert not any(at_the_time(bytes(changed), keys)), place
