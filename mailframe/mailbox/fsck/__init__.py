"""fsck: what a damaged disk, or a careless program, left of an account's mail; and mending it.

What lives here
    ``faults`` (the kinds there are, and what is done about each), ``messages`` (the entries of
    one folder), ``account`` (all of one account), ``mending``.

May import
    What ``mailbox`` may.

Start reading at
    ``faults``.

Invariants
    Nothing is deleted: what is no mail any more goes to ``BASE/damaged/TIME/``, below the path
    that it had, with a line in ``report`` there. Whole messages are never set aside. Everything
    works beside a running server: each step is one rename, and whatever has vanished or moved
    since it was seen is left alone. Looking changes nothing.

RFCs
    None.
"""
