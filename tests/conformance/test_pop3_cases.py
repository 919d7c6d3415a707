"""The public POP3 cases (suite 05-pop3), each against the whole server in memory.

A case is a list of commands and a list of what is expected, in words; the words are matched
to checks by ``CHECKS``, by case and position.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.servers.pop3_house import Client, House

SUITES = Path(
    os.environ.get("MAILFRAME_SUITES") or Path(__file__).resolve().parents[3] / "shared" / "suites"
)
FILE = SUITES / "05-pop3" / "pop3-cases.json"
SUITE: dict[str, Any] = (
    json.loads(FILE.read_text()) if FILE.exists() else {"cases": [], "mailbox": {}}
)
CASES = {case["id"]: case for case in SUITE["cases"]}

pytestmark = pytest.mark.skipif(not CASES, reason="the public suite 05-pop3 is not at hand")

Check = Callable[[bytes, House], bool]


def ok(answer: bytes, house: House) -> bool:
    return answer.startswith(b"+OK")


def err(answer: bytes, house: House) -> bool:
    return answer.startswith(b"-ERR")


def either(answer: bytes, house: House) -> bool:
    return ok(answer, house) or err(answer, house)


def lines(answer: bytes) -> list[bytes]:
    assert answer.startswith(b"+OK"), answer
    assert answer.endswith(b"\r\n.\r\n"), answer
    return answer.split(b"\r\n")[1:-2]


def content(answer: bytes) -> bytes:
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines(answer))


def left(count: int) -> Check:
    return lambda answer, house: len(lines(answer)) == count


def exactly(octets: bytes) -> Check:
    return lambda answer, house: content(answer) == octets


def message(number: int) -> bytes:
    return SUITE["mailbox"].get(str(number), "").encode() if SUITE["mailbox"] else b""


def sizes(answer: bytes, house: House) -> bool:
    expected = [b"1 %d" % len(message(1)), b"2 %d" % len(message(2))]
    return lines(answer) == expected


def distinct(answer: bytes, house: House) -> bool:
    return len({line.split()[1] for line in lines(answer)}) == 2


def first_uid(answer: bytes, house: House) -> bool:
    return answer == b"+OK 1 uid1\r\n"


def both(answer: bytes, house: House) -> bool:
    return answer == b"+OK 2 %d\r\n" % (len(message(1)) + len(message(2)))


def dotted(answer: bytes, house: House) -> bool:
    return b"\r\n..\r\n" in answer and content(answer) == message(2)


HEAD_2 = message(2).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

CHECKS: dict[str, list[Check]] = {
    "invalid-auth": [either, err],
    "empty": [ok, left(0), left(0), lambda a, h: a == b"+OK 0 0\r\n"],
    "list": [
        ok,
        sizes,
        lambda a, h: a == b"+OK 1 %d\r\n" % len(message(1)),
        err,
        distinct,
        first_uid,
        err,
    ],
    "retr": [ok, exactly(message(1)), err, ok, err],
    "retr-dot": [ok, dotted],
    "top": [
        ok,
        exactly(message(1)),
        exactly(HEAD_2 + b"My Body with a DOT.\r\n"),
        exactly(HEAD_2),
        err,
        ok,
        err,
    ],
    "dele": [ok, ok, left(1), err, ok, left(0), ok, ok, left(0)],
    "dele-no-quit": [ok, ok, lambda a, h: a == b"", ok, left(2)],
    "rset": [ok, ok, left(0), ok, left(1)],
    "stat": [ok, both],
    "state": [err] * 8,
}


class Player:
    """Plays the commands of a case; the words in it that are no commands are acted out."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client: Client = house.client()

    def play(self, command: str) -> bytes:
        if command == "LOGIN":
            self.client.say("USER ann")
            return self.client.say("PASS secret")
        if command == "drop TCP":
            self.client.hang_up()
            return b""
        if command == "reconnect":
            self.client.hang_up()
            self.client = self.house.client()
            return self.play("LOGIN")
        return self.client.say(command)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"apop"}))
def test_case(name: str) -> None:
    case = CASES[name]
    house = House(*(message(number) for number in case["mailbox"]), limits={"errors": 0})
    player = Player(house)
    for command, check in zip(case["do"], CHECKS[name], strict=True):
        answer = player.play(command)
        assert check(answer, house), f"{command}: {answer!r}"


def test_apop() -> None:
    assert "apop" in CASES
    house = House(mechanisms=["PLAIN", "APOP"])
    client = house.client()
    stamp = client.greeting.rstrip()[client.greeting.index(b"<") :]
    left_part, _, host = stamp.strip(b"<>").partition(b"@")
    assert host == b"mail.example.test"
    assert all(part.isdigit() for part in left_part.split(b"."))
    assert client.say("APOP invalid invalid").startswith(b"-ERR")
    digest = hashlib.md5(stamp + b"secret").hexdigest()
    assert client.say(f"APOP ann {digest}").startswith(b"+OK")


def test_every_case_is_known() -> None:
    assert set(CASES) == {*CHECKS, "apop"}
