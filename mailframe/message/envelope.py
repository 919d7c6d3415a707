"""ENVELOPE (RFC 9051 section 7.5.2): what a message's header says of who, when and what.

Reads anything in linear time. Of two fields of one name the first counts, except that the
addresses of all are given, so that nobody sees fewer than another reader does. A broken
address still appears: what is missing of it reads ``MISSING_MAILBOX`` or ``MISSING_DOMAIN``
(as Dovecot does it), because NIL would make it the end or the beginning of a group. What
stands between an address and the next comma is passed over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mailframe.message.imap_strings import NIL, field_string, on_one_line, string

ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
ENVELOPE_FIELDS = (b"date", b"subject", *ADDRESS_FIELDS, b"in-reply-to", b"message-id")

MAX_ADDRESSES = 10_000
MAX_OCTETS = 1 << 18
"""Of one field; what follows is not told."""
_MAX_CACHED = 400
_MISSING_MAILBOX, _MISSING_DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"
_GROUP_END = b"(NIL NIL NIL NIL)"

# The shapes that nearly all addresses have: name <local@domain>, "name" <...>, local@domain.
# The classes of neighbours do not overlap: nothing is tried twice.
_ATEXT = rb"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff"
_COMMON = re.compile(
    rb'[ \t]*(?:(?:"([^"\\]*)"[ \t]*|([' + _ATEXT + rb"][ ." + _ATEXT + rb"]*))?"
    rb"<([." + _ATEXT + rb"]+)@([A-Za-z0-9._\-\x80-\xff]+)>"
    rb"|([." + _ATEXT + rb"]+)@([A-Za-z0-9._\-\x80-\xff]+))[ \t]*(?:,|\Z)"
).match
_TOKEN = re.compile(
    rb'[ \t\r\n]+|"(?:[^"\\]|\\.)*"|\[[^\[\]\\<>]*\]|[<>,:;@(]|[^ \t\r\n"\[<>,:;@(]+|.', re.DOTALL
)
_TOKEN_WITHOUT_QUOTES = re.compile(
    rb"[ \t\r\n]+|\[[^\[\]\\<>]*\]|[<>,:;@(]|[^ \t\r\n\[<>,:;@(]+|.", re.DOTALL
)
_IN_COMMENT = re.compile(rb"[^()\\]+|\\.|[()\\]", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def envelope(fields: Mapping[bytes, bytes]) -> bytes:
    """``fields``: values by name in lower case; addresses of several fields joined by commas."""
    get = fields.get
    # RFC 9051 section 7.5.2: Sender and Reply-To default to From
    from_ = addresses(get(b"from"))
    lists = [addresses(get(name)) for name in (b"sender", b"reply-to")]
    lists = [from_ if value == NIL else value for value in lists]
    lists += [addresses(get(name)) for name in (b"to", b"cc", b"bcc")]
    return b"(%b %b %b %b %b %b)" % (
        field_string(get(b"date")),
        field_string(get(b"subject")),
        from_,
        b" ".join(lists),
        field_string(get(b"in-reply-to")),
        field_string(get(b"message-id")),
    )


def addresses(value: bytes | None) -> bytes:
    """An address list of the envelope; NIL where there is no address."""
    if value is None:
        return NIL
    return _cached(value) if len(value) <= _MAX_CACHED else _rendered(value)


def _rendered(value: bytes) -> bytes:
    text = on_one_line(value[:MAX_OCTETS])
    found: list[bytes] = []
    at, end = 0, len(text)
    while at < end:
        match = _COMMON(text, at)
        if match is None or len(found) >= MAX_ADDRESSES:
            break
        quoted, phrase, local, domain, bare, bare_domain = match.groups()
        if bare is not None:
            found.append(b"(NIL NIL %b %b)" % (string(bare), string(bare_domain)))
        else:
            name = quoted if quoted is not None else phrase and b" ".join(phrase.split())
            shown = NIL if name is None else string(name)
            found.append(b"(%b NIL %b %b)" % (shown, string(local), string(domain)))
        at = match.end()
    else:
        return b"(" + b"".join(found) + b")" if found else NIL
    found += _Reader(text[at:]).entries()
    return b"(" + b"".join(found[: MAX_ADDRESSES + 2]) + b")" if found else NIL


_cached = functools.lru_cache(maxsize=4096)(_rendered)


class Token(NamedTuple):
    kind: bytes
    """A special, ``word``, ``quoted``, ``literal`` or ``comment``."""
    text: bytes
    """What it means: without quotes, backslashes and parentheses."""


def _tokens(text: bytes) -> Iterator[Token]:
    """RFC 5322 section 3.2, and a word of whatever else comes; blanks are left out."""
    at, end = 0, len(text)
    unclosed = False
    pattern = _TOKEN
    while at < end:
        match = pattern.match(text, at)
        assert match is not None  # any octet matches
        at = match.end()
        piece = match[0]
        first = piece[:1]
        if first in b" \t\r\n":
            continue
        if piece == b'"':
            # not closed: from here on they are letters, or each would be looked for anew
            pattern = _TOKEN_WITHOUT_QUOTES
            continue
        if first == b"(" and not unclosed:
            comment, close = _comment(text, at)
            # one that is not closed would swallow all: its parenthesis is a letter, and so
            # are those after it
            unclosed = close < 0
            if not unclosed:
                at = close
                yield Token(b"comment", comment)
                continue
        if first in b"<>,:;@" and len(piece) == 1:
            yield Token(piece, piece)
        elif first == b'"' and len(piece) > 1:
            inner = piece[1:-1]
            yield Token(b"quoted", _ESCAPED.sub(rb"\1", inner) if b"\\" in inner else inner)
        elif first == b"[" and len(piece) > 1:
            yield Token(b"literal", piece)
        else:
            yield Token(b"word", piece)


def _comment(text: bytes, at: int) -> tuple[bytes, int]:
    """The comment whose parenthesis was read, and where it is over: -1 for never."""
    depth = 1
    pieces: list[bytes] = []
    for match in _IN_COMMENT.finditer(text, at):
        piece = match[0]
        if piece == b"(":
            depth += 1
        elif piece == b")":
            depth -= 1
            if depth == 0:
                return b"".join(pieces).strip(), match.end()
        pieces.append(piece[1:] if len(piece) == 2 and piece[:1] == b"\\" else piece)
    return b"", -1


class _Reader:
    """RFC 5322 section 3.4 with its obsolete forms, and what is seen beyond them."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._in_group = False
        self._phrase: list[Token] = []  # before < or @
        self._inside: list[Token] | None = None  # between < and >
        self._routed = False  # its colon was seen
        self._domain: list[Token] | None = None  # behind an @ without <
        self._comment = b""
        self._done = False  # the address is complete: the rest up to a comma is not looked at

    def entries(self) -> list[bytes]:
        found: list[bytes] = []
        for token in _tokens(self._text):
            if len(found) >= MAX_ADDRESSES:
                break
            if token.kind in b",;" and not (token.kind == b"," and self._in_route()):
                found += self._flush()
                if token.kind == b";" and self._in_group:
                    self._in_group = False
                    found.append(_GROUP_END)
            elif token.kind == b":" and self._begins_group():
                name = b" ".join(word.text for word in self._phrase)
                found.append(b"(NIL NIL %b NIL)" % string(name))
                self._in_group = True
                self._reset()
            else:
                self._take(token)
        found += self._flush()
        if self._in_group:
            found.append(_GROUP_END)
        return found

    def _begins_group(self) -> bool:
        return not self._in_group and self._inside is None and self._domain is None

    def _in_route(self) -> bool:
        """RFC 5322 section 4.4: ``<@one,@two:local@domain>``."""
        inside = self._inside
        return bool(inside and not self._done and inside[0].kind == b"@" and not self._routed)

    def _take(self, token: Token) -> None:
        if token.kind == b"comment":
            self._comment = token.text or self._comment
        elif self._done:
            return
        elif token.kind == b"<":
            if self._domain is not None:
                # somebody@example <somebody@example>: the name is an address itself
                self._phrase = [*_whole(self._phrase, self._domain)]
                self._domain = None
            self._inside = []
        elif token.kind == b">":
            self._done = self._inside is not None
        elif self._inside is not None:
            self._inside.append(token)
            self._routed = self._routed or token.kind == b":"
        elif self._domain is not None:
            self._domain.append(token)
        elif token.kind == b"@":
            self._domain = []
        else:
            self._phrase.append(token)

    def _flush(self) -> list[bytes]:
        """What was read up to a separator; RFC 5322 section 4.4 lets it be nothing."""
        phrase, inside, domain = self._phrase, self._inside, self._domain
        comment = self._comment
        self._reset()
        if inside is not None:
            name = b" ".join(token.text for token in phrase) if phrase else None
            route, local, host = _routed(inside)
            return [_address(name, route, local, host)]
        if domain is not None:
            begin = _local_part(phrase)
            name = b" ".join(token.text for token in phrase[:begin]) or comment or None
            return [_address(name, b"", _joined(phrase[begin:]), _host(domain))]
        if not phrase:
            return []
        if len(phrase) == 1 and phrase[0].kind != b"quoted":
            return [_address(comment or None, b"", phrase[0].text, b"")]
        return [_address(b" ".join(token.text for token in phrase), b"", b"", b"")]

    def _reset(self) -> None:
        self._phrase = []
        self._inside = self._domain = None
        self._comment = b""
        self._done = self._routed = False


def _whole(local: list[Token], domain: list[Token]) -> Iterator[Token]:
    yield Token(b"word", _joined(local) + b"@" + _joined(domain))


def _routed(tokens: list[Token]) -> tuple[bytes, bytes, bytes]:
    """Route, local part and domain of what stands between angle brackets."""
    route = b""
    if tokens and tokens[0].kind == b"@":
        colon = next((n for n, token in enumerate(tokens) if token.kind == b":"), -1)
        if colon >= 0:
            route, tokens = _joined(tokens[:colon]), tokens[colon + 1 :]
    for number, token in enumerate(tokens):
        if token.kind == b"@":
            return route, _joined(tokens[:number]), _host(tokens[number + 1 :])
    return route, _joined(tokens), b""


def _local_part(phrase: list[Token]) -> int:
    """Where it begins: behind the last blank that no dot stands beside (``a . b`` is one)."""
    begin = len(phrase) - 1
    while begin > 0 and (
        phrase[begin].text.startswith(b".") or phrase[begin - 1].text.endswith(b".")
    ):
        begin -= 1
    return max(begin, 0)


def _host(tokens: list[Token]) -> bytes:
    """The domain; what comes behind it without a dot is not of it."""
    domain = b""
    for token in tokens:
        if token.kind not in (b"word", b"literal"):
            break
        if domain and not domain.endswith(b".") and not token.text.startswith(b"."):
            break
        domain += token.text
    return domain


def _joined(tokens: list[Token]) -> bytes:
    return b"".join(token.text for token in tokens)


def _address(name: bytes | None, route: bytes, local: bytes, host: bytes) -> bytes:
    return b"(%b %b %b %b)" % (
        NIL if name is None else string(name),
        string(route) if route else NIL,
        string(local or _MISSING_MAILBOX),
        string(host or _MISSING_DOMAIN),
    )
