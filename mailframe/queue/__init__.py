"""queue: what was accepted and is not done yet, and when it is tried again.

What lives here
    ``schema`` (the tables), ``records`` (values <-> rows), ``incoming`` and ``spool`` (durable
    storage), ``content`` and ``recent`` (reading messages), ``ledger`` (leasing and settling
    recipients), ``retry`` (when again), ``agenda`` (who is due), ``traffic``,
    ``destination`` and ``pace`` (who may be called now), ``attempt`` (one try),
    ``settlement`` (what a try means, delivery reports) with ``bounces``, ``scheduler`` (the
    ``Queue`` that drives them), ``admin`` (list, hold, remove ... beside a live server).
    ``outbox`` (mail that this server writes), with ``addressees`` (where it goes) and
    ``signed``, which bounces share.

    What may be on disk, and what ``Spool.recover`` and ``Queue.recover`` do about it at start:

    ===  ======================  =====================================  =====================
    no.  bodies/ID               rows in spool.db                       at start
    ===  ======================  =====================================  =====================
    S0   none                    none                                   nothing to do
    S1   being written, or       none: the peer has not heard 250       the file is swept
         complete and synced
    S2   none                    message, body, recipients              kept; due as ``next_at``
    S3   complete and synced     message, recipients                    kept; due as ``next_at``
    S4   as S2 or S3             a recipient has ``lease`` = TAKEN      due at once, marked
                                                                        UNKNOWN: its batch has
                                                                        ``repeats``; mailboxes
                                                                        here go first
    S5   complete                none: all recipients are done          the file is swept
    S6   missing or short        message, recipients                    set aside as CORRUPT,
                                                                        reported, the rest runs
    ===  ======================  =====================================  =====================

    The instant of commitment is the COMMIT of the transaction that writes the message, its
    recipients and (S2) its body; in S3 the body file and its directory entry were synced
    before. The instant at which a recipient is done is the COMMIT that deletes its row; a
    delivery report about it is inserted by that same transaction. A body file is removed
    after the commit that deletes its message.

May import
    core, errors, message, interfaces, runtime, Twisted.

Start reading at
    ``spool``, ``ledger``, then ``scheduler``.

Invariants
    A recipient row is taken by pushing ``next_at`` forward and raising ``token``; every later
    write about the attempt names the token and does nothing when it is not the row's any
    more. Memory does not grow with the number of deferred recipients: only destinations due
    within minutes are held. A lane (one domain, or one account here) that may not be called
    now is not looked at in the database.

RFCs
    5321 section 4.5.4 (retry strategies), 3461 section 5 and 3464 (reports).
"""
