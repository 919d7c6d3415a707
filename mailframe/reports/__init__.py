"""reports: what servers tell each other about mail in the name of their domains.

What lives here
    Received: ``intake`` (the policy that reads mail to the report addresses), ``found`` (reports in
    a message), ``unpacking`` (zip and gzip), ``feedback`` (aggregate reports in XML), ``arf``
    (reports about single messages), ``store`` (what came in, kept).
    Sent: ``observations`` (what DMARC saw, counted by day), ``writing`` (a report as XML and as a
    message), ``sending`` (once a day, with a brake), ``sent`` (what went where).
    ``aggregate`` (an aggregate report as a value) and ``schema`` (``reports.db``) serve both.

    A report received is one commit, before its message is answered; what is counted for reports
    to send is written now and then, and a crash loses what was not. What may be on disk is in
    ``runtime.database_file``.

May import
    core, errors, message, interfaces, runtime, mailauth, Twisted.

Start reading at
    ``aggregate``, then ``intake`` and ``sending``.

Invariants
    Whatever comes in by mail is bounded before it is looked at: octets packed and unpacked, depth,
    rows, length of texts. Reading happens on workers and never keeps a message from its mailbox.
    Nobody gets a report who did not ask for it, agreed to it and really wrote to us.

RFCs
    9990 (aggregate reports; before: 7489 appendix C), 9991 and 6591 (failure reports), 5965 (ARF).
"""
