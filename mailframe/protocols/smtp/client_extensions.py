"""What a server offers in its EHLO or LHLO answer, as one value.

It is asked about with every message of a connection, and its words are read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from mailframe.core.envelope import Body
from mailframe.core.reply import Reply


@dataclass(frozen=True)
class Extensions:
    """``keywords``: upper-case keyword -> its parameters as written."""

    domain: str = ""
    """The name the server calls itself."""
    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, reply: Reply) -> Extensions:
        """Read the lines of a positive EHLO answer; what is no keyword is passed over."""
        first, *lines = reply.text.split("\n")
        keywords: dict[str, str] = {}
        for line in lines:
            keyword, _, parameters = line.strip().partition(" ")
            # ``AUTH=LOGIN`` is how servers spoke to clients of before RFC 2554.
            if keyword.upper().startswith("AUTH="):
                keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
            if keyword:
                known = keywords.get(keyword.upper())
                keywords[keyword.upper()] = f"{known} {parameters}" if known else parameters
        return cls(first.split(" ", 1)[0].lower(), keywords)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @cached_property
    def pipelining(self) -> bool:
        return "PIPELINING" in self.keywords

    @cached_property
    def chunking(self) -> bool:
        return "CHUNKING" in self.keywords

    @cached_property
    def smtputf8(self) -> bool:
        return "SMTPUTF8" in self.keywords

    @cached_property
    def dsn(self) -> bool:
        return "DSN" in self.keywords

    @cached_property
    def widest_body(self) -> Body:
        """The most that content may be."""
        # RFC 3030 section 3: BINARYMIME needs CHUNKING.
        if self.chunking and "BINARYMIME" in self.keywords:
            return Body.BINARY
        return Body.EIGHT_BIT if "8BITMIME" in self.keywords else Body.SEVEN_BIT

    @cached_property
    def mechanisms(self) -> frozenset[str]:
        """SASL mechanisms of AUTH (RFC 4954 section 3), in upper case."""
        return frozenset(self.keywords.get("AUTH", "").upper().split())

    @cached_property
    def max_size(self) -> int | None:
        """The largest message in octets (RFC 1870 section 4); None: unknown or no limit."""
        text = self.keywords.get("SIZE", "").strip()
        # RFC 1870 section 4: up to 20 digits.
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            return None
        return int(text) or None

    @cached_property
    def max_recipients(self) -> int | None:
        """Of one transaction (RFC 9422 section 4); None where not given."""
        return self.limit("RCPTMAX")

    def limit(self, name: str) -> int | None:
        """One of LIMITS (RFC 9422 section 4), such as ``RCPTMAX``; None where not given."""
        for word in self.keywords.get("LIMITS", "").split():
            key, _, value = word.partition("=")
            if key.upper() == name and value.isascii() and value.isdigit() and len(value) <= 6:
                return int(value) or None
        return None
