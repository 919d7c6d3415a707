"""What an IMAP server says of an account, from outside, and what may never change of it."""

from __future__ import annotations

import base64
import imaplib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_ITEM = re.compile(rb'UID (\d+)|FLAGS \(([^)]*)\)|INTERNALDATE "([^"]+)"|RFC822\.SIZE (\d+)')
_LIST = re.compile(rb'\(([^)]*)\) (?:"(.)"|NIL) (.*)')


@dataclass(frozen=True, slots=True)
class Message:
    flags: frozenset[str]
    date: str
    size: int


@dataclass(frozen=True, slots=True)
class Folder:
    uid_validity: int
    uid_next: int
    messages: dict[int, Message]


def utf7(name: str) -> str:
    """Modified UTF-7 (RFC 3501 section 5.1.3)."""

    def shift(found: re.Match[str]) -> str:
        coded = base64.b64encode(found[0].encode("utf-16be")).decode()
        return "&" + coded.rstrip("=").replace("/", ",") + "-"

    return re.sub(r"[^\x20-\x7e]+", shift, name.replace("&", "&-"))


def quoted(name: str) -> str:
    return '"' + utf7(name) + '"'


def ask(client: imaplib.IMAP4, command: str, *words: Any) -> list[Any]:
    """A command that must succeed; what it says beside, as imaplib has it."""
    status, answer = getattr(client, command)(*words)
    assert status == "OK", (command, words, answer)
    found: list[Any] = answer
    return found


def number(client: imaplib.IMAP4, code: str) -> int:
    """Of the response code of the SELECT just done."""
    said: list[Any] | None = client.untagged_responses.get(code)
    assert said, code
    return int(said[-1])


def folder_names(client: imaplib.IMAP4, command: str = "list") -> set[str]:
    """In modified UTF-7, ``/`` between the levels; ``lsub`` for those subscribed to."""
    found = set()
    for line in ask(client, command):
        if not line:
            continue
        matched = _LIST.fullmatch(line)
        assert matched, line
        flags, separator, name = matched.groups()
        is_there = b"\\noselect" not in flags.lower() and b"\\nonexistent" not in flags.lower()
        if is_there or command == "lsub":
            found.add(name.strip(b'"').decode().replace(separator.decode(), "/"))
    return found


def folder(client: imaplib.IMAP4, coded_name: str) -> Folder:
    """It is examined."""
    ask(client, "select", f'"{coded_name}"', "readonly")  # imaplib: anything true
    validity, following = number(client, "UIDVALIDITY"), number(client, "UIDNEXT")
    found = {}
    for line in ask(client, "uid", "FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE)"):
        if not line:
            continue
        said = [next(filter(None, groups), b"") for groups in _ITEM.findall(line)]
        values = dict(zip(re.findall(rb"UID|FLAGS|INTERNALDATE|SIZE", line), said, strict=True))
        flags = frozenset(values[b"FLAGS"].decode().split()) - {"\\Recent"}
        date = values[b"INTERNALDATE"].decode().strip().zfill(26)
        found[int(values[b"UID"])] = Message(flags, date, int(values[b"SIZE"]))
    return Folder(validity, following, found)


def message_ids(client: imaplib.IMAP4) -> dict[int, str]:
    """Of the selected folder, by uid."""
    found: dict[int, str] = {}
    fetched = ask(client, "uid", "FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    for item in fetched:
        if isinstance(item, tuple):
            matched = re.search(rb"UID (\d+)", item[0])
            assert matched
            found[int(matched[1])] = item[1].partition(b":")[2].strip().decode()
    return found


@dataclass(slots=True)
class Memory:
    """A client that remembers everything that it was ever told, as an offline client does.

    (UIDVALIDITY, UIDNEXT) of a name never go back, and whatever a uid once was it is for ever.
    """

    numbers: dict[str, tuple[int, int]] = field(default_factory=dict)
    messages: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def look(self, client: imaplib.IMAP4, names: Iterable[str] = ()) -> dict[str, dict[int, str]]:
        """Message-IDs by folder and uid."""
        found = {}
        for name in sorted(names or folder_names(client)):
            ask(client, "select", f'"{name}"', "readonly")
            validity, following = number(client, "UIDVALIDITY"), number(client, "UIDNEXT")
            before = self.numbers.get(name, (0, 0))
            assert (validity, following) >= before, (name, before, (validity, following))
            self.numbers[name] = (validity, following)
            found[name] = message_ids(client)
            for uid, message_id in found[name].items():
                assert uid < following, (name, uid, following)
                self.remember(name, validity, uid, message_id)
        return found

    def remember(self, name: str, validity: int, uid: int, message_id: str) -> None:
        was = self.messages.setdefault((name, validity, uid), message_id)
        assert was == message_id, f"{name}: {validity}/{uid} was {was}, is {message_id}"
