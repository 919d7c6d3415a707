"""Dovecot's imaptest scripts: their format, and playing one against a server.

The format is described in imaptest's ``scripted_test.md``. A script has a header, then
groups: a command (or several pipelined) with the untagged responses it must (``*``) or must
not (``!``) bring. Responses may come in any order. Variables are set by what matches first.
"""

from __future__ import annotations

import datetime
import mailbox
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.imap_talk import Talk, Tokens, tokens

_RESULT = re.compile(rb'(ok|no|bad|"")(?: (.*))?', re.IGNORECASE | re.DOTALL)
_ODDLY_NUMBERED = re.compile(rb"(1) (?=ok |no |bad )", re.IGNORECASE)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_STATES = ("nonauth", "auth", "created", "appended", "selected")


@dataclass(slots=True)
class Group:
    """One or more commands of one connection, and what is expected of them."""

    commands: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Tag (empty: any) and command."""
    wanted: list[bytes] = field(default_factory=list)
    banned: list[bytes] = field(default_factory=list)
    results: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    """Tag, result, prefix of what follows."""
    connection: int = 1
    line: int = 0


@dataclass(slots=True)
class Script:
    header: dict[str, str]
    groups: list[Group]
    messages: list[tuple[bytes, datetime.datetime | None]]

    @property
    def connections(self) -> int:
        return int(self.header.get("connections", "1"))

    @property
    def state(self) -> str:
        return self.header.get("state", "selected")

    @property
    def capabilities(self) -> set[str]:
        return set(self.header.get("capabilities", "").upper().split())


def load(path: Path) -> Script:
    header: dict[str, str] = {}
    lines = list(_logical_lines(path.read_bytes()))
    while lines and (match := re.fullmatch(rb"([a-z_]+): *(.*)", lines[0][1])):
        header[match[1].decode()] = match[2].decode()
        lines.pop(0)
    several = int(header.get("connections", "1")) > 1
    mbox = path.with_name(path.name + ".mbox")
    messages = _mbox(mbox if mbox.exists() else path.with_name("default.mbox"))
    return Script(header, list(_groups(lines, several)), messages)


def _logical_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and text; a ``{{{`` block becomes a literal, comments and blanks go."""
    at = number = 0
    while at < len(data):
        number = data.count(b"\n", 0, at) + 1
        row, at = _row(data, at)
        while row.endswith(b"{{{"):
            end = data.index(b"}}}", at)
            content = data[at:end].removesuffix(b"\n")
            if not row.endswith(b"~{{{"):  # binary content is taken as it stands
                content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            rest, at = _row(data, end + 3)
            row = row[:-3] + b"{%d}\r\n" % len(content) + content + rest
        if row.strip() and not row.startswith((b"#", b"!if", b"!else", b"!endif")):
            yield number, row


def _row(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    return data[at:end].rstrip(b"\r"), end + 1


def _groups(lines: list[tuple[int, bytes]], several: bool) -> Iterator[Group]:
    group = Group()
    for number, line in lines:
        if line.startswith(b"? "):
            continue  # may come or not
        if line.startswith((b"* ", b"! ")):
            (group.wanted if line.startswith(b"*") else group.banned).append(line[2:])
            continue
        connection = 1
        numbered = re.match(rb"(\d+) ", line) if several else _ODDLY_NUMBERED.match(line)
        if numbered:
            connection, line = int(numbered[1]), line[numbered.end() :]
        is_open = group.commands and len(group.results) < len(group.commands)
        if is_open and (result := _tagged_result(line, group)):
            group.results.append(result)
            continue
        if is_open:  # one more of a pipeline
            tag, _, command = line.partition(b" ")
            group.commands.append((tag, command))
            continue
        if group.commands:
            yield group
        group = Group(connection=connection, line=number)
        _begin(group, line)
    if group.commands:
        yield group


def _begin(group: Group, line: bytes) -> None:
    if (match := _RESULT.fullmatch(line)) and match[2]:
        group.commands.append((b"", match[2]))
        group.results.append((b"", match[1].lower(), b""))
    elif re.match(rb"tag\d* ", line):
        tag, _, command = line.partition(b" ")
        group.commands.append((tag, command))
    else:
        group.commands.append((b"", line))


def _tagged_result(line: bytes, group: Group) -> tuple[bytes, bytes, bytes] | None:
    tag = b""
    if group.commands[0][0]:
        tag, _, line = line.partition(b" ")
    match = _RESULT.fullmatch(line)
    return (tag, match[1].lower(), match[2] or b"") if match else None


def _mbox(path: Path) -> list[tuple[bytes, datetime.datetime | None]]:
    found = []
    for message in mailbox.mbox(path, create=False):
        content = message.as_bytes(policy=message.policy.clone(max_line_length=0))
        found.append((content, _date(message.get_from())))
    # The library's own reading re-folds; take the octets as they are instead.
    raw = re.split(rb"^From [^\n]*\n", path.read_bytes(), flags=re.MULTILINE)[1:]
    octets = [piece.replace(b"\r\n", b"\n") for piece in raw]
    dates = [date for _, date in found]
    if len(dates) != len(octets):
        dates = [None] * len(octets)
    return [(o.replace(b"\n", b"\r\n"), d) for o, d in zip(octets, dates, strict=True)]


def _date(line: str) -> datetime.datetime | None:
    text = line.partition(" ")[2].strip()
    for pattern in ("%a %b %d %H:%M:%S %Y %z", "%a %b %d %H:%M:%S %Y"):
        try:
            date = datetime.datetime.strptime(text, pattern)
        except ValueError:
            continue
        return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    return None


class Mismatch(AssertionError):
    pass


class Player:
    """Plays a script with as many connections as it has; ``close`` it afterwards."""

    def __init__(
        self, script: Script, address: str, port: int, user: str, password: str, box: str
    ) -> None:
        self._script = script
        self._user, self._password = user, password
        self._talks = [Talk(address, port) for _ in range(script.connections)]
        self._next = 0
        self._tag = 0
        self.variables: dict[str, bytes] = {
            "mailbox": box.encode(),
            "mailbox_url": box.encode(),
            "user": user.encode(),
            "username": user.partition("@")[0].encode(),
            "domain": user.partition("@")[2].encode(),
            "password": password.encode(),
        }
        self._numbers: list[list[int]] = [[] for _ in self._talks]
        """By connection: the number at the beginning of the group of each message now there."""

    def close(self) -> None:
        for talk in self._talks:
            talk.close()

    def capabilities(self) -> set[str]:
        talk = self._talks[0]
        if self._script.state != "nonauth":
            self._log_in(talk)
        untagged, _ = talk.command(b"CAPABILITY", b"cap")
        line = next(line for line in untagged if line.upper().startswith(b"CAPABILITY"))
        return set(line.decode().upper().split())

    def prepare(self) -> None:
        """Bring every connection into the script's state. The first one is logged in."""
        reached = _STATES.index(self._script.state)
        for talk in self._talks[1:]:
            if reached >= 1:
                self._log_in(talk)
        first, box = self._talks[0], self.variables["mailbox"]
        if reached >= 1:
            self._delete_boxes(first, box)
        if reached >= 2:
            self._must(first, b"CREATE " + box)
        if reached >= 3:
            for _ in range(self._message_count()):
                self._must(first, b"APPEND " + box + self._next_message())
        if reached >= 4:
            for talk in self._talks:
                self._must(talk, b"SELECT " + box)

    def play(self) -> None:
        for group in self._script.groups:
            try:
                self._play(group)
            except Mismatch as mismatch:
                raise AssertionError(f"line {group.line}: {mismatch}") from None

    def _message_count(self) -> int:
        wanted = self._script.header.get("messages", "all")
        return len(self._script.messages) if wanted == "all" else int(wanted)

    def _next_message(self) -> bytes:
        messages = self._script.messages
        content, date = messages[self._next % len(messages)]
        self._next += 1
        when = b"" if date is None else date.strftime(' "%d-%b-%Y %H:%M:%S %z"').encode()
        return when + b" {%d}\r\n" % len(content) + content

    def _log_in(self, talk: Talk) -> None:
        self._must(talk, f'LOGIN "{self._user}" "{self._password}"'.encode())

    def _must(self, talk: Talk, command: bytes) -> list[bytes]:
        untagged, tagged = talk.command(command, b"prep")
        assert tagged.upper().startswith(b"OK"), (command[:80], tagged)
        return untagged

    def _delete_boxes(self, talk: Talk, box: bytes) -> None:
        found = [tokens(line) for line in self._must(talk, b'LIST "" ' + box + b"*")]
        names = [line[-1] for line in found if line and line[0].upper() == b"LIST"]
        for name in sorted(names, key=len, reverse=True):
            talk.command(b'UNSUBSCRIBE "' + name + b'"', b"prep")
            talk.command(b'DELETE "' + name + b'"', b"prep")

    def _play(self, group: Group) -> None:
        talk = self._talks[group.connection - 1]
        tags = []
        for tag, command in group.commands:
            self._tag += 1
            tags.append(tag or b"t%d" % self._tag)
            self.variables["tag"] = tags[-1]
            talk.send_with_literals(tags[-1] + b" " + self._command(command))
        untagged: list[bytes] = []
        tagged: dict[bytes, bytes] = {}
        for tag in tags:
            more, tagged[tag] = talk.until(tag)
            untagged += more
        for tag, result, prefix in group.results:
            self._check_tagged(tagged[tag or tags[0]], result, prefix)
        self._check_untagged(untagged, group)

    def _command(self, command: bytes) -> bytes:
        words = command.split(b" ", 1)
        if words[0].lower() == b"append" and not _LITERAL.search(command):
            box = words[1] if len(words) > 1 else b"$mailbox"
            head = self._expand(b"append " + box)
            return head + self._next_message()
        made, at = b"", 0
        while match := _LITERAL.search(command, at):
            end = match.end() + int(match[1])
            made += self._expand(command[at : match.start()]) + command[match.start() : end]
            at = end
        return made + self._expand(command[at:])

    def _expand(self, text: bytes) -> bytes:
        def value(match: re.Match[bytes]) -> bytes:
            if match[0] == b"$$":
                return b"$"
            name = (match[1] or match[2]).decode()
            if name.isdigit():
                return name.encode()
            if name not in self.variables:
                raise Mismatch(f"${name} has no value yet")
            return self.variables[name]

        return re.sub(rb"\$\$|\$\{(\w+)\}|\$(\w+)", value, text)

    def _check_tagged(self, got: bytes, result: bytes, prefix: bytes) -> None:
        if result != b'""' and not got.lower().startswith(result):
            raise Mismatch(f"expected {result!r}, got {got!r}")
        if prefix:
            matching = Matching(self.variables, {})
            if not matching.top(tokens(prefix), tokens(got)[1:]):
                raise Mismatch(f"expected {prefix!r}, got {got!r}")
            self.variables.update(matching.found)

    def _check_untagged(self, untagged: list[bytes], group: Group) -> None:
        received = list(_numbered(untagged))
        for expected in group.wanted:
            for got, original in received:
                matching = Matching(self.variables, original)
                if matching.top(tokens(expected), got):
                    self.variables.update(matching.found)
                    break
            else:
                raise Mismatch(f"no {expected!r} among {untagged!r}")
        for banned in group.banned:
            for got, original in received:
                if Matching(self.variables, original).top(tokens(banned), got):
                    raise Mismatch(f"{banned!r} must not be among {untagged!r}")


def _numbered(untagged: list[bytes]) -> Iterator[tuple[Tokens, Mapping[int, int]]]:
    """Each response, and which number now stands for which at the beginning of the group."""
    numbers = list(range(1, 1000))
    for line in untagged:
        got = tokens(line)
        yield got, dict(enumerate(numbers, 1))
        if len(got) > 1 and isinstance(got[1], bytes) and got[1].upper() == b"EXPUNGE":
            del numbers[int(got[0]) - 1]  # type: ignore[arg-type]


class Matching:
    """One try to match; ``found`` has the variables that it sets, to be kept when it holds."""

    def __init__(self, known: Mapping[str, bytes], original: Mapping[int, int]) -> None:
        self._known = known
        self._original = original
        self.found: dict[str, bytes] = {}

    def top(self, expected: Tokens, got: Tokens) -> bool:
        """A whole response: what is expected may be only its beginning."""
        if len(got) < len(expected):
            return False
        name = _name_of(expected)
        # The first list of a LIST are attributes, of a FETCH items, of a STATUS counts.
        return all(
            self._one(e, g, _default(name, index))
            for index, (e, g) in enumerate(zip(expected, got, strict=False))
        )

    def _one(self, expected: bytes | Tokens, got: bytes | Tokens, rule: str) -> bool:
        if expected == b"$":
            return True
        if isinstance(expected, list):
            return isinstance(got, list) and self._list(expected, got, rule)
        return isinstance(got, bytes) and self._atom(expected, got)

    def _list(self, expected: Tokens, got: Tokens, rule: str) -> bool:
        directives = [e for e in expected if isinstance(e, bytes) and e.startswith(b"$!")]
        rest = [e for e in expected if not (isinstance(e, bytes) and e.startswith(b"$!"))]
        chain, extra, ignored, ban = _rules(directives, rule)
        if not chain:
            return len(rest) == len(got) and all(
                self._one(e, g, "") for e, g in zip(rest, got, strict=True)
            )
        left = [got[at : at + chain] for at in range(0, len(got), chain)]
        for at in range(0, len(rest), chain):
            wanted = rest[at : at + chain]
            hit = next((piece for piece in left if self._chain(wanted, piece)), None)
            if hit is None:
                return False
            left.remove(hit)
        names = [piece[0].lower() for piece in left if isinstance(piece[0], bytes)]
        if any(name in ban for name in names):
            return False
        return extra or all(name in ignored for name in names)

    def _chain(self, expected: Tokens, got: Tokens) -> bool:
        before = dict(self.found)
        rule = "flags" if expected[0] in (b"flags", b"FLAGS") else ""
        if len(expected) == len(got) and all(
            self._one(e, g, rule) for e, g in zip(expected, got, strict=True)
        ):
            return True
        self.found = before
        return False

    def _atom(self, expected: bytes, got: bytes) -> bool:
        if match := re.fullmatch(rb"\$(\d+)", expected):
            return got.isdigit() and self._original.get(int(got)) == int(match[1])
        pattern, names = b"", []
        for piece in re.split(rb"(\$\$|\$\{case:[^}]*\}|\$\{\w+\}|\$\w+)", expected):
            if piece == b"$$":
                pattern += rb"\$"
            elif piece.startswith(b"$") and len(piece) > 1:
                name = piece.strip(b"${}").decode()
                value = self.found.get(name, self._known.get(name))
                if value is None and name in names:
                    pattern += b"(?P=%s)" % name.encode()
                elif value is None:
                    names.append(name)
                    pattern += b"(?P<%s>.*?)" % name.encode()
                else:
                    pattern += re.escape(value)
            else:
                pattern += re.escape(piece)
        match2 = re.fullmatch(pattern, got, re.IGNORECASE | re.DOTALL)
        if match2 is None:
            return False
        self.found.update({name: match2[name] for name in names})
        return True


def _name_of(response: Tokens) -> str:
    words = [word for word in response[:2] if isinstance(word, bytes)]
    word = words[1] if len(words) > 1 and words[0].strip(b"$").isdigit() else words[0]
    return word.decode("ascii", "replace").lower()


def _default(name: str, index: int) -> str:
    defaults = {("fetch", 2): "chain2", ("list", 1): "any", ("lsub", 1): "any"}
    return defaults.get((name, index), "chain2" if (name, index) == ("status", 2) else "")


def _rules(directives: list[bytes], rule: str) -> tuple[int, bool, set[bytes], set[bytes]]:
    """Length of a chain (0: ordered), whether more may be there, what may and may not."""
    chain = {"chain2": 2, "any": 1, "flags": 1}.get(rule, 0)
    extra, ignored, ban = rule != "flags", {b"\\recent"} if rule == "flags" else set(), set()
    if directives:
        chain, extra, ignored = 0, True, set()
    for directive in directives:
        word, _, value = directive[2:].lower().partition(b"=")
        if word == b"unordered":
            chain = int(value or b"1")
        elif word == b"noextra":
            extra = False
        elif word == b"extra":
            extra, chain = True, chain or 1
        elif word == b"ignore":
            ignored.add(value)
        elif word == b"ban":
            ban.add(value)
    return chain, extra, ignored, ban
