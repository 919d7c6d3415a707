"""How much an IMAP client may send: every limit of the engine in one place.

RFC 7162 section 4 asks for lines of 8192 octets at least; clients of large folders send sets
that are longer. A command's literals are held in memory, with its lines, until it is complete;
those of APPEND and REPLACE are not, they are passed on as they come.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Octets, where nothing else is said."""

    line_before_login: int = 40 * 1024
    """Also of a line within AUTHENTICATE. ID may come first: thirty values of 1,024 octets with
    their names (RFC 2971 section 3.3)."""
    line: int = 64 * 1024
    literal_before_login: int = 1024
    """A name or a password; SASL's limit is the same."""
    command: int = 256 * 1024
    """Lines and literals together. Before a login it is ``line_before_login``."""
    discarded: int = 64 * 1024 * 1024
    """Of a refused literal that comes unasked: so many are read and thrown away, before a
    larger one the connection ends. At least the largest message that may be appended."""
    chunk: int = 64 * 1024
    """Of a message on its way in."""
    appended: int = 1000
    """Messages of one APPEND (MULTIAPPEND)."""
    parts: int = 1000
    """Of one CATENATE."""
    errors: int = 20
    """Commands in a row that are answered BAD; then the connection ends. 0: never."""
    login_failures: int = 3
    """0: never."""
    literal_minus: bool = False
    """Offer LITERAL- instead of LITERAL+."""
    messages: int = 0
    """MESSAGELIMIT (RFC 9738), which the shell keeps: messages of one command. 0: none."""
