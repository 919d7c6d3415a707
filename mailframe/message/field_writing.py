"""Header fields of new messages: encoded words, names of people, addresses, parameters, folding.

Each function returns one whole field in wire format, final CRLF included, on lines of at most 78
characters wherever they can be broken (RFC 5322 section 2.1.1). Whatever the text, a field stays
one field: CR, LF and NUL are a ValueError, as are lone surrogates, which no charset has. All of it
is ASCII (RFC 2047, 2231) but an address that cannot be written so (RFC 6532).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote_from_bytes

_LINE = 78
_LONGEST_LINE = 998  # RFC 5322 section 2.1.1
_LONGEST_WORD = 75  # RFC 2047 section 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}")
_FORBIDDEN = re.compile(r"[\r\n\0\ud800-\udfff]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")
_PRINTABLE = re.compile(r"[ -~]*")
# RFC 2047 section 5 (3): of a Q word in a phrase; the strictest place serves for all
_Q_LITERAL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_PARAMETER_PIECE = 50
_SAFE_IN_PARAMETER = "!#$&+-.^_`|~"  # RFC 2231 section 7 attribute-char


def must_be_one_line(what: str, text: str) -> str:
    """``text``; ValueError for what would be more than one line, or is no Unicode."""
    if _FORBIDDEN.search(text):
        raise ValueError(f"{what} contains a line end, a NUL or half a character")
    return text


def text_field(name: str, text: str) -> bytes:
    """Of free text: Subject, Comments, and fields of one's own. What is no plain ASCII becomes
    encoded words, and so does ASCII that a reader would not get back as it is."""
    must_be_one_line(name, text)
    head = f"{_checked(name)}:"
    words = text.split(" ")
    if not text:
        return f"{head}\r\n".encode()
    if (
        _PLAIN.fullmatch(text)
        and "=?" not in text
        and max(map(len, words)) < _LONGEST_LINE - len(head)
    ):
        return _folded(head, words)
    return _folded(head, _encoded_words(text, _LINE - len(head) - 1))


def tokens_field(name: str, tokens: Sequence[str]) -> bytes:
    """Of words that stay as they are, between which lines may be broken: Message-IDs, for one."""
    for token in tokens:
        must_be_one_line(name, token)
    return _folded(f"{_checked(name)}:", tokens)


def addresses_field(name: str, people: Iterable[tuple[str, str]]) -> bytes:
    """``people`` are display names, which may be empty, and addresses as ``str(Address)``."""
    pieces: list[str] = []
    for person in people:
        words = _mailbox(*person)
        if pieces:
            pieces[-1] += ","
        pieces += words
    return _folded(f"{_checked(name)}:", pieces)


def parameters_field(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """``value; name="..."``: Content-Type and its like."""
    pieces = [must_be_one_line(name, value)]
    for parameter, text in parameters:
        for piece in _parameter(parameter, must_be_one_line(parameter, text)):
            pieces[-1] += ";"
            pieces.append(piece)
    return _folded(f"{_checked(name)}:", pieces)


# ---- words


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header field")
    return name


def _folded(head: str, pieces: Iterable[str]) -> bytes:
    """The first piece stays beside the name where it can: some readers want that."""
    lines, column = [head], len(head)
    for number, piece in enumerate(pieces):
        octets = len(piece) if piece.isascii() else len(piece.encode())
        if number and column + 1 + octets > _LINE:
            lines.append("\r\n")
            column = 0
        lines.append(f" {piece}")
        column += 1 + octets
    return ("".join(lines) + "\r\n").encode()


def _encoded_words(text: str, first: int) -> list[str]:
    """``first``: how long the first may be. Each is decoded for itself by somebody, so no character
    is split (RFC 2047 section 5)."""
    words: list[str] = []
    octets = text.encode()
    encoding = "q" if 3 * sum(octet not in _Q_LITERAL for octet in octets) < len(octets) else "b"
    room = min(first, _LONGEST_WORD) - len("=?utf-8?q??=")
    begin = length = 0
    for at, character in enumerate(text):
        more = _length(character, encoding)
        if at > begin and _grown(length + more, encoding) > room:
            words.append(_word(text[begin:at], encoding))
            begin, length = at, 0
            room = _LONGEST_WORD - len("=?utf-8?q??=")
        length += more
    words.append(_word(text[begin:], encoding))
    return words


def _length(character: str, encoding: str) -> int:
    octets = character.encode()
    if encoding == "b":
        return len(octets)
    return sum(1 if octet in _Q_LITERAL or octet == 0x20 else 3 for octet in octets)


def _grown(length: int, encoding: str) -> int:
    return length if encoding == "q" else (length + 2) // 3 * 4


def _word(text: str, encoding: str) -> str:
    octets = text.encode()
    if encoding == "b":
        content = base64.b64encode(octets).decode("ascii")
    else:
        content = "".join(
            "_" if o == 0x20 else chr(o) if o in _Q_LITERAL else f"={o:02X}" for o in octets
        )
    return f"=?utf-8?{encoding}?{content}?="


def _mailbox(name: str, address: str) -> list[str]:
    must_be_one_line("an address", address)
    must_be_one_line("a display name", name)
    if not name:
        return [address]
    if "=?" in name or not _PRINTABLE.fullmatch(name) or len(name) > _LINE - 2:
        return [*_encoded_words(name, _LONGEST_WORD), f"<{address}>"]
    if _ATOMS.fullmatch(name):
        return [*name.split(" "), f"<{address}>"]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"', f"<{address}>"]


def _parameter(name: str, text: str) -> list[str]:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if _PRINTABLE.fullmatch(text) and "=?" not in text and len(name) + len(escaped) < 70:
        return [f'{name}="{escaped}"']
    # RFC 2231 sections 3 and 4; a piece may end within a character
    coded = "utf-8''" + quote_from_bytes(text.encode(), _SAFE_IN_PARAMETER)
    if len(coded) <= _PARAMETER_PIECE:
        return [f"{name}*={coded}"]
    pieces = [match[0] for match in _CODED_PIECE.finditer(coded)]
    return [f"{name}*{number}*={piece}" for number, piece in enumerate(pieces)]


# never between the letters of %41
_CODED_PIECE = re.compile(r"(?:%[0-9A-F]{2}|[^%]){1,16}")
