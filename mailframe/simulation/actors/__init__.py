"""actors: everybody in the simulated world who is not mailframe.

What lives here
    ``sender`` (who sends a letter and keeps it until it is acknowledged), ``stranger`` (a
    foreign mail server and its habits), ``pop_reader`` and ``imap_reader`` (who reads mail, and
    remembers what was promised), ``intruder`` (who wants a relay), ``names`` (the DNS).

May import
    core, the simulation's letters and records, mailframe.testing, Twisted.

Start reading at
    ``sender``.

Invariants
    An actor draws everything from its own seed, so that leaving one out changes nothing for
    the others but their traffic. It writes what it was told to the record and judges nothing.
    None of them shares code with the servers under test.

RFCs
    5321, 3030, 1939, 9051, 2177, 1035: as a client or peer of small means knows them.
"""
