"""journal: every message's story, kept so that it can be told.

What lives here
    ``journal`` takes events in and writes them, in batches, to SQLite and to the log;
    ``pages`` is how they lie there, ``keys`` decides by what an event can be found again;
    ``stories`` finds and joins what ``mailframe trace`` prints; ``schema`` is the tables.

    What may be on disk is in ``runtime.database_file``; the latest events may be missing.

May import
    core, errors, interfaces, runtime, Twisted's logger.

Start reading at
    ``journal.Journal``, then ``stories``.

Invariants
    ``record`` never blocks, never raises, and costs the price of a tuple. What cannot be
    kept is counted, and the count is logged. No secret is written, no CR or LF reaches the
    log. The journal may lose its last fraction of a second in a crash: it is a record, not
    the queue.

RFCs
    None.
"""
