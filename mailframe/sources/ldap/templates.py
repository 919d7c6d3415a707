"""Filters and names with placeholders: ``(mail=%s)``, ``uid=%u,ou=people,dc=example,dc=test``.

``%s`` is the whole address or login, ``%u`` its local-part, ``%d`` its domain, ``%1`` to ``%9``
the domain's components from the last one on, ``%%`` a percent sign: as in Postfix's
ldap_table(5). What is put in comes from clients: each octet that is no letter, digit or one of
``@.-_`` goes in as backslash and two hexadecimal digits, which is itself and nothing else in a
filter (RFC 4515 section 3) as in a distinguished name (RFC 4514 section 2.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sansldap import LDAPFilter

_PLACEHOLDER = re.compile(r"%(.?)", re.DOTALL)
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_")
_DEEPEST = 50  # brackets of a filter within each other


@dataclass(frozen=True, slots=True)
class Blanks:
    """What is put into a template."""

    whole: str
    local_part: str
    domain: str = ""

    def value(self, letter: str) -> str:
        """Empty where there is none."""
        if letter.isdecimal():
            labels = self.domain.split(".") if self.domain else []
            number = int(letter)
            return labels[-number] if number <= len(labels) else ""
        return {"s": self.whole, "u": self.local_part, "d": self.domain}[letter]


_EXAMPLE = Blanks("a@b.b.b.b.b.b.b.b.b", "a", "b.b.b.b.b.b.b.b.b")


def escaped(text: str) -> str:
    """Raises UnicodeEncodeError for what is no text."""
    return "".join(chr(one) if one in _PLAIN else f"\\{one:02x}" for one in text.encode())


def check_placeholders(template: str) -> None:
    """Raises ValueError, for who wrote the template."""
    for letter in _PLACEHOLDER.findall(template):
        if letter not in set("sud%123456789"):
            raise ValueError(f"%{letter} is no placeholder (known: %s, %u, %d, %1 to %9, %%)")


def filled(template: str, blanks: Blanks) -> str | None:
    """None where it asks for something that there is none of: ``%d`` of a bare name."""
    values = {
        letter: escaped(blanks.value(letter))
        for letter in set(_PLACEHOLDER.findall(template)) - {"%"}
    }
    if not all(values.values()):
        return None
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], "%"), template)


class FilterTemplate:
    """Raises ValueError, with what to mend, for what is no filter."""

    def __init__(self, text: str) -> None:
        check_placeholders(text)
        if text.count("(") > _DEEPEST:
            raise ValueError("too many brackets")
        self.text = text if text.startswith("(") else f"({text})"
        self.filled(_EXAMPLE)

    def filled(self, blanks: Blanks) -> LDAPFilter | None:
        """None where it asks for what there is not; nothing can match."""
        text = filled(self.text, blanks)
        return None if text is None else LDAPFilter.from_string(text)


def equals(attribute: str, value: str) -> str:
    """A filter, for values that come from a directory."""
    return f"({attribute}={escaped(value)})"


class NameTemplate:
    """A bind name: a distinguished name, or what Active Directory takes as well
    (``%u@corp.example``, ``CORP\\%u``)."""

    def __init__(self, text: str) -> None:
        check_placeholders(text)
        if filled(text, _EXAMPLE) == filled(text, Blanks("c", "c", "d.d.d.d.d.d.d.d.d")):
            raise ValueError("has no placeholder for who logs in (example: uid=%u,ou=people)")
        self._text = text
        self.is_dn = "=" in text

    def filled(self, blanks: Blanks) -> str | None:
        """None where it asks for what there is not, or who logs in cannot be named like that."""
        if not self.is_dn and "\\" in escaped(blanks.whole):
            return None  # there is no escaping there: nothing but plain names
        return filled(self._text, blanks)
