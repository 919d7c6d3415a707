"""mailauth.results: what the checks found, as a header field (RFC 8601), and what others wrote.

What lives here
    ``writing`` (our Authentication-Results), ``reading`` (somebody else's, also those of an ARC
    set), ``forged`` (fields that pretend to be ours are taken out), ``lexical`` (comments,
    quoted strings and the ways to write a host name).

May import
    core, message, idna.

Start reading at
    ``writing``, then ``forged``.

Invariants
    Nothing that a peer said leaves the value it stands in. What pretends to be ours is removed
    however it is written, and what cannot be read is removed too. Every function is linear in
    what it is given.

RFCs
    8601, 6008 (header.b), 7489 section 11 (dmarc), 8617 (arc), 8616 (internationalised).
"""

from mailframe.mailauth.results.forged import OUR_FILTER_FIELDS, without_forged
from mailframe.mailauth.results.reading import MethodResult, ReportedResults, parse_results
from mailframe.mailauth.results.writing import authentication_results

__all__ = [
    "OUR_FILTER_FIELDS",
    "MethodResult",
    "ReportedResults",
    "authentication_results",
    "parse_results",
    "without_forged",
]
