"""protocols.smtp: SMTP and LMTP, both ends, without any I/O.

What lives here
    ``grammar`` (paths and arguments), ``parameters`` (ESMTP parameters of MAIL and RCPT),
    ``replies`` (rendering). The server: ``settings``, ``events`` (what it tells and asks),
    ``state`` (which verb is allowed when), ``verbs`` (the table of verbs, which is also the
    EHLO answer), ``body`` (DATA and BDAT), ``conversation`` and ``server`` (the engine, its
    half towards the peer and its half towards the shell). ``client`` and its ``client_*``
    companions: the other end.

May import
    core, errors, ``protocols.lines``, ``protocols.dots``, the standard library.

Start reading at
    ``state``, then ``verbs``, then ``server``.

Invariants
    The server engine stops at every decision until it has been made, so replies leave in
    the order of the commands and nothing of one transaction can reach the next. It parses
    no octet of a message as a command: a body is read to its true end before the next
    command is looked at, whatever was wrong with it.

RFCs
    5321, 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING,
    BINARYMIME), 3207 (STARTTLS), 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8),
    9422 (LIMITS), 2033 (LMTP).
"""
