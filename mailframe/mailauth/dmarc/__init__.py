"""mailauth.dmarc: does the domain of the author in From stand by the message?

What lives here
    ``check`` (the verdict), ``discovery`` (the tree walk to the record that counts, and the
    organizational domain), ``record`` (a record as a value), ``author`` (the domains of From),
    ``names`` (A-labels and the public suffix list), ``destinations`` (who agreed to get reports).

May import
    core, errors, message, interfaces, idna, publicsuffixlist.

Start reading at
    ``check``, then ``discovery``.

Invariants
    A resolver that fails makes it temperror, and temperror asks for nothing. A domain costs eight
    lookups of records at most, a message a bounded number of domains.

RFCs
    9989 (the successor of 7489 and 9091), 7489 where records written for it still count: ``pct``,
    and organizational domains by the public suffix list (see ``discovery``).
"""

from mailframe.mailauth.dmarc.check import check_dmarc
from mailframe.mailauth.dmarc.destinations import accepts_reports
from mailframe.mailauth.dmarc.discovery import organizational_domain
from mailframe.mailauth.dmarc.record import DmarcRecord, ReportUri, parse_record

__all__ = [
    "DmarcRecord",
    "ReportUri",
    "accepts_reports",
    "check_dmarc",
    "organizational_domain",
    "parse_record",
]
