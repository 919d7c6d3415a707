"""Dialogues made wrong: lines in another order, octets changed, cut, doubled, spliced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Dialogue = list[bytes]

_NASTY = (
    b"\r", b"\n", b"\0", b"\r\n", b".", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b" ", b"<", b">", b'"',
    b"\\", b"@", b":", b"=", b"*", b"\xff", b"\xc3\xa4", b"\xf0\x9f\x93\xa7", b"+", b"-1", b"0",
    b"99999999999999999999", b"A" * 1100, b"=" * 13000, b"\x16\x03\x01", b"GET / HTTP/1.1\r\n",
    b"(", b")", b"{3}\r\n", b"{3+}\r\n", b"~{3+}\r\n", b"{4294967295+}\r\n", b",", b"1:*", b"$",
    b"[", b"(" * 300, b"1," * 300,
)  # fmt: skip


def mutated(random: Random, seeds: Sequence[Dialogue]) -> bytes:
    """One dialogue with one to six faults."""
    dialogue = list(random.choice(seeds))
    for _ in range(random.randint(1, 6)):
        change = random.choice(_CHANGES)
        change(random, dialogue, seeds)
        if not dialogue:
            dialogue.append(random.choice(random.choice(seeds)))
    return b"".join(dialogue)


def _swap(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    one, other = random.randrange(len(dialogue)), random.randrange(len(dialogue))
    dialogue[one], dialogue[other] = dialogue[other], dialogue[one]


def _double(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    where = random.randrange(len(dialogue))
    dialogue[where:where] = [dialogue[where]] * random.choice((1, 1, 2, 12))


def _drop(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    del dialogue[random.randrange(len(dialogue))]


def _borrow(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    dialogue.insert(random.randint(0, len(dialogue)), random.choice(random.choice(seeds)))


def _cut(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    where = random.randrange(len(dialogue))
    dialogue[where] = dialogue[where][: random.randint(0, len(dialogue[where]))]


def _change_octet(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    where = random.randrange(len(dialogue))
    line = bytearray(dialogue[where] or b"x")
    line[random.randrange(len(line))] = random.randrange(256)
    dialogue[where] = bytes(line)


def _insert(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    where = random.randrange(len(dialogue))
    line, at = dialogue[where], random.randint(0, len(dialogue[where]))
    dialogue[where] = line[:at] + random.choice(_NASTY) + line[at:]


def _change_case(random: Random, dialogue: Dialogue, seeds: Sequence[Dialogue]) -> None:
    where = random.randrange(len(dialogue))
    dialogue[where] = dialogue[where].swapcase()


_CHANGES: tuple[Callable[[Random, Dialogue, Sequence[Dialogue]], None], ...] = (
    _swap,
    _double,
    _drop,
    _borrow,
    _cut,
    _change_octet,
    _insert,
    _insert,
    _change_case,
)
