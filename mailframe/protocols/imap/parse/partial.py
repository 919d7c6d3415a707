"""``1:100`` and ``-1:-100``: a page of a result (RFC 9394 section 3.1)."""

from __future__ import annotations

from mailframe.protocols.imap.grammar import Scanner


def partial_range(scanner: Scanner) -> tuple[int, int]:
    """As written, for the answer repeats it; both negative from the end."""
    sign = -1 if scanner.took(b"-") else 1
    first = scanner.nz_number()
    scanner.expect(b":")
    if sign < 0:
        scanner.expect(b"-")
    return sign * first, sign * scanner.nz_number()
