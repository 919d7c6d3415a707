"""Each example in a whole server, named in the configuration as its page says."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.testing.memory_server import MemoryServer
from mailframe.testing.memory_settings import IP, PORTS
from mailframe.testing.network.talk import dial

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "examples"
ANN = "ann@example.test"
USERS = {ANN: "directory"}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    # No reactor runs here: what they do on a thread is done at once.
    monkeypatch.setattr("twisted.internet.threads.deferToThread", _at_once)
    before = set(sys.modules)
    yield importlib.import_module
    for name in {path.stem for path in EXAMPLES.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    from twisted.internet.defer import maybeDeferred

    return maybeDeferred(function, *arguments)


def pop3(mail: MemoryServer, user: str, password: str) -> str:
    async def converse() -> str:
        wire = await dial(mail._host("203.0.113.77").reactor, IP, PORTS["pop3"], 60.0)
        await wire.line()
        wire.send(f"USER {user}\r\n".encode())
        await wire.line()
        wire.send(f"PASS {password}\r\n".encode())
        answer = await wire.line()
        wire.close()
        return str(answer.decode())

    found: str = mail.wait(converse)
    return found


def test_passwords_of_a_file(example: Callable[[str], Any], tmp_path: Path) -> None:
    hashed = example("scrypt_file").hashed(b"of the file", b"s" * 16)
    Path("passwords").write_text(f"{ANN}:{(b's' * 16).hex()}:{hashed.hex()}\n")
    with MemoryServer(users=USERS, config={"apps": ["scrypt_file:app"]}) as mail:
        assert pop3(mail, ANN, "of the file").startswith("+OK")
        assert pop3(mail, ANN, "wrong").startswith("-ERR [AUTH]")


def test_accounts_of_a_file(example: Callable[[str], Any]) -> None:
    person = {"password": "secret", "aliases": ["sales@example.test"]}
    Path("people.json").write_text(json.dumps({"bob@example.test": person}))
    with MemoryServer(config={"apps": ["json_people:app"]}) as mail:
        assert mail.send("x@far.test", "sales@example.test", "hello").code == 250
        assert mail.send("x@far.test", "nobody@example.test", "hello").code == 550
        mail.run_deliveries()
        assert [each.text.strip() for each in mail.inbox("bob@example.test")] == ["hello"]
        assert pop3(mail, "bob@example.test", "secret").startswith("+OK")
        Path("people.json").write_text("{")
        assert mail.send("x@far.test", "nobody2@example.test", "hello").code == 451


def test_who_has_left(example: Callable[[str], Any]) -> None:
    with MemoryServer(
        users=USERS, config={"routing": {"resolvers": ["departed:Departed"]}}
    ) as mail:
        moved = mail.send("x@far.test", "cy@example.test", "hello")
        assert (moved.code, "cy@elsewhere.example" in moved.text) == (551, True)
        assert mail.send("x@far.test", "dan@example.test", "hello").code == 550
        assert mail.send("x@far.test", ANN, "hello").code == 250


def test_partners(example: Callable[[str], Any]) -> None:
    module = example("partners")
    module.MINE = module.Partners(["partner.test"])
    dns = {"_dmarc.partner.test": "v=DMARC1; p=none", "partner.test": "v=spf1 -all"}
    order = ["spf", "dkim", "dmarc", "partners:MINE"]
    with MemoryServer(users=USERS, config={"policy": {"order": order}}, dns=dns) as mail:
        forged = mail.send("x@partner.test", ANN, "hello")
        assert (forged.code, forged.status) == (550, "5.7.26")
        assert mail.send("x@partner.test", ANN, "hello", dkim="partner.test").code == 250
        assert mail.send("x@other.test", ANN, "hello").code == 250


def test_a_folder_for_another_program(example: Callable[[str], Any], tmp_path: Path) -> None:
    config = {
        "couriers": {
            "drop": {"class": "drop_folder:DropFolder", "options": {"folder": str(tmp_path)}}
        },
        "routes": {"scans.test": "drop:"},
        "relay": {"networks": ["203.0.113.0/24"]},
    }
    with MemoryServer(config=config) as mail:
        answer = mail.send("x@far.test", "a@scans.test", "hello", ip="203.0.113.7")
        mail.run_deliveries()
        (file,) = tmp_path.glob("*.eml")
        assert answer.code == 250
        assert file.name == f"{answer.id}.eml"
        assert b"hello" in file.read_bytes()
        assert mail.queue() == []


def test_a_filter_of_words(example: Callable[[str], Any]) -> None:
    config = {"policy": {"content": {"filter": "word_filter:WordFilter"}}}
    with MemoryServer(users=USERS, config=config) as mail:
        assert mail.send("x@far.test", ANN, "hello").code == 250


def test_steps_as_json(example: Callable[[str], Any], tmp_path: Path) -> None:
    with MemoryServer(users=USERS, config={"journal": {"sinks": ["json_steps:JsonSteps"]}}) as mail:
        answer = mail.send("x@far.test", ANN, "hello")
        mail.run_deliveries()
        mail.advance(5)
        told = [json.loads(line) for line in Path("steps.jsonl").read_text().splitlines()]
        steps = [each["step"] for each in told if each["id"] == answer.id]
        assert {"accept", "deliver"} <= set(steps)
