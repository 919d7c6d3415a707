"""The mail that filters are compared on, and the ways it is put before them."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITES = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
SUITE = SUITES / "08-spam"
CORPUS = "spamassassin-A-developers"
SEED = 20261123
_BARE = re.compile(rb"(?:from|to|cc|subject|content-[a-z-]+)[ \t]*:", re.IGNORECASE)
_LINE_END = re.compile(rb"\r?\n")
_DICTIONARY_WORDS = 300  # in each poisoned message


@dataclass(frozen=True, slots=True)
class Mail:
    """``message`` in wire format. ``taught`` is what the filter is told, where it is told
    another thing than the truth; ``judged``: whether its judgement counts."""

    message: bytes
    is_spam: bool
    taught: bool
    judged: bool = True


def corpus(suite: Path = SUITE) -> list[Mail]:
    """All messages in the order of the index, without the mbox line on top."""
    with (suite / f"{CORPUS}.index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    contents: dict[str, bytes] = {}
    with tarfile.open(suite / f"{CORPUS}.tar.xz") as archive:
        for member in archive:
            file_ = archive.extractfile(member)
            if file_ is not None:
                contents[member.name.partition("/")[2]] = file_.read()
    return [
        Mail(_wire_format(contents[row["path"]]), row["label"] == "spam", row["label"] == "spam")
        for row in rows
    ]


def shuffled(mails: Sequence[Mail], seed: int = SEED) -> list[Mail]:
    mixed = list(mails)
    random.Random(seed).shuffle(mixed)
    return mixed


def bare(mail: Mail) -> Mail:
    """With those fields only that do not tell who collected it."""
    header, empty, body = mail.message.partition(b"\r\n\r\n")
    kept: list[bytes] = []
    keep = False
    for line in header.split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            keep = _BARE.match(line) is not None
        if keep:
            kept.append(line)
    return Mail(b"\r\n".join(kept) + empty + body, mail.is_spam, mail.taught, mail.judged)


def mislabelled(mails: Sequence[Mail], share: float, seed: int = SEED) -> list[Mail]:
    """The same stream, a share of it taught as the opposite."""
    chance = random.Random(seed + 1)
    return [
        Mail(mail.message, mail.is_spam, mail.is_spam != (chance.random() < share))
        for mail in mails
    ]


def poisoned(mails: Sequence[Mail], after: int, poison: int, seed: int = SEED) -> list[Mail]:
    """After so many messages come so many that hold nothing but words of ham, and are spam.

    The words are taken from the ham of the whole corpus, more often the more messages they are
    in: the attacker knows the victim's vocabulary. The filter is taught each as spam.
    """
    chance = random.Random(seed + 2)
    words = [word for mail in mails if not mail.is_spam for word in _words(mail.message)]
    made = [_poison(chance.sample(words, _DICTIONARY_WORDS)) for _ in range(poison)]
    return [*mails[:after], *made, *mails[after:]]


def _words(message: bytes) -> Iterator[str]:
    body = message.partition(b"\r\n\r\n")[2].decode("latin-1")
    yield from set(re.findall(r"\b[a-z]{3,14}\b", body.lower()))


def _poison(words: Sequence[str]) -> Mail:
    text = io.StringIO()
    text.write("From: news@example.net\r\nTo: you@example.org\r\nSubject: ")
    text.write(" ".join(words[:5]) + "\r\nContent-Type: text/plain\r\n\r\n")
    for at in range(5, len(words), 10):
        text.write(" ".join(words[at : at + 10]) + "\r\n")
    return Mail(text.getvalue().encode("ascii"), is_spam=True, taught=True, judged=False)


def _wire_format(content: bytes) -> bytes:
    if content.startswith(b"From "):
        content = content.partition(b"\n")[2]
    return _LINE_END.sub(b"\r\n", content)
