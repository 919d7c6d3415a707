"""The mailbox of dictionaries in a whole server, by POP3 and IMAP, and without ``search``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.testing.memory_server import MemoryServer
from mailframe.testing.memory_settings import IP, PORTS
from mailframe.testing.network.talk import dial

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "examples"
ANN = "ann@example.test"
TEXT = "the minutes of the meeting"
ADDED = {"SORT", "SORT=DISPLAY", "ESORT", "THREAD=REFERENCES", "THREAD=REFS"}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("dict_mailbox")
    sys.modules.pop("dict_mailbox")


@pytest.fixture
def mail(example: Any) -> Iterator[MemoryServer]:
    with MemoryServer(config={"realm": {"class": "dict_mailbox:Realm"}}) as server:
        assert server.send("bob@far.test", ANN, TEXT, subject="Zebra").code == 250
        assert server.send("cy@far.test", ANN, "nothing", subject="Apple").code == 250
        server.run_deliveries()
        yield server


def without_search(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if its author had left the method out."""
    monkeypatch.setattr(example, "Folder", type("Folder", (example.MappedFolder,), {}))


def imap(mail: MemoryServer, *commands: str) -> list[str]:
    """What the server says to each, the untagged lines and the tagged one."""

    async def converse() -> list[str]:
        wire = await dial(mail._host("203.0.113.77").reactor, IP, PORTS["imap"], 60.0)
        said = [(await wire.line()).decode()]
        for number, command in enumerate(commands):
            tag = f"t{number}".encode()
            wire.send(tag + b" " + command.encode() + b"\r\n")
            heard = [await wire.line()]
            while not heard[-1].startswith(tag + b" "):
                heard.append(await wire.line())
            said.append(b"\n".join(heard).decode())
        wire.close()
        return said

    found: list[str] = mail.wait(converse)
    return found[1:]


LOGIN = f"LOGIN {ANN} secret"


def capabilities(answer: str) -> set[str]:
    return set(answer.split("* CAPABILITY ")[1].splitlines()[0].split())


def test_imap_sorts_searches_and_threads(mail: MemoryServer) -> None:
    _, offered, _, found, ordered, threads, text = imap(
        mail,
        LOGIN,
        "CAPABILITY",
        "SELECT INBOX",
        f'SEARCH BODY "{TEXT}"',
        "SORT (SUBJECT) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "FETCH 1 BODY[TEXT]",
    )
    assert capabilities(offered) >= ADDED
    assert "* SEARCH 1" in found
    assert "* SORT 2 1" in ordered
    assert "* THREAD (1)(2)" in threads
    assert TEXT in text


def test_without_search_the_capability_is_gone_and_the_service_is_not(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_search(example, monkeypatch)
    with MemoryServer(config={"realm": {"class": "dict_mailbox:Realm"}}) as server:
        server.send("bob@far.test", ANN, TEXT)
        server.send("bob@far.test", ANN, "nothing")
        server.run_deliveries()
        _, offered, selected, found, ordered = imap(
            server,
            LOGIN,
            "CAPABILITY",
            "SELECT INBOX",
            f'SEARCH BODY "{TEXT}"',
            "SORT (SUBJECT) UTF-8 ALL",
        )
    assert not capabilities(offered) & ADDED
    assert {"ESEARCH", "SEARCHRES", "IDLE", "MOVE", "CONDSTORE"} <= capabilities(offered)
    assert "t2 OK" in selected
    assert "* SEARCH 1" in found
    assert "t4 BAD" in ordered


def test_folders_flags_and_append(mail: MemoryServer) -> None:
    said = imap(
        mail,
        LOGIN,
        "CREATE Work/2026",
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Seen $Mine)",
        "MOVE 1 Work/2026",
        'LIST "" *',
        "STATUS Work/2026 (MESSAGES UNSEEN)",
        "SELECT Work/2026",
        "FETCH 1 (FLAGS RFC822.SIZE)",
        "STORE 1 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "STATUS INBOX (MESSAGES)",
    )
    assert all(f"t{number} OK" in answer for number, answer in enumerate(said)), said
    assert '"Work"' in said[5] or " Work" in said[5]
    assert "MESSAGES 1 UNSEEN 0" in said[6]
    assert "$Mine" in said[8]
    assert "* 1 EXPUNGE" in said[10]
    assert "MESSAGES 1" in said[11]


def test_pop3_serves_the_same_mail(mail: MemoryServer) -> None:
    async def converse() -> list[bytes]:
        wire = await dial(mail._host("203.0.113.77").reactor, IP, PORTS["pop3"], 60.0)
        await wire.line()
        said = []
        for command in (f"USER {ANN}", "PASS secret", "STAT"):
            wire.send(command.encode() + b"\r\n")
            said.append(await wire.line())
        wire.send(b"RETR 1\r\n")
        said.append(await wire.until(b"\r\n.\r\n"))
        for command in ("DELE 1", "QUIT"):
            wire.send(command.encode() + b"\r\n")
            said.append(await wire.line())
        wire.close()
        return said

    said = mail.wait(converse)
    assert all(each.startswith(b"+OK") for each in said), said
    assert said[2].startswith(b"+OK 2 ")
    assert TEXT.encode() in said[3]
    assert "MESSAGES 1" in imap(mail, LOGIN, "STATUS INBOX (MESSAGES)")[1]


def test_who_is_not_there_is_refused_at_rcpt(mail: MemoryServer) -> None:
    answer = mail.send("bob@far.test", "nobody@example.test", "x")
    assert (answer.code, answer.status) == (550, "5.1.1")
