"""mailauth.arc: Authenticated Received Chains, what those who forwarded a message saw of it.

What lives here
    ``validation`` and ``sealing``; below them ``chain`` (the fields as values, their structure)
    and ``trust`` (whose word is taken).

May import
    core, message, interfaces, mailauth.dkim, mailauth.results, mailauth.dmarc (the author's
    domain), cryptography, Twisted's interfaces.

Start reading at
    ``validation``.

Invariants
    The body is read at most once, and not at all without a chain that holds otherwise. Hashing
    and arithmetic happen on workers. Sets, key sizes and time are bounded. A chain that passes
    is believed nothing unless its sealers are trusted.

RFCs
    8617; 6376, 8301 and 8463 for signatures; 8601 for results.
"""

from mailframe.mailauth.arc.chain import MOST_SETS, has_chain
from mailframe.mailauth.arc.sealing import seal_arc
from mailframe.mailauth.arc.validation import ArcLimits, verify_arc

__all__ = ["MOST_SETS", "ArcLimits", "has_chain", "seal_arc", "verify_arc"]
