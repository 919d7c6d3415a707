"""mailauth: is it true? SPF, DKIM, DMARC, ARC and what is said about them in headers.

What lives here
    ``spf`` (may this client send for that domain), ``iprev`` (has the client a name),
    ``dkim`` (verify and sign), ``arc`` (verify and seal), ``dmarc`` (does any of it speak for the
    author in From), ``results`` (Authentication-Results). Async functions over an ``IResolver``;
    what is heavy on the processor goes to the ``IWorkers`` that the caller gives.

May import
    core, errors, message, interfaces, runtime, Twisted, cryptography, idna,
    publicsuffixlist.

Start reading at
    ``dmarc``: everything else feeds it.

Invariants
    Every check ends in a value of ``core.authentication``; a resolver that fails makes it
    temperror, never an exception and never a permanent answer. Lookups, key sizes, signatures
    per message, octets and time are bounded.

RFCs
    7208 (SPF), 6376, 8301, 8463 (DKIM), 9989 and before it 7489 (DMARC), 8617 (ARC), 8601
    (Authentication-Results, iprev), 8616 (internationalised mail).
"""
