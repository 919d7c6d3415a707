"""The addresses in From, Sender and their like: the one parser that checks and acts.

RFC 5322 section 3.4 without its obsolete forms, with groups (RFC 6854 allows them in From)
and UTF-8 (RFC 6532). It reads a value to its last octet or refuses all of it: two parsers
that guess differently at ``"a" <x@ours> <y@theirs>`` are how a check is walked around
(CVE-2023-27043). Encoded words are looked at by nobody here: in a display name they are
text, in an address they are letters of the local part. Time is linear.
"""

from __future__ import annotations

import re

from mailframe.core.address import Address, AddressError, split_local_part
from mailframe.core.characters import ATEXT, OF_DOMAINS, utf8_and
from mailframe.message.headers import unfolded

# RFC 5322 section 2.2.3 counts lines; these only bound our work: it is done between two reads
# of other people's sockets.
MAX_VALUE = 65_536
MAX_ADDRESSES = 1_000
_MAX_COMMENT_DEPTH = 20

_BLANK = re.compile(r"[ \t]*")
# RFC 5322 section 3.2.3 atext with RFC 6532; dots as in real display names ("John Q. Public")
_OF_WORDS = utf8_and(ATEXT + ".")
_WORD = re.compile(rf"{_OF_WORDS}+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_OF_DOMAIN = utf8_and(OF_DOMAINS)
_DOMAIN = re.compile(rf"\[[^\[\]\\]*\]|{_OF_DOMAIN}+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def parse_mailboxes(value: bytes) -> tuple[Address, ...]:
    """The addresses of an address list, members of groups included, in order.

    ``value`` is a field's value, folded or not. An empty group yields nothing; an empty
    value, a missing comma, a stray character, octets that are no UTF-8: AddressError.
    """
    if len(value) > MAX_VALUE:
        raise AddressError("the address list is too long")
    try:
        text = unfolded(value).decode("utf-8")
    except UnicodeDecodeError:
        raise AddressError("the address list is neither ASCII nor UTF-8") from None
    if _CONTROL.search(text):
        raise AddressError("the address list contains a control character")
    return tuple(_List(text).parse())


class _List:
    """Recursive descent over the text; ``at`` is how far it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Address] = []

    def parse(self) -> list[Address]:
        self._entry(in_group=False)
        while self._accept(","):
            self._entry(in_group=False)
        if self.at < len(self.text):
            raise AddressError("something stands between two addresses")
        return self.found

    def _entry(self, *, in_group: bool) -> None:
        """``address`` (or, within a group, ``mailbox``) with the blanks around it."""
        self._skip_blanks()
        words = self._words()
        if self._accept("<"):
            self.found.append(self._angle_address())
        elif self._accept("@"):
            if len(words) != 1:
                raise AddressError("an address stands behind words, without < and >")
            self.found.append(self._address(words[0]))
        elif not in_group and words and self._accept(":"):
            self._group()
        else:
            raise AddressError("a name without an address")
        self._skip_blanks()

    def _group(self) -> None:
        self._skip_blanks()
        if not self._peek(";"):
            self._entry(in_group=True)
            while self._accept(","):
                self._entry(in_group=True)
        if not self._accept(";"):
            raise AddressError("a group is not closed")

    def _angle_address(self) -> Address:
        self._skip_blanks()
        words = self._words()
        if len(words) != 1 or not self._accept("@"):
            raise AddressError("no plain address between < and >")
        address = self._address(words[0])
        if not self._accept(">"):
            raise AddressError("an angle bracket is not closed")
        return address

    def _address(self, local: str) -> Address:
        """The at-sign has been read."""
        self._skip_blanks()
        domain = _DOMAIN.match(self.text, self.at)
        if not domain:
            raise AddressError("an address needs a domain")
        self.at = domain.end()
        self._skip_blanks()
        local_part, rest = split_local_part(local)
        if rest:
            raise AddressError("the local part is malformed")
        if len(self.found) >= MAX_ADDRESSES:
            raise AddressError("there are too many addresses")
        return Address.build(local_part, domain[0])

    def _words(self) -> list[str]:
        """Atoms and quoted strings, up to a special."""
        words = []
        while word := _QUOTED.match(self.text, self.at) or _WORD.match(self.text, self.at):
            words.append(word[0])
            self.at = word.end()
            self._skip_blanks()
        return words

    def _skip_blanks(self) -> None:
        """RFC 5322 section 3.2.2 CFWS."""
        while True:
            blank = _BLANK.match(self.text, self.at)
            assert blank is not None  # it matches nothing, too
            self.at = blank.end()
            if not self._peek("("):
                return
            self._skip_comment()

    def _skip_comment(self) -> None:
        depth = 0
        while self.at < len(self.text):
            character = self.text[self.at]
            self.at += 2 if character == "\\" else 1
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                return
            if depth > _MAX_COMMENT_DEPTH:
                raise AddressError("comments are nested too deeply")
        raise AddressError("a comment is not closed")

    def _peek(self, character: str) -> bool:
        return self.text.startswith(character, self.at)

    def _accept(self, character: str) -> bool:
        if not self._peek(character):
            return False
        self.at += 1
        return True
