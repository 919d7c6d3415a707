"""Reads the octets of one command: the terminals of RFC 9051 section 9, one method each.

``Scanner`` is a cursor over everything after the tag and its space, the final CRLF removed,
literals inline as ``{n}`` CRLF and n octets. A method reads what it is named after and moves
on, or raises BadCommand and nothing else, whatever the octets are. No method looks at an
octet twice, recurses, or takes more memory than the command has octets.

In one thing it takes more than the RFC allows: several spaces stand for one, and spaces within
parentheses' edges for none, because some clients write so and nothing else could be meant.

What a command means is in ``parse``; how long it may be is the engine's business.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import TypeVar

from mailframe.core import utf7
from mailframe.core.folders import INBOX, SYSTEM_FLAGS, Flags
from mailframe.protocols.imap import sets
from mailframe.protocols.imap.commands import MessageSet
from mailframe.protocols.imap.events import Status

NUMBER_MAX = 2**32 - 1
NUMBER64_MAX = 2**63 - 1
LIST_LIMIT = 1000
"""Elements of any one parenthesised list; no client is known to come near."""
FLAGS_LIMIT = 200
KEYWORD_LIMIT = 255
"""Octets of one keyword."""

T = TypeVar("T")

# RFC 9051 section 9: atom-specials are parentheses, "{", SP, CTL, "%", "*", DQUOTE, "\" and
# "]"; an astring may hold "]", a list-mailbox also the wildcards.
_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_PATTERN = re.compile(rb'[^\x00-\x20(){"\\\x7f-\xff]+')
_SPACES = re.compile(rb" +")
_WORD = re.compile(rb"[A-Za-z0-9.+-]+")
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\\x80-\xff]++|\\["\\])*+)"')
_QUOTED_8BIT = re.compile(rb'"((?:[^\x00\r\n"\\]++|\\["\\])*+)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{([0-9]{1,20})\+?\}\r\n")
_LITERAL8 = re.compile(rb"~\{([0-9]{1,20})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]+")
_SET = re.compile(rb"[0-9*:,]+")
_NIL = re.compile(rb'NIL(?![^\x00-\x20(){%*"\\\]\x7f-\xff])', re.IGNORECASE)
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4})'
    rb' ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)

_MONTHS = {
    name: number
    for number, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}
_SYSTEM_FLAGS = {flag.lower(): flag for flag in SYSTEM_FLAGS}
_UNSAYABLE = re.compile("[\0\r\n]")


class BadCommand(Exception):
    """The command is not what the grammar allows: tagged BAD.

    ``text`` is ours, never the client's, and fits on a line; ``code`` is a response code
    without its brackets, or empty.
    """

    status = Status.BAD

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Refusal(BadCommand):
    """Well formed, but there is no such thing here: tagged NO."""

    status = Status.NO


class Scanner:
    """See the module. ``utf8``: strings are UTF-8 and mailbox names no modified UTF-7, as
    after ENABLE UTF8=ACCEPT (RFC 6855) or IMAP4rev2. ``charsets``: a command may say which
    charset its strings are in, as before UTF8=ACCEPT."""

    __slots__ = ("_at", "_octets", "charsets", "utf8")

    def __init__(self, octets: bytes, *, utf8: bool = False, charsets: bool = True) -> None:
        self._octets = octets
        self._at = 0
        self.utf8 = utf8
        self.charsets = charsets

    # ---- where it stands

    @property
    def at(self) -> int:
        """How many octets were read."""
        return self._at

    def at_end(self) -> bool:
        return self._at == len(self._octets)

    def more(self) -> bool:
        """Reads spaces: whether an argument comes after them, or the end."""
        spaces = self.skip(_SPACES)
        if self.at_end():
            return False
        if spaces is None:
            raise self.bad("Space expected")
        return True

    def end(self) -> None:
        """Nothing but spaces may come."""
        self.skip(_SPACES)
        if not self.at_end():
            raise self.bad("Nothing more expected")

    def peek(self) -> bytes:
        """The next octet; empty at the end."""
        return self._octets[self._at : self._at + 1]

    def rest(self) -> bytes:
        """Everything that was not read; it is read then."""
        rest = self._octets[self._at :]
        self._at = len(self._octets)
        return rest

    def bad(self, text: str) -> BadCommand:
        """The error to raise here; says where it is."""
        return BadCommand(f"{text}, octet {self._at + 1} of the arguments")

    # ---- punctuation and words

    def took(self, token: bytes) -> bool:
        """Reads ``token``, any case, if it comes next."""
        end = self._at + len(token)
        if self._octets[self._at : end].upper() != token.upper():
            return False
        self._at = end
        return True

    def expect(self, token: bytes) -> None:
        if not self.took(token):
            raise self.bad(f"{token.decode('ascii')!r} expected")

    def sp(self) -> None:
        """One space or more."""
        self._matched(_SPACES, "Space expected")

    def took_word(self, word: bytes) -> bool:
        """Reads ``word``, any case, and the space behind it, if they come next."""
        end = self._at + len(word)
        if self._octets[end : end + 1] != b" " or not self.took(word):
            return False
        self.sp()
        return True

    def open(self) -> None:
        if self.peek() != b"(":
            raise self.bad("'(' expected")
        self._at += 1
        self.skip(_SPACES)

    def close(self) -> None:
        self.skip(_SPACES)
        if self.peek() != b")":
            raise self.bad("')' expected")
        self._at += 1

    def listed(
        self, item: Callable[[], T], *, empty: bool = False, limit: int = LIST_LIMIT
    ) -> list[T]:
        """``(item item ...)``; ``empty`` allows ``()``."""
        self.open()
        items: list[T] = []
        if empty and self.took(b")"):
            return items
        items.append(item())
        while self.another():
            if len(items) == limit:
                raise BadCommand("Too many elements in a list", "LIMIT")
            items.append(item())
        self.close()
        return items

    def another(self) -> bool:
        """Reads spaces: whether a further element of a list comes after them, or its end."""
        spaces = self.skip(_SPACES)
        if self.peek() == b")":
            return False
        if spaces is None:
            raise self.bad("Space expected")
        return True

    def word(self) -> str:
        """A name that we give meaning to (letters, digits, ``.``, ``-``, ``+``), in upper
        case."""
        return self._matched(_WORD, "Word expected").decode("ascii").upper()

    def atom(self) -> str:
        return self._matched(_ATOM, "Atom expected").decode("ascii")

    def skip(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Reads what matches here, if it does: for grammar that only one command has."""
        match = pattern.match(self._octets, self._at)
        if match:
            self._at = match.end()
        return match

    def sees(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether that comes next; reads nothing."""
        return pattern.match(self._octets, self._at) is not None

    # ---- strings

    def string(self) -> str:
        """Quoted or literal, decoded from UTF-8."""
        return self._text(self.string_octets())

    def astring(self) -> str:
        return self._text(self.astring_octets())

    def nstring(self) -> str | None:
        return None if self.skip(_NIL) else self.string()

    def string_octets(self, *, lenient: bool = False) -> bytes:
        """``lenient``: a quoted string may have octets above 127, whatever the mode."""
        if self.peek() == b'"':
            return self.quoted(lenient=lenient)
        return self.literal()

    def astring_octets(self, *, lenient: bool = False) -> bytes:
        first = self.peek()
        if first == b'"':
            return self.quoted(lenient=lenient)
        if first == b"{":
            return self.literal()
        return self._matched(_ASTRING, "String expected")

    def nil(self) -> bool:
        """Reads NIL if it comes next."""
        return self.skip(_NIL) is not None

    def quoted(self, *, lenient: bool = False) -> bytes:
        """Without its quotes and backslashes."""
        pattern = _QUOTED_8BIT if self.utf8 or lenient else _QUOTED
        match = self.skip(pattern)
        if match is None:
            raise self.bad("Not a quoted string")
        return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]

    def literal(self) -> bytes:
        octets = self._literal(_LITERAL)
        # RFC 9051 section 4.3: NUL only ever in a literal8.
        if b"\0" in octets:
            raise self.bad("NUL in a literal")
        return octets

    def literal8(self) -> bytes:
        """``~{n}``: any octets (RFC 3516)."""
        return self._literal(_LITERAL8)

    def _literal(self, pattern: re.Pattern[bytes]) -> bytes:
        match = self.skip(pattern)
        if match is None:
            raise self.bad("String expected")
        end = self._at + int(match[1])
        if end > len(self._octets):
            raise self.bad("Literal cut off")
        octets = self._octets[self._at : end]
        self._at = end
        return octets

    def _text(self, octets: bytes) -> str:
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise self.bad("String is not UTF-8") from None

    # ---- numbers and sets

    def number(self, limit: int = NUMBER_MAX) -> int:
        """At most ``limit``; 32 bits where nothing is said."""
        digits = self._matched(_NUMBER, "Number expected")
        if len(digits) > 20 or int(digits) > limit:
            raise self.bad("Number too large")
        return int(digits)

    def nz_number(self, limit: int = NUMBER_MAX) -> int:
        number = self.number(limit)
        if number == 0:
            raise self.bad("Number must not be 0")
        return number

    def number64(self) -> int:
        """Sizes and mod-sequences (RFC 7162 section 7): 63 bits."""
        return self.number(NUMBER64_MAX)

    def message_set(self) -> MessageSet:
        """``1:4,7,9:*``, or ``$`` (RFC 5182)."""
        if self.took(b"$"):
            return MessageSet(saved=True)
        octets = self._matched(_SET, "Message set expected")
        try:
            return sets.parse(octets)
        except ValueError as error:
            raise self.bad(str(error)) from None

    def ranges(self) -> sets.Ranges:
        """A set without ``*`` and ``$``, normalised."""
        ranges = sets.fixed_ranges(self.message_set())
        if ranges is None:
            raise self.bad("Numbers expected, without '*' and '$'")
        return ranges

    # ---- dates

    def date(self) -> datetime.date:
        """``1-Feb-1994``, with or without quotes."""
        match = self.skip(_DATE)
        if match is None:
            raise self.bad("Date expected")
        try:
            return datetime.date(int(match[4]), self._month(match[3]), int(match[2]))
        except ValueError:
            raise self.bad("No such date") from None

    def date_time(self) -> datetime.datetime:
        """``"17-Jul-1996 02:44:25 -0700"``; knows its zone."""
        match = self.skip(_DATE_TIME)
        if match is None:
            raise self.bad("Date and time expected")
        day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
        offset = datetime.timedelta(hours=int(match[8]), minutes=int(match[9]))
        try:
            zone = datetime.timezone(-offset if match[7] == b"-" else offset)
            # RFC 5322 allows a leap second, datetime does not.
            second = 59 if second == 60 else second
            return datetime.datetime(
                year, self._month(match[2]), day, hour, minute, second, tzinfo=zone
            )
        except ValueError:
            raise self.bad("No such date or time") from None

    @staticmethod
    def _month(name: bytes) -> int:
        return _MONTHS.get(name.lower(), 0)

    # ---- names and flags

    def mailbox(self) -> str:
        """In Unicode; INBOX in upper case (RFC 9051 section 5.1)."""
        name = self._mailbox_text(self.astring_octets())
        return INBOX if name.upper() == INBOX else name

    def list_pattern(self) -> str:
        """list-mailbox: a mailbox name that may have ``%`` and ``*`` in it. What is no
        modified UTF-7 stands for itself: nothing is called so, and LIST finds nothing."""
        if self.peek() in (b'"', b"{"):
            octets = self.string_octets()
        else:
            octets = self._matched(_PATTERN, "Mailbox pattern expected")
        try:
            pattern = self._mailbox_text(octets)
        except Refusal:
            pattern = octets.decode("ascii")
        return INBOX if pattern.upper() == INBOX else pattern

    def _mailbox_text(self, octets: bytes) -> str:
        text = self._text(octets)
        if not self.utf8:
            if not octets.isascii():
                raise self.bad("Mailbox name is not modified UTF-7")
            text = self._from_utf7(text)
        if _UNSAYABLE.search(text):
            raise self.bad("Control character in a mailbox name")
        return text

    def _from_utf7(self, text: str) -> str:
        if "&" not in text:
            return text
        try:
            return utf7.decode(text)
        except ValueError:
            raise Refusal("Mailbox name is not modified UTF-7", "CANNOT") from None

    def flag(self) -> str:
        r"""A system flag in our spelling, or a keyword as written. ``\Recent`` is none that
        a client may set (RFC 3501 section 2.3.2)."""
        if not self.took(b"\\"):
            keyword = self.atom()
            if len(keyword) > KEYWORD_LIMIT:
                raise BadCommand("Keyword too long", "LIMIT")
            return keyword
        flag = _SYSTEM_FLAGS.get("\\" + self.atom().lower())
        if flag is None:
            raise self.bad("No such system flag")
        return flag

    def flag_list(self) -> Flags:
        """``(\\Seen keyword)``, or ``()``."""
        return distinct_flags(self.listed(self.flag, empty=True, limit=FLAGS_LIMIT))

    def _matched(self, pattern: re.Pattern[bytes], problem: str) -> bytes:
        match = pattern.match(self._octets, self._at)
        if match is None:
            raise self.bad(problem)
        self._at = match.end()
        return match[0]


def distinct_flags(flags: list[str]) -> Flags:
    """Without those that differ only in case from one before."""
    return frozenset({flag.lower(): flag for flag in reversed(flags)}.values())
