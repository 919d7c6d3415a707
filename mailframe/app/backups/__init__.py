"""backups: what of a base is kept how, in which order, and how it comes back.

What lives here
    ``layout`` (what lies where below a base, and how it is copied), ``taking`` (a backup of a
    running server), ``mail_copy`` (its part that follows Maildirs while they change),
    ``restoring`` (a whole base), ``returning`` (single messages into a live mailbox),
    ``verifying`` (is the live base sound?), ``upgrading`` (schemas of all files).

    A backup is right for one instant, its beginning: whatever was acknowledged before is in
    it, once. The server goes on meanwhile, so the order counts:

    1. the files of bodies in the queue get second names: none can vanish any more;
    2. one commit of the queue is copied, then the bodies that came in between;
    3. every mailbox is looked at until nothing was missed (``mail_copy``). What the queue
       still had and a mailbox has meanwhile is taken out of the copied queue: names in a
       Maildir carry the key of their delivery, so once is once (``queue.copied``);
    4. the indexes of the mailboxes, so that none says less than the messages it is for;
    5. users, keys, the journal and all else.

    What is acknowledged or deleted while the backup runs may be in it or not.

May import
    Everything.

Start reading at
    ``layout``, then ``taking``.

Invariants
    Nothing that runs is stopped or waits; nothing in the base is changed by a backup. An
    index that comes back from a backup never goes on with its uids as though nothing had
    happened: ``restoring`` and ``layout.OLD_MARK`` say how.

RFCs
    9051 section 2.3.1.1 (uids that must not come back).
"""
