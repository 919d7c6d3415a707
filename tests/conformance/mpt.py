"""Apache James' MPT scripts: their format, and whether a server's responses agree with one.

A script is a dialogue of ``C:`` lines and of ``S:`` lines, the latter regular expressions for
whole lines. Here the ``S:`` lines of one response are put together and compared as data:

- a tagged response by tag and status, and by READ-ONLY or READ-WRITE where one is written;
- an untagged OK by its code alone; one without a code, a BYE, ID and CAPABILITY by being there;
- EXPUNGE by the message that is gone, whatever the order;
- all else by its tokens: quoted or literal is the same, flags, rights and the pairs of FETCH,
  STATUS and METADATA have no order, words of a body structure no case.

Every expected response needs one of its own. Of those that nobody asked for only ``UNASKED``
are let pass: one EXPUNGE, FETCH or LIST too many is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.imap_talk import Tokens, tokens

UNASKED = re.compile(r"\* (?:OK|CAPABILITY|FLAGS|\d+ RECENT)\b")
"""What a server may always add."""

_ANY, _NUMBER = "\x00", "\x01"
_WILD = re.compile(rf"[{_ANY}{_NUMBER}]")
_OPTIONAL = re.compile(r"(?<!\\)\(((?:[^()\\]|\\.)*)\)\?")
_EITHER = re.compile(r"(?<!\\)\(((?:[^()\\]|\\.)*\|(?:[^()\\]|\\.)*)\)")


@dataclass(slots=True)
class Exchange:
    """What a client says in one go, and what must be answered."""

    session: int
    fresh: bool = False
    """On a connection of its own (``REINIT``)."""
    line: int = 0
    """Where in the script it starts."""
    said: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    """Lines, as they stand in the script."""
    pause: float = 0.0  # seconds before it

    def responses(self) -> list[str]:
        """The wanted lines put together to whole responses (patterns with CRLF)."""
        found: list[str] = []
        for line in self.wanted:
            if not found or _starts_response(line):
                found.append(line)
            else:
                found[-1] += "\r\n" + line
        return found


def read(path: Path) -> Iterator[Exchange]:
    session, fresh, pause = 1, False, 0.0
    exchange: Exchange | None = None
    for number, row in enumerate(path.read_text("latin-1").splitlines(), 1):
        sort, text = row[:2], row[3:] if row[2:3] == " " else row[2:]
        if row.startswith(("SESSION:", "REINIT", "WAIT ")):
            if exchange:
                yield exchange
            exchange = None
            session = int(row[8:]) if row.startswith("SESSION:") else session
            pause = int(row[5:]) / 1000 if row.startswith("WAIT ") else pause
            fresh = row.startswith("REINIT") or fresh
        elif sort in ("C:", "S:"):
            if exchange and sort == "C:" and exchange.wanted:
                yield exchange
                exchange = None
            if exchange is None:
                exchange = Exchange(session, fresh, number, pause=pause)
                fresh, pause = False, 0.0
            (exchange.said if sort == "C:" else exchange.wanted).append(text)
        elif row.strip() and not row.startswith(("#", "SUB {", "}", "LOG ", "AWAIT")):
            raise ValueError(f"{path.name}:{number}: {row!r} is no MPT")
    if exchange:
        yield exchange


def _starts_response(line: str) -> bool:
    return re.match(r"\\[*+] |\.\*$|[A-Za-z0-9.]+ (?:OK|NO|BAD)\b", line) is not None


def tag_of(response: str) -> str:
    """The tag of a tagged response (of a pattern too); empty for any other."""
    match = re.match(r"([^ *+\\]\S*) (?:OK|NO|BAD)\b", response)
    return match[1] if match else ""


def faults(wanted: Sequence[str], got: Sequence[str], *, loose_rights: bool) -> list[str]:
    """What is wrong with the responses: nothing, when they agree."""
    wanted, left = _in_one_order(wanted), _in_one_order(got)
    wrong = []
    for pattern in wanted:
        for response in left:
            if agrees(pattern, response, loose_rights=loose_rights):
                left.remove(response)
                break
        else:
            wrong.append(f"not there: {pattern!r}")
    wrong += [f"too much: {response!r}" for response in left if not UNASKED.match(response)]
    return wrong


def _in_one_order(lines: Sequence[str]) -> list[str]:
    """With the numbers of EXPUNGE as they were before the first of them: the same messages may
    be told to be gone from first to last or from last to first."""
    gone: list[int] = []
    found = []
    for line in lines:
        match = re.fullmatch(r"(\\?\* )(\d+) EXPUNGE", line)
        if match:
            number = int(match[2])
            for before in sorted(gone):
                number += before <= number
            gone.append(number)
            line = f"{match[1]}{number} EXPUNGE"
        found.append(line)
    return found


def agrees(pattern: str, response: str, *, loose_rights: bool = False) -> bool:
    if pattern == ".*":
        return True
    if tag := tag_of(pattern):
        wanted, given = _status(pattern), _status(response)
        return tag == tag_of(response) and wanted[0] == given[0] and wanted[1] in ("", given[1])
    if pattern.startswith(r"\+"):
        return response.startswith("+")
    for one in _expanded(pattern):
        if _status(one)[0] or re.match(r"\\\* (?:ID|CAPABILITY)\b", one):
            if _state_agrees(one, response):
                return True
        elif re.fullmatch(one, _name_quoted(response)) or _data_agrees(one, response, loose_rights):
            return True
    return False


def _status(text: str) -> tuple[str, str]:
    match = re.match(r"\S+ (OK|NO|BAD|BYE|PREAUTH)\b(?: \\?\[(READ-ONLY|READ-WRITE))?", text)
    return (match[1], match[2] or "") if match else ("", "")


def _state_agrees(pattern: str, response: str) -> bool:
    wanted, given = _plain(pattern).split(" ", 2), response.split(" ", 2)
    if wanted[:2] != given[:2]:
        return False
    if wanted[1] != "OK" or not wanted[2].startswith("["):
        return True
    return _is(_code(wanted[2]), _code(given[2]))


def _code(text: str) -> bytes:
    code = text[1:].partition("]")[0]
    name, _, value = code.partition(" ")
    # RFC 7162 section 3.1.2, RFC 9051 section 2.3.1.1: what numbers they are is the server's.
    if name in ("HIGHESTMODSEQ", "UIDVALIDITY"):
        value = "1"
    return name.encode() + b" " + _canonical(tokens(value.encode("latin-1")))


def _name_quoted(response: str) -> str:
    return re.sub(r"^(\* METADATA) ([^\" ]+)", r'\1 "\2"', response)


def _data_agrees(pattern: str, response: str, loose_rights: bool) -> bool:
    if match := re.match(r"(\\\* \d+ FETCH \\\()\.\*(?=[A-Z])", pattern):
        return _holds(match[1] + pattern[match.end() :], response)
    one, other = (_tree(text, loose_rights) for text in (_plain(pattern), response))
    return one is not None and other is not None and _is(one, other)


def _holds(pattern: str, response: str) -> bool:
    """Whether what is fetched has the items of the pattern among others."""
    wanted, given = (tokens(text.encode("latin-1")) for text in (_plain(pattern), response))
    if wanted[:3] != given[:3] or not (isinstance(wanted[3], list) and isinstance(given[3], list)):
        return False
    (*all_wanted,), (*all_given,) = (
        zip(items[::2], items[1::2], strict=True) for items in (wanted[3], given[3])
    )
    return all(pair in all_given for pair in all_wanted)


def _tree(text: str, loose_rights: bool) -> bytes | None:
    tree = tokens(text.encode("latin-1"))
    if len(tree) < 2 or not all(isinstance(word, bytes) for word in tree[:2]):
        return None
    kind = bytes(tree[2] if len(tree) > 2 and re.fullmatch(rb"\d+", tree[1]) else tree[1])  # type: ignore[arg-type]
    kind = kind.upper()
    if kind in (b"ACL", b"MYRIGHTS"):
        first = 3 if kind == b"MYRIGHTS" else 4
        tree[first::2] = [_rights(word, loose_rights) for word in tree[first::2]]
    if kind in (b"FETCH", b"STATUS", b"METADATA") and isinstance(tree[-1], list):
        tree[-1] = _pairs(tree[-1])
    return _canonical(tree)


def _rights(word: bytes | Tokens, loose: bool) -> bytes:
    """RFC 4314 section 2.1.1: ``c`` and ``d`` only repeat what other rights say."""
    assert isinstance(word, bytes)
    return bytes(sorted(set(word) - (set(b"cd") if loose else set())))


def _pairs(items: Tokens) -> Tokens:
    if len(items) % 2:
        return items
    pairs = []
    for key, value in zip(items[::2], items[1::2], strict=True):
        name = key.upper() if isinstance(key, bytes) and not key.startswith(b"/") else key
        assert isinstance(name, bytes)
        pairs.append((name, _folded(value) if name in (b"BODY", b"BODYSTRUCTURE") else value))
    return [part for pair in sorted(pairs, key=lambda pair: pair[0]) for part in pair]


def _folded(value: bytes | Tokens) -> bytes | Tokens:
    return [_folded(part) for part in value] if isinstance(value, list) else value.lower()


def _canonical(value: bytes | Tokens) -> bytes:
    if isinstance(value, bytes):
        return value if re.fullmatch(rb"[^ ()]+", value) else b'"' + value + b'"'
    parts = [_canonical(part) for part in value]
    if parts and all(isinstance(part, bytes) and _is_flag(part) for part in value):
        parts = sorted((part.lower() for part in parts), key=lambda part: (part == rb"\*", part))
    return b"(" + b" ".join(parts) + b")"


def _is_flag(word: bytes | Tokens) -> bool:
    return isinstance(word, bytes) and re.fullmatch(rb"\\[A-Za-z*]+|[a-z]+flag", word) is not None


def _is(wanted: bytes, given: bytes) -> bool:
    text = wanted.decode("latin-1")
    if not _WILD.search(text):
        return wanted == given
    pattern = re.escape(text).replace(_ANY, ".*").replace(_NUMBER, r"\d+")
    return re.fullmatch(pattern, given.decode("latin-1"), re.DOTALL) is not None


def _expanded(pattern: str) -> Iterator[str]:
    """Every ``(..)?`` and ``(..|..)`` written out."""
    if match := _OPTIONAL.search(pattern):
        choices = [match[1], ""]
    elif match := _EITHER.search(pattern):
        choices = re.split(r"(?<!\\)\|", match[1])
    else:
        yield pattern
        return
    for choice in choices:
        yield from _expanded(pattern[: match.start()] + choice + pattern[match.end() :])


def _plain(pattern: str) -> str:
    """The text that a pattern stands for, with signs for what may be anything."""
    pattern = pattern.replace("(.)*", ".*").replace(r"\\\S", r"\\S")
    pattern = pattern.replace(r"\d+", _NUMBER).replace('[^"]*', _ANY)
    pattern = re.sub(r"(?<!\\)\.[*+]", _ANY, pattern)
    return re.sub(r"\\(.)", r"\1", pattern)
