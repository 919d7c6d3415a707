"""protocols: the engines, without any I/O.

What lives here
    ``lines`` (command lines, DATA framing, what to do about CR, LF and NUL), ``dots``
    (dot-stuffing), ``smtp`` (server and client), ``pop3``, ``imap`` (with its own parsers and
    responses), ``sasl`` (the mechanisms, and the exchange that POP3 and IMAP share).

May import
    core, errors and the standard library.

Start reading at
    ``lines``, then ``smtp.server``; for IMAP ``imap.events``, then ``imap.engine``.

Invariants
    An engine takes bytes and yields events, takes decisions and yields bytes. It knows no
    clock, thread, file or socket. The same bytes in any split yield the same events. It
    raises nothing but ``RemoteProtocolError`` for the peer's faults and
    ``LocalProtocolError`` for ours. A verb is looked up in a table, never in a namespace.

RFCs
    5321, 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422 (SMTP); 2033 (LMTP);
    1939, 2449, 2595, 3206, 5034, 6856 (POP3); 3501, 9051 and the extensions that ``imap``
    lists (IMAP); 4422, 4616, 5802, 7677 (SASL).
"""
