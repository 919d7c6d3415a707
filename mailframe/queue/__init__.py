"""queue: what was accepted and is not done yet, and when it is tried again.

What lives here
    Storage: ``schema`` (the tables), ``records`` (values <-> rows), ``incoming``, ``inserting``
    and ``spool`` (durable storage), ``content`` (reading messages), ``ledger`` (leasing and
    settling recipients), ``statements`` (many rows at once), ``recovery`` (putting the tables
    in order), ``admin`` (list, hold, remove ... beside a live server), ``verification``,
    ``copied``, ``length``.
    When and how much: ``retry`` (when again), ``agenda`` (who is due), ``traffic``,
    ``destination`` and ``pace`` (who may be called now), ``ownership`` (by which worker).
    Work: ``claim`` and ``handover`` (fresh mail, from memory), ``choice`` and ``leasing`` (what
    is due, from the tables), ``routing``, ``errand`` (what is tried at once), ``errands``
    (attempts under way), ``gathering`` (many local ones together, and when), ``attempt`` and
    ``deadlines`` (one try), ``suspension`` (not trying), ``settlement`` (what a try means,
    delivery reports) with ``bounces``, ``finishing`` (what is done and nobody is told of, struck
    off together), ``scheduler`` (the ``Queue`` that drives them).
    ``outbox`` (mail that this server writes), with ``addressees`` (where it goes) and
    ``signed``, which bounces share.

    What may be on disk, and what ``Spool.recover`` and ``Queue.recover`` do about it at start.
    A *dead* node is one that ``others_alive`` does not name; what the living hold is left alone:

    ===  ======================  =====================================  =====================
    no.  bodies/ID               rows in spool.db                       at start
    ===  ======================  =====================================  =====================
    S0   none                    none                                   nothing to do
    S1   being written, or       none: the peer has not heard 250       the file is swept,
         complete and synced                                            where no other node
                                                                        is alive
    S2   none                    message, body, recipients              kept; due as ``next_at``
    S3   complete and synced     message, recipients                    kept; due as ``next_at``
    S4   as S2 or S3, also       a recipient has ``lease`` = TAKEN and  due at once, marked
         from its commit on      ``node`` is a dead one, or none        UNKNOWN: its batch has
                                                                        ``repeats``; mailboxes
                                                                        here go first
    S5   complete                none: all recipients are done          the file is swept, as
                                                                        in S1
    S6   missing or short        message, recipients                    set aside as CORRUPT,
                                                                        reported, the rest runs
    ===  ======================  =====================================  =====================

    Recipients that are HELD, and dead letters (DEAD), are in S2 or S3 as others are, and are not
    due. A recipient is dead by the COMMIT that notes its last attempt, and gone, as all are, by
    the one that deletes its row.

    S4 is what a fresh message is in where the queue had room for it: it is written down as
    leased, and goes to its couriers as it is in memory (``handover``). When a node dies the
    others do the same about its leases at once (``Spool.release``).

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
    A recipient row is taken by pushing ``next_at`` forward, raising ``token`` and writing
    down the ``node`` that takes it; every later write about the attempt names the token and
    does nothing when it is not the row's any more. No job assumes that rows are as this
    process left them. Of a lane one worker takes leases, its owner; fresh mail for mailboxes
    here goes from whoever accepted it. What a program here is to take (``Local.courier``) has
    lanes, places and limits apart from mailboxes and from hosts, and is returned to its sender
    only where the program or the administrator says so. Memory does not grow with the number of
    deferred recipients: only destinations due within minutes are held. A lane (one domain, one
    account here, or one account's program) that may not be called now is not looked at in the
    database.

RFCs
    5321 section 4.5.4 (retry strategies), 3461 section 5 and 3464 (reports).
"""
