"""dns: asking name servers, for everything in mail that asks.

What lives here
    ``resolver`` (the ``IResolver``: retries, CNAME chains, cache), ``wire`` (one query and
    what its answer means), ``message`` (a message read with bounded work), ``exchange`` (UDP
    and TCP), ``cache``, ``names`` (A-labels, names that are never asked), ``system``
    (resolv.conf).

May import
    core, errors, interfaces, runtime, Twisted, idna.

Start reading at
    ``resolver``, then ``wire``.

Invariants
    An answer counts only from the server asked, on the port asked from, with our id and our
    question. Nothing but NoSuchDomain and DnsTemporary is raised, whatever the server sends.
    The cache, chains, retries and queries under way are bounded, and so is the time that the
    worst 64 KB take to read.

RFCs
    1035, 2181, 2308 (negative answers), 5452 (forged answers), 5891 and UTS 46 (IDNA), 6761
    (special names), 6891 (EDNS), 7505 (null MX), 7766 (TCP), 9520 (failure caching).
"""

from mailframe.dns.resolver import DnsResolver

__all__ = ["DnsResolver"]
