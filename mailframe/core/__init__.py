"""core: the values that everything else speaks in.

What lives here
    Frozen values without behaviour beyond their own consistency. Standard library only.

    ========================  ==========================================================
    reverse-path              where bounces go (RFC 5321 section 4.1.2); ``None`` = ``<>``
    forward-path, recipient   one address that one message is for, with its DSN wishes
    envelope                  reverse-path, recipients and MAIL parameters of one message
    local-part, domain        the halves of an address
    session                   one connection of a peer, from greeting to goodbye
    transaction               MAIL .. end of DATA within a session
    MUA, MSA, MTA, MDA        user agent, submission, transfer, delivery (RFC 5598)
    spool                     durable storage of accepted messages
    queue                     the schedule over the spool: what is due, when to retry
    attempt                   one try to hand a batch of recipients to one next hop
    courier                   one way out: local, mx, smarthost, lmtp, pipe
    next hop                  the host (or mailbox) an attempt talks to
    deferred                  not done yet, will be tried again (never "bounced")
    bounce, failed            will not be tried again; the DSN that says so
    DSN                       delivery status notification (RFC 3464)
    mailbox                   one folder of messages; an account has an INBOX and others
    avatar, realm, checker    twisted.cred's words for a logged-in user, where users come
                              from, and what verifies them
    ========================  ==========================================================

May import
    The standard library.

Start reading at
    ``address``, then ``envelope``, then ``reply``.

Invariants
    Every value is immutable. A ``Reply`` cannot contradict itself: the class digit of the
    enhanced status is the code's first digit.

RFCs
    5321 (SMTP), 5322 (messages), 3463 and 5248 (enhanced status codes), 3461 (DSN), 6531
    (internationalised addresses), 5598 (architecture, words).
"""
