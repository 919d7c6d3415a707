"""mailauth.spf: may this client send for that domain (RFC 7208)?

What lives here
    ``check`` (the two checks that a server makes, with their time limit), ``evaluation``
    (check_host: one record after the other), ``lookups`` (the DNS, within the limits),
    ``record`` (the text of a record as values), ``macros``, ``explanation`` (the domain owner's
    words, made safe).

May import
    core, errors, interfaces, runtime, Twisted, idna.

Start reading at
    ``evaluation``.

Invariants
    A record is read to its end before any of it counts. Every check ends within its time in an
    SpfResult; DNS that fails is temperror. Terms, void lookups, names, octets and time are
    bounded, whatever the records say.

RFCs
    7208 (SPF), 8616 section 4 (internationalised senders), 7372 (status codes).
"""

from mailframe.mailauth.spf.check import check_helo, check_spf
from mailframe.mailauth.spf.explanation import as_reply_text

__all__ = ["as_reply_text", "check_helo", "check_spf"]
